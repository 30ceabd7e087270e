//! Kernel objects, and what is known of them.

use kernel::{Event, EventKind, ObjectKind};
use memory::Region;
use nt_types::Va;
use report::Diagnostic;
use report::cause::{self, Cause, Home, ObjectMisuse};
use section_paging::Handle;

use super::scene::Scene;
use super::{departure, stacks};

/// The kind, as reports name it.
pub(super) fn kind(object: ObjectKind) -> cause::ObjectKind {
    match object {
        ObjectKind::Timer => cause::ObjectKind::Timer,
        ObjectKind::Dpc => cause::ObjectKind::Dpc,
        ObjectKind::Apc => cause::ObjectKind::Apc,
        ObjectKind::Event => cause::ObjectKind::Event,
        ObjectKind::Mutex => cause::ObjectKind::Mutex,
        ObjectKind::FastMutex => cause::ObjectKind::FastMutex,
        ObjectKind::Semaphore => cause::ObjectKind::Semaphore,
        ObjectKind::SpinLock => cause::ObjectKind::SpinLock,
        ObjectKind::Resource => cause::ObjectKind::Resource,
        ObjectKind::RemoveLock => cause::ObjectKind::RemoveLock,
        ObjectKind::WorkItem => cause::ObjectKind::WorkItem,
    }
}

/// An object in the wrong memory: K11, or 0xC4/0xE1.
pub(super) fn pageable(scene: &Scene<'_>, object: ObjectKind, address: Va) -> Diagnostic {
    let home = scene.home(address);
    if home == Home::Stack && Region::of(address) == Some(Region::KernelStack) {
        let misuse = ObjectMisuse::Waited { object: kind(object), address };
        return Diagnostic { because: stacks::events(scene, address), ..Diagnostic::from(Cause::Object(misuse)) };
    }
    let by_name = scene.spot(address).and_then(|spot| Some(spot.section()?.is_pageable_by_name())).unwrap_or(true);
    let because = departure::whole_driver(scene, address).filter(|_| !by_name).into_iter().collect();
    let misuse = ObjectMisuse::Pageable { object: kind(object), address, home };
    Diagnostic { because, ..Diagnostic::from(Cause::Object(misuse)) }
}

/// An object that is queued while its memory goes away: 0xC7.
pub(super) fn going_away(scene: &Scene<'_>, object: ObjectKind, address: Va) -> Diagnostic {
    let misuse = ObjectMisuse::GoingAway { object: kind(object), address, home: scene.known_home(address) };
    Diagnostic { because: events(scene, address), ..Diagnostic::from(Cause::Object(misuse)) }
}

/// A work item in the wrong memory: K22, or 0xC4/0x131.
pub(super) fn work_item(scene: &Scene<'_>, address: Va) -> Diagnostic {
    Diagnostic::from(Cause::Object(ObjectMisuse::WorkItem { address, home: scene.home(address) }))
}

/// A misplaced routine: the report stands at the routine, and tells of the call that handed it over.
pub(super) fn routine(scene: &Scene<'_>, routine: Va, misuse: ObjectMisuse) -> Diagnostic {
    let because = match &misuse {
        ObjectMisuse::Dpc { .. } => queued(scene, |kind| match *kind {
            EventKind::DpcQueued { dpc, routine: queued } if queued == routine => Some((ObjectKind::Dpc, dpc)),
            _ => None,
        }),
        _ => None,
    };
    Diagnostic {
        at: scene.span(routine),
        because: because.into_iter().collect(),
        ..Diagnostic::from(Cause::Object(misuse))
    }
}

/// Name of the section that a handle stands for; empty where it stands for none.
pub(super) fn section_of_handle(scene: &Scene<'_>, address: Va) -> String {
    // A handle used as a pointer to a structure is off by the offset of a member.
    let paging = scene.machine.memory.paging();
    let handle = Handle::from_value(address.0 & !0xf);
    paging.section_of(handle).map(|section| scene.section_names(section).0).unwrap_or_default()
}

/// What is known of the object that holds an address, or of the routine that begins there.
pub(super) fn events(scene: &Scene<'_>, address: Va) -> Vec<report::Event> {
    let queued = queued(scene, |kind| match *kind {
        EventKind::TimerSet { timer, .. } if holds(ObjectKind::Timer, timer, address) => {
            Some((ObjectKind::Timer, timer))
        }
        EventKind::DpcQueued { dpc, routine } if routine == address || holds(ObjectKind::Dpc, dpc, address) => {
            Some((ObjectKind::Dpc, dpc))
        }
        EventKind::WorkItemQueued { item, routine }
            if routine == address || holds(ObjectKind::WorkItem, item, address) =>
        {
            Some((ObjectKind::WorkItem, item))
        }
        _ => None,
    });
    let initialised = scene.last(|event| match event.kind {
        EventKind::Initialised { object, address: start } if holds(object, start, address) => {
            let kind = report::EventKind::Initialised { object: kind(object), address: start };
            Some(scene.told(event, kind))
        }
        _ => None,
    });
    queued.into_iter().chain(initialised).collect()
}

fn holds(object: ObjectKind, start: Va, address: Va) -> bool {
    address - start < object.size_bytes()
}

fn queued(scene: &Scene<'_>, pick: impl Fn(&EventKind) -> Option<(ObjectKind, Va)>) -> Option<report::Event> {
    let told = |event: &Event| {
        let (object, address) = pick(&event.kind)?;
        Some(scene.told(event, report::EventKind::Queued { object: kind(object), address }))
    };
    scene.last(told)
}
