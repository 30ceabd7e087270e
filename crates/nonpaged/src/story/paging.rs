//! Misuse of the six routines.

use kernel::{Event, EventKind, Routine};
use nt_types::{Irql, Va};
use report::cause::{Cause, Holder, Operation, Paging, Refusal, UnloadMisuse};
use report::{Diagnostic, Place};
use section_paging::{Failure, Finding, Handle, LockedSection, Reason, SectionId};

use super::departure::requests;
use super::scene::Scene;

/// Vector and service routine of an interrupt.
type Connected = (u32, Va);

/// A lock or unlock that Windows answers with bug check 0x1A.
pub(super) fn refused(scene: &Scene<'_>, failure: Failure) -> Diagnostic {
    let value = Va(failure.value);
    let operation = match failure.operation {
        section_paging::Operation::Lock => Operation::Lock,
        section_paging::Operation::Unlock => Operation::Unlock,
    };
    let routine = scene.place.service.unwrap_or_default().to_owned();
    let reason = refusal(scene, failure);
    let because = section_of(scene, failure).map(|section| lock_history(scene, section)).unwrap_or_default();
    Diagnostic { because, ..Diagnostic::from(Cause::Paging(Paging::Refused { routine, operation, value, reason })) }
}

fn refusal(scene: &Scene<'_>, failure: Failure) -> Refusal {
    let names = || section_of(scene, failure).map(|section| scene.section_names(section)).unwrap_or_default();
    match failure.reason {
        Reason::NoModule => Refusal::NoModule,
        Reason::NoSection => Refusal::NoSection { image: image_name(scene, Va(failure.value)) },
        Reason::Discarded => Refusal::Discarded { section: names().0 },
        Reason::UnknownHandle => Refusal::UnknownHandle,
        Reason::StaleHandle => {
            let (section, image) = names();
            let id = section_of(scene, failure).map(|section| section.image);
            let unloading = scene.machine.modules().drivers().any(|driver| Some(driver.id) == id);
            Refusal::StaleHandle { image, section, unloading }
        }
        Reason::CountZero => {
            let paging = scene.machine.memory.paging();
            let state = section_of(scene, failure).and_then(|section| paging.section(section));
            let locking = state.is_some_and(|state| state.in_transition);
            Refusal::CountZero { section: names().0, locking, taken_by: taken_by_other(scene, failure) }
        }
        Reason::CountOverflow => {
            let limit = scene.machine.memory.paging().config().count_limit.get();
            Refusal::CountOverflow { section: names().0, limit }
        }
    }
}

/// The driver that took back the last lock, where it is not the section's own.
fn taken_by_other(scene: &Scene<'_>, failure: Failure) -> Option<String> {
    let section = section_of(scene, failure)?;
    let caller = scene.last(|event| match event.kind {
        EventKind::SectionUnlocked { section: unlocked, count: 0 } if unlocked == section => Some(event.place),
        _ => None,
    })?;
    let driver = scene.machine.modules().driver_at(caller).filter(|driver| driver.id != section.image)?;
    Some(driver.name.clone())
}

/// The section that was meant, by address or by handle, also where its image has been unloaded.
fn section_of(scene: &Scene<'_>, failure: Failure) -> Option<SectionId> {
    let paging = scene.machine.memory.paging();
    let handle = Handle::from_value(failure.value);
    paging.section_at(Va(failure.value)).or_else(|| paging.section_of(handle)).or_else(|| handle.names())
}

fn image_name(scene: &Scene<'_>, address: Va) -> String {
    let kernel = scene.machine.kernel_images();
    let driver = scene.machine.modules().driver_at(address).map(|driver| driver.name.clone());
    driver.or_else(|| kernel.image_at(address).map(|image| image.module.name().to_owned())).unwrap_or_default()
}

/// The last unlock and the last lock of a section.
fn lock_history(scene: &Scene<'_>, section: SectionId) -> Vec<report::Event> {
    let (name, _) = scene.section_names(section);
    let unlocked = scene.last(|event| match event.kind {
        EventKind::SectionUnlocked { section: unlocked, count } if unlocked == section => {
            let outstanding = report::cause::Requests::default();
            let (section, from) = (name.clone(), count.saturating_add(1));
            Some(scene.told(event, report::EventKind::SectionUnlocked { section, from, to: count, outstanding }))
        }
        _ => None,
    });
    let locked = scene.last(|event| match event.kind {
        EventKind::SectionLocked { section: locked, count } if locked == section => {
            Some(scene.told(event, report::EventKind::SectionLocked { section: name.clone(), count }))
        }
        _ => None,
    });
    unlocked.into_iter().chain(locked).collect()
}

