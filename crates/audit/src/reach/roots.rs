//! The routines that the system calls.

use std::collections::BTreeSet;

use nt_types::Rva;
use nt_types::constants::IRP_MJ_POWER;

use super::layouts;
use super::objects::{Object, Objects};
use crate::ddi::{Does, Holds, PASSIVE, Parent, Role, Unless};
use crate::flow::{EventKind, Target, Value};
use crate::model::Model;

/// A routine that the system calls.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Root {
    /// Index of the function.
    pub(crate) function: usize,
    /// As what.
    pub(crate) role: Role,
    /// The instruction that tells the system about it.
    pub(crate) named_at: Option<u32>,
}

/// Fields of DRIVER_OBJECT and DRIVER_EXTENSION, in bytes from their starts.
mod driver_object {
    pub(super) const DRIVER_EXTENSION: i32 = 0x30;
    pub(super) const START_IO: i32 = 0x60;
    pub(super) const UNLOAD: i32 = 0x68;
    pub(super) const MAJOR_FUNCTION: i32 = 0x70;
    pub(super) const END: i32 = 0x150;
    pub(super) const ADD_DEVICE: i32 = 8;
}

/// Finds the routines that the system calls, those with a known role first.
pub(crate) fn roots(model: &Model<'_>) -> Vec<Root> {
    let Named { mut roots, .. } = named(model);
    if devices_are_passive(model) {
        let inherits = roots.iter_mut().filter(|root| root.role == Role::OfParent);
        inherits.for_each(|root| root.role = Role::Notification);
    }
    if nothing_is_passive(model) {
        let timers = roots.iter_mut().filter(|root| root.role == Role::TimerOfParent);
        timers.for_each(|root| root.role = Role::Dpc);
    }
    if power_is_pagable(model) {
        let power = roots.iter_mut().filter(|root| root.role.is_dispatch_of(&[IRP_MJ_POWER]));
        power.for_each(|root| root.role = Role::PagablePower);
    }
    let known: BTreeSet<usize> = roots.iter().map(|root| root.function).collect();
    // Filters and termination handlers are among those whose purpose is not known: they run at the level of what failed.
    let taken = model.functions.taken.union(&model.functions.exported);
    let unknown = taken.filter_map(|rva| model.functions.at(*rva)).filter(|function| !known.contains(function));
    roots.extend(unknown.map(|function| Root { function, role: Role::Unknown, named_at: None }));
    roots.dedup();
    roots
}

/// Code that the driver names to the system, where no function was found: certainly one begins there.
pub(crate) fn missing(model: &Model<'_>) -> Vec<Rva> {
    named(model).missing.into_iter().filter(|rva| model.program.is_executable(*rva)).map(Rva).collect()
}

/// What a driver names to the system.
#[derive(Default)]
struct Named {
    roots: Vec<Root>,
    /// Where no function was found.
    missing: BTreeSet<u32>,
}

impl Named {
    fn add(&mut self, model: &Model<'_>, code: u32, role: Role, named_at: u32) {
        match model.functions.at(code) {
            Some(function) => self.roots.push(Root { function, role, named_at: Some(named_at) }),
            None => _ = self.missing.insert(code),
        }
    }
}

fn named(model: &Model<'_>) -> Named {
    let mut named = Named::default();
    let entry = model.program.image.headers().entry_point.and_then(|rva| model.functions.at(rva.0));
    named.roots.extend(entry.map(|function| Root { function, role: Role::DriverEntry, named_at: None }));
    add_of_driver_object(model, entry, &mut named);
    add_registered(model, &mut named);
    named
}

/// Routines that DriverEntry, or what it calls with the driver object, stores in the driver object.
fn add_of_driver_object(model: &Model<'_>, entry: Option<usize>, named: &mut Named) {
    let seed = entry.map(|function| ((function as u32, 0), Object::Driver));
    let objects = Objects::follow(model, seed);
    for (function, parameter) in objects.parameters(Object::Driver) {
        for event in model.events.of(function as usize) {
            let (role, code) = match event.kind {
                EventKind::StoreParameter { parameter: of, offset, code, indexed } if of == parameter => {
                    (in_driver_object(offset, indexed), code)
                }
                EventKind::StoreField { parameter: of, field, offset, code } if of == parameter => {
                    (in_extension(field, offset), code)
                }
                _ => continue,
            };
            if let Some(role) = role {
                named.add(model, code, role, event.at);
            }
        }
    }
}

