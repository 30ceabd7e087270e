//! Where code could go instead: what is reached at or below APC_LEVEL only need not stay in memory (R5, R10).

mod doubts;

use core::ops::Range;
use std::collections::BTreeSet;

use driver_image::SectionFlags;
use nt_types::{Irql, PAGE_SIZE, Rva};

use doubts::Doubts;

use crate::code::Class;
use crate::ddi::Does;
use crate::flow::{self, EventKind, Target, Value};
use crate::model::Model;
use crate::reach::Reach;

/// What could lie elsewhere.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Advice {
    /// Every function, by address.
    pub functions: Vec<Placed>,
    /// Pageable sections that could be one.
    pub merges: Vec<Merge>,
}

/// A function, and where it could lie.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placed {
    /// Where it is called.
    pub function: Rva,
    /// Its pieces, ascending, as offsets from the image base.
    pub parts: Vec<Range<u32>>,
    /// Where it could go, if anywhere: where it lies in a pageable section, to one that the driver does not lock.
    pub to: Option<Destination>,
    /// Why it stays, although no way is known that needs it to.
    pub stays: Option<Doubt>,
}

impl Placed {
    /// Length of all pieces, in bytes.
    pub fn bytes(&self) -> u32 {
        self.parts.iter().map(|part| part.end - part.start).sum()
    }
}

/// Where a function could go.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Destination {
    /// `PAGE`: it runs at or below APC_LEVEL only.
    Page,
    /// `INIT`: only DriverEntry and Reinitialize routines reach it.
    Init,
}

/// Why a function stays although no way is known that needs it to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Doubt {
    /// Code that was not looked at may lead there.
    Unseen,
    /// So may a call through a pointer at DISPATCH_LEVEL: it is not known where that leads, nor where all goes that the driver
    /// does with the address of the function.
    Pointer,
}

/// Pageable sections of one kind that nothing locks and of which at least one has less than 4 KB.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Merge {
    /// Their names, in header order.
    pub sections: Vec<String>,
    /// Their length together.
    pub bytes: u64,
}

/// Finds what could lie elsewhere. `hides_code` says that code was not looked at, and is known nowhere.
pub(crate) fn advise(model: &Model<'_>, reach: &Reach, hides_code: bool) -> Advice {
    let locked = locked_sections(model);
    let doubts = Doubts::new(model, reach, hides_code);
    let functions = model.functions.all.iter().enumerate().map(|(index, function)| {
        let to = destination(model, reach, locked.as_ref(), index);
        let stays = to.and_then(|_| doubts.of(index));
        let to = to.filter(|_| stays.is_none());
        Placed { function: Rva(function.entry), parts: function.parts.to_vec(), to, stays }
    });
    let merges = [true, false].into_iter().filter_map(|code| merge(model, locked.as_ref()?, code));
    Advice { functions: functions.collect(), merges: merges.collect() }
}

/// Where a function that stays in memory, or is locked there with its section, could go.
fn destination(
    model: &Model<'_>,
    reach: &Reach,
    locked: Option<&BTreeSet<usize>>,
    function: usize,
) -> Option<Destination> {
    let entry = model.functions.all[function].entry;
    if model.program.thunk(entry).is_some() || !may_leave(model, reach, function) {
        return None;
    }
    let only_initial = reach.of(function).all(|(_, context)| !context.initialised) && !is_named(model, entry);
    match model.program.class(entry) {
        Class::Resident if only_initial => Some(Destination::Init),
        Class::Resident => Some(Destination::Page),
        Class::Pageable { section, .. } if locked?.contains(&section) => Some(Destination::Page),
        Class::Pageable { .. } | Class::Discarded { .. } => None,
    }
}

/// Is the function reached, and all of it at or below APC_LEVEL, which it does not leave?
fn may_leave(model: &Model<'_>, reach: &Reach, function: usize) -> bool {
    let pageable = |range: flow::Range| range.high <= Irql::APC.level();
    // Every instruction of which anything is known, and the end.
    let always = reach.of(function).all(|(_, context)| {
        let mut levels = model.events.of(function).iter().filter_map(|event| event.irql.at(context.irql));
        let end = model.summaries[function].irql.at(context.irql);
        pageable(context.irql) && levels.all(pageable) && end.is_none_or(pageable)
    });
    let raises = model.events.of(function).iter().any(|event| match &event.kind {
        EventKind::Raise { .. } => true,
        EventKind::Call { target: Target::Import(id), .. } => model.does(*id, Does::AcquireRaised),
        _ => false,
    });
    reach.is_reached(function) && always && !raises
}

/// Does the driver keep or hand out the address of a function?
fn is_named(model: &Model<'_>, entry: u32) -> bool {
    let entry_point = model.program.image.headers().entry_point == Some(Rva(entry));
    !entry_point && model.functions.taken.contains(&entry)
}

/// Pageable sections of code, or of data, that could be one: nothing locks them, and one is below 4 KB.
fn merge(model: &Model<'_>, locked: &BTreeSet<usize>, code: bool) -> Option<Merge> {
    let sections = model.program.image.sections().iter().enumerate();
    let kind = |flags: SectionFlags| flags.has(SectionFlags::EXECUTE) == code;
    let members: Vec<_> = sections
        .filter(|(index, section)| {
            section.is_pageable_by_name() && kind(section.flags) && section.virtual_size > 0 && !locked.contains(index)
        })
        .map(|(_, section)| section)
        .collect();
    let small = members.iter().any(|section| u64::from(section.virtual_size) < PAGE_SIZE);
    (members.len() > 1 && small).then(|| Merge {
        sections: members.iter().map(|section| section.name()).collect(),
        bytes: members.iter().map(|section| u64::from(section.virtual_size)).sum(),
    })
}

/// Sections that the driver locks; `None` where it is not known which.
fn locked_sections(model: &Model<'_>) -> Option<BTreeSet<usize>> {
    let mut locked = BTreeSet::new();
    for (.., arguments) in model.import_calls().filter(|(_, _, id, _)| model.does(*id, Does::LockAddress)) {
        match arguments.first() {
            Some(Value::Image(rva)) => locked.extend(model.program.section_at(*rva)),
            _ => return None,
        }
    }
    Some(locked)
}