/// A routine above APC_LEVEL: K02, or 0xC4 with the verifier.
pub(super) fn above_apc(scene: &Scene<'_>, routine: &str, irql: Irql) -> Diagnostic {
    let misuse = Paging::AboveApc { routine: routine.to_owned(), irql };
    Diagnostic { because: super::irql::history(scene), ..Diagnostic::from(Cause::Paging(misuse)) }
}

/// K07.
pub(super) fn handle_dereferenced(scene: &Scene<'_>, handle: Va) -> Diagnostic {
    let section = super::objects::section_of_handle(scene, handle);
    Diagnostic::from(Cause::Paging(Paging::HandleDereferenced { handle, section }))
}

/// K08.
pub(super) fn unlock_with_requests(section: &str, count: u32, majors: &[u8]) -> Diagnostic {
    let misuse = Paging::UnlockWithRequests { section: section.to_owned(), count, outstanding: requests(majors) };
    Diagnostic::from(Cause::Paging(misuse))
}

/// K19.
pub(super) fn page_entire_race(opener: usize) -> Diagnostic {
    Diagnostic::from(Cause::Paging(Paging::PageEntireRace { opener: opener as u32 }))
}

/// What the state machine of locks found. A finding about several sections makes a report for each.
pub(super) fn finding(scene: &Scene<'_>, finding: &Finding) -> Vec<Diagnostic> {
    let one = |misuse: Paging| vec![Diagnostic::from(Cause::Paging(misuse))];
    let name = |section: &SectionId| scene.section_names(*section).0;
    match finding {
        Finding::LockNonpageable { section } => vec![lock_nonpageable(scene, *section, None)],
        Finding::PageEntireWithInterrupt { .. } => {
            let (vector, routine) = connected(scene).unwrap_or_default();
            vec![with_connection(scene, Paging::PageEntireWithInterrupt { vector, routine: place(scene, routine) })]
        }
        Finding::ResetWithInterrupt { overridden, .. } => {
            let (vector, _) = connected(scene).unwrap_or_default();
            vec![with_connection(scene, Paging::ResetWithInterrupt { vector, overridden: *overridden })]
        }
        Finding::UnloadWithLocks { locked, .. } => locked.iter().map(|locked| left_locked(scene, locked)).collect(),
        Finding::ForeignLock { section, .. } => one(foreign(scene, *section)),
        Finding::RepeatLockByAddress { section } => one(Paging::RepeatLockByAddress { section: name(section) }),
        Finding::UnloadDuringCall { .. } => Vec::new(),
        Finding::LockOfDiscarded { locked } => locked
            .iter()
            .map(|locked| {
                let misuse = Paging::LockOfInit { section: name(&locked.section), count: locked.count };
                let because = lock_history(scene, locked.section);
                Diagnostic { because, ..Diagnostic::from(Cause::Paging(misuse)) }
            })
            .collect(),
        Finding::NoModule { address } => one(Paging::NoModule {
            routine: scene.place.service.unwrap_or_default().to_owned(),
            address: *address,
            system: scene.machine.kernel_images().holds(*address),
        }),
    }
}

/// The interrupt that is connected: the last one of those not disconnected since.
fn connected(scene: &Scene<'_>) -> Option<Connected> {
    connection(scene).map(|(_, connected)| connected)
}

fn connection<'a>(scene: &Scene<'a>) -> Option<(&'a Event, Connected)> {
    let mut gone: Vec<Connected> = Vec::new();
    scene.last(|event| match event.kind {
        EventKind::InterruptDisconnected { vector, routine } => {
            gone.push((vector, routine));
            None
        }
        EventKind::InterruptConnected { vector, routine } => {
            match gone.iter().position(|other| *other == (vector, routine)) {
                Some(index) => {
                    gone.remove(index);
                    None
                }
                None => Some((event, (vector, routine))),
            }
        }
        _ => None,
    })
}