fn in_driver_object(offset: i32, indexed: bool) -> Option<Role> {
    match offset {
        driver_object::START_IO if !indexed => Some(Role::StartIo),
        driver_object::UNLOAD if !indexed => Some(Role::Unload),
        driver_object::MAJOR_FUNCTION..driver_object::END => {
            let major = ((offset - driver_object::MAJOR_FUNCTION) / 8) as u8;
            Some(Role::Dispatch((!indexed).then_some(major)))
        }
        _ => None,
    }
}

fn in_extension(field: i32, offset: i32) -> Option<Role> {
    (field == driver_object::DRIVER_EXTENSION && offset == driver_object::ADD_DEVICE).then_some(Role::AddDevice)
}

/// Routines whose address is a parameter of a routine that takes callbacks, or lies in a structure that is.
fn add_registered(model: &Model<'_>, named: &mut Named) {
    let mut found = BTreeSet::new();
    for (_, event) in model.all_events() {
        if let EventKind::Register { role, code } = event.kind
            && found.insert((code, role))
        {
            named.add(model, code, role, event.at);
        }
    }
    for (_, event, id, arguments) in model.import_calls() {
        let does = model.program.import(id).routine.map_or(&[][..], |routine| routine.does);
        for (place, role) in does.iter().flat_map(|does| in_structure(model, *does, arguments)) {
            for code in model.codes_at(place).filter(|code| found.insert((*code, role))).collect::<Vec<_>>() {
                named.add(model, code, role, event.at);
            }
        }
    }
}

/// Places of the image, in a structure that a parameter points to, that hold addresses of routines.
fn in_structure(model: &Model<'_>, does: Does, arguments: &[Value]) -> Vec<(u32, Role)> {
    let structure = |n: u8| match arguments.get(usize::from(n) - 1) {
        Some(Value::Image(structure)) => Some(*structure),
        _ => None,
    };
    let (structure, fields, other) = match does {
        Does::RegistersIn(n, fields) => (structure(n), fields, None),
        Does::RegistersAt(n, pointer, fields) => {
            let inner = structure(n).and_then(|structure| model.program.pointer_at(moved(structure, pointer)));
            (inner, fields, None)
        }
        Does::RegistersUnless(n, fields, unless) => {
            let holds = |unless: &&Unless| {
                let place = structure(unless.parameter).map(|structure| moved(structure, unless.offset));
                place.is_some_and(|place| match unless.holds {
                    Holds::Number(number) => model.program.bytes.get(place as usize) == Some(&number),
                    Holds::Code => model.targets(Target::Place { rva: place, table: false }).next().is_some(),
                })
            };
            (structure(n), fields, unless.iter().find(holds).map(|unless| unless.role))
        }
        Does::RegistersLayout(n, layout) => {
            return structure(n).map_or(Vec::new(), |at| layouts::places(model, layout, at));
        }
        _ => return Vec::new(),
    };
    let places = |structure: u32| fields.iter().map(move |(offset, role)| (moved(structure, *offset), *role));
    let places = structure.into_iter().flat_map(places);
    places.map(|(place, role)| (place, other.unwrap_or(role))).collect()
}

/// Is the execution level of every device passive, by its own attributes or by those of the driver?
fn devices_are_passive(model: &Model<'_>) -> bool {
    let levels = |parent: Parent| {
        model.all_events().filter_map(move |(_, event)| match event.kind {
            EventKind::ExecutionLevel { of, level } if of == parent => Some(level),
            _ => None,
        })
    };
    // WdfExecutionLevelInheritFromParent is 1.
    let passive = |parent: Parent, inherited: bool| {
        let is_passive = |level: Option<u8>| level == Some(PASSIVE) || inherited && matches!(level, Some(0 | 1));
        levels(parent).next().is_some() && levels(parent).all(is_passive)
    };
    passive(Parent::Device, passive(Parent::Driver, false))
}

/// Is the execution level of no object passive, as far as objects name one?
fn nothing_is_passive(model: &Model<'_>) -> bool {
    model.all_events().all(|(_, event)| match event.kind {
        EventKind::ExecutionLevel { level, .. } => level.is_some_and(|level| level != PASSIVE),
        _ => true,
    })
}

/// Does the driver set DO_POWER_PAGABLE in a device object that it creates, and never clear it later?
fn power_is_pagable(model: &Model<'_>) -> bool {
    let sets = |sets: bool| model.all_events().any(|(_, event)| event.kind == EventKind::PowerPagable { sets });
    sets(true) && !sets(false)
}

fn moved(structure: u32, offset: i32) -> u32 {
    structure.wrapping_add_signed(offset)
}