fn with_connection(scene: &Scene<'_>, misuse: Paging) -> Diagnostic {
    let told = connection(scene)
        .map(|(event, (vector, _))| scene.told(event, report::EventKind::InterruptConnected { vector }));
    Diagnostic { because: told.into_iter().collect(), ..Diagnostic::from(Cause::Paging(misuse)) }
}

fn place(scene: &Scene<'_>, address: Va) -> Place {
    scene.spot(address).map(|spot| spot.place()).unwrap_or_else(|| Place {
        image: image_name(scene, address),
        section: None,
        rva: nt_types::Rva(0),
        symbol: None,
        source: None,
    })
}

/// K01; `address` is what was passed where the lock was by address.
pub(super) fn lock_nonpageable(scene: &Scene<'_>, section: SectionId, address: Option<Va>) -> Diagnostic {
    let thunk_to = address.and_then(|address| thunk_target(scene, section, address));
    let (section, _) = scene.section_names(section);
    Diagnostic::from(Cause::Paging(Paging::LockNonpageable { section, thunk_to }))
}

/// Where the locked address is a jump, the section that it leads to.
fn thunk_target(scene: &Scene<'_>, section: SectionId, locked: Va) -> Option<String> {
    let spot = scene.spot(locked)?;
    let target = spot.locator.jump_target(spot.rva)?;
    let image = spot.locator.image();
    let index = image.section_at(target).filter(|index| *index != usize::from(section.index))?;
    Some(image.sections()[index].name())
}

/// K05.
fn left_locked(scene: &Scene<'_>, locked: &LockedSection) -> Diagnostic {
    let (section, _) = scene.section_names(locked.section);
    let unloads = |what| matches!(what, Routine::Unload | Routine::DllUnload);
    let entry_failed =
        !scene.events.iter().any(|event| matches!(event.kind, EventKind::Entered { what, .. } if unloads(what)));
    let misuse = UnloadMisuse::Locks {
        section,
        count: locked.count,
        holders: holders(scene, locked.section),
        pages: section_pages(scene, locked.section),
        entry_failed,
    };
    Diagnostic::from(Cause::Unload(misuse))
}

/// Every lock since the count was last zero, oldest first (D24).
fn holders(scene: &Scene<'_>, section: SectionId) -> Vec<Holder> {
    let mut holders = Vec::new();
    for event in scene.events {
        match event.kind {
            EventKind::SectionUnlocked { section: unlocked, count: 0 } if unlocked == section => holders.clear(),
            EventKind::SectionLocked { section: locked, .. } if locked == section => {
                let at = scene.where_of(event).map(|span| span.place);
                holders.extend(at.map(|at| Holder { at, step: event.step }));
            }
            _ => {}
        }
    }
    holders
}

fn section_pages(scene: &Scene<'_>, id: SectionId) -> u32 {
    let modules = scene.machine.modules();
    let loaded = modules.drivers().find(|driver| driver.id == id.image).map(|driver| &driver.image);
    let image = loaded.or_else(|| Some(&modules.unloaded().iter().find(|driver| driver.id == id.image)?.image));
    let section = image.and_then(|image| image.sections().get(usize::from(id.index)));
    section.map_or(0, |section| driver_image::pageability::section_pages(section).len() as u32)
}

/// K06.
fn foreign(scene: &Scene<'_>, section: SectionId) -> Paging {
    let (section, owner) = scene.section_names(section);
    let unlocks = scene.place.service.is_some_and(|service| service.contains("Unlock"));
    Paging::ForeignLock {
        operation: if unlocks { Operation::Unlock } else { Operation::Lock },
        caller: image_name(scene, scene.place.instruction),
        owner,
        section,
    }
}

/// K20: the report stands at the call that another thread is in.
pub(super) fn during_call(scene: &Scene<'_>, routine: &str, caller: Va, section: Option<SectionId>) -> Diagnostic {
    let section = section.map(|section| scene.section_names(section).0);
    let misuse = UnloadMisuse::DuringCall { routine: routine.to_owned(), section };
    Diagnostic { at: scene.call(caller), ..Diagnostic::from(Cause::Unload(misuse)) }
}
