//! Accesses that memory refused, and pages that did not come back.

use kernel::{Event, EventKind, Refusal};
use memory::{InPageCause, InPageError};
use nt_types::{BugCheck, PAGE_SIZE, Va};
use report::cause::{Access, Cause, Fault, InPageReason, Memory, PageState, Target};
use report::{Diagnostic, Finding};

use super::scene::{Block, Scene};
use super::{departure, discarded, irql, objects, stacks};

/// Addresses that a null pointer with an offset gives.
const NULL_RANGE: u64 = 0x10000;

/// A refused access.
pub(super) fn access(scene: &Scene<'_>, address: Va, access: engine::Access, why: Refusal) -> Diagnostic {
    let target = target(scene, address, why);
    let (finding, service) = (finding(&target), service(scene));
    let fault = Fault { address, access: words(access), irql: scene.irql(), target, service, latent: false };
    Diagnostic {
        finding,
        because: because(scene, address, access, why),
        departure: (why == Refusal::Out).then(|| departure::departure(scene, address)),
        ..Diagnostic::from(Cause::Memory(Memory::Fault(fault)))
    }
}

/// K13: an access that only luck with trimming let through.
pub(super) fn latent(scene: &Scene<'_>, address: Va, access: engine::Access, would_be: BugCheck) -> Diagnostic {
    let section = section(scene, address, PageState::Resident);
    let target = section.or_else(|| stacks::target(scene, address)).unwrap_or(Target::Unmapped);
    let service = service(scene);
    let fault = Fault { address, access: words(access), irql: scene.irql(), target, service, latent: true };
    // That the page left once explains nothing: it came back.
    let trimmed = |event: &report::Event| {
        matches!(event.kind, report::EventKind::SectionTrimmed { .. } | report::EventKind::StackTrimmed { .. })
    };
    let tells = |event: &report::Event| !trimmed(event);
    Diagnostic {
        bug_check: Some(would_be),
        because: because(scene, address, access, Refusal::Out).into_iter().filter(tells).collect(),
        ..Diagnostic::from(Cause::Memory(Memory::Fault(fault)))
    }
}

/// K12 where the page was kept: bytes of a discarded section were used all the same.
pub(super) fn init_use(scene: &Scene<'_>, address: Va, access: engine::Access) -> Diagnostic {
    let section = scene.spot(address).and_then(|spot| spot.place().section).unwrap_or_default();
    Diagnostic {
        because: because(scene, address, access, Refusal::Discarded),
        ..Diagnostic::from(Cause::Memory(Memory::InitUse { section, access: words(access) }))
    }
}

/// A page that the paging file did not give back.
pub(super) fn in_page(scene: &Scene<'_>, address: Va, error: &InPageError) -> Diagnostic {
    let cause = |reason| Cause::Memory(Memory::InPage { address, reason });
    lost(error, departure::events(scene, address), cause)
}

/// The same for what was there before and a cause of the caller's; a page that came back as another has a cause of its own.
pub(super) fn lost(
    error: &InPageError,
    because: Vec<report::Event>,
    cause: impl FnOnce(InPageReason) -> Cause,
) -> Diagnostic {
    let reason = match error.cause {
        InPageCause::Checksum { slot, found, expected } => {
            let offset = u64::from(slot) * PAGE_SIZE;
            return Diagnostic::from(Cause::Memory(Memory::PagingFileCorrupt { offset, found, expected }));
        }
        InPageCause::NoFrames(no_frames) => InPageReason::NoFrames { frames: u64::from(no_frames.budget) },
        InPageCause::Injected => InPageReason::Injected(error.status),
        InPageCause::ShortRead | InPageCause::Io(_) => InPageReason::Io(error.status),
    };
    Diagnostic { because, ..Diagnostic::from(cause(reason)) }
}

pub(super) fn words(access: engine::Access) -> Access {
    match access {
        engine::Access::Read => Access::Read,
        engine::Access::Write => Access::Write,
        engine::Access::Execute => Access::Execute,
    }
}

/// The export that made the access, where it was not the driver's own instruction.
fn service(scene: &Scene<'_>) -> Option<String> {
    scene.place.service.map(str::to_owned)
}

/// The finding that is about the same fault.
fn finding(target: &Target) -> Option<Finding> {
    match target {
        Target::Section { state: PageState::Discarded, .. } => Some(Finding::InitUseAfterDiscard),
        Target::Handle { .. } => Some(Finding::HandleDereferenced),
        _ => None,
    }
}

fn target(scene: &Scene<'_>, address: Va, why: Refusal) -> Target {
    match why {
        Refusal::Out => {
            let section = section(scene, address, PageState::PagedOut);
            section.or_else(|| stacks::target(scene, address)).unwrap_or_else(|| pool(scene, address))
        }
        Refusal::Discarded => section(scene, address, PageState::Discarded).unwrap_or(Target::Unmapped),
        Refusal::ReadOnly | Refusal::NoExecute => {
            section(scene, address, PageState::Resident).unwrap_or_else(|| Target::Protected(scene.home(address)))
        }
        Refusal::Unloaded => unloaded(scene, address).unwrap_or(Target::Unmapped),
        Refusal::NonCanonical => Target::NonCanonical,
        Refusal::NotMapped => nothing(scene, address),
        Refusal::SpecialPoolFreed => pool(scene, address),
        Refusal::SpecialPoolEnd => beside(scene, address).unwrap_or(Target::Unmapped),
    }
}

/// The block of special pool that ends before an address, or begins after it: the nearer one.
fn nearest<'a>(scene: &Scene<'a>, address: Va) -> Option<(Va, Block<'a>)> {
    let page = address.page_down();
    let blocks = [Va(page.0 - PAGE_SIZE), page + PAGE_SIZE].map(|beside| scene.block_in(beside));
    blocks.into_iter().flatten().min_by_key(|(start, block)| match *start < address {
        true => address - *start - block.bytes,
        false => *start - address,
    })
}

fn beside(scene: &Scene<'_>, address: Va) -> Option<Target> {
    let (start, block) = nearest(scene, address)?;
    let offset = (address.0 as i64).wrapping_sub(start.0 as i64);
    Some(Target::BesidePool { tag: block.tag, bytes: block.bytes, offset })
}

fn section(scene: &Scene<'_>, address: Va, state: PageState) -> Option<Target> {
    let spot = scene.spot(address).filter(|spot| spot.loaded)?;
    let place = spot.place();
    let image = place.image;
    let by_name = spot.section().is_some_and(driver_image::Section::is_pageable_by_name);
    Some(match place.section {
        Some(section) => {
            let overridden = !by_name && state != PageState::Discarded;
            Target::Section { image, section, state, overridden }
        }
        None => Target::Image { image, state },
    })
}

fn unloaded(scene: &Scene<'_>, address: Va) -> Option<Target> {
    let image = scene.machine.modules().unloaded_at(address)?.name.clone();
    Some(Target::Unloaded { image })
}

/// Absent pool.
fn pool(scene: &Scene<'_>, address: Va) -> Target {
    match scene.block(address) {
        Some(block) if block.freed.is_some() => Target::FreedPool(block.tag),
        Some(block) => Target::PagedPool(block.tag),
        None => Target::Unmapped,
    }
}

/// Where nothing is mapped.
fn nothing(scene: &Scene<'_>, address: Va) -> Target {
    if section_paging::Handle::RANGE.contains(&address.0) {
        return Target::Handle { section: objects::section_of_handle(scene, address) };
    }
    match address.0 {
        0..NULL_RANGE => Target::Null,
        _ if !address.is_kernel() => Target::User,
        _ => pool(scene, address),
    }
}

/// What happened before and made the fault possible.
fn because(scene: &Scene<'_>, address: Va, access: engine::Access, why: Refusal) -> Vec<report::Event> {
    let caller = entered_from(scene, address, access);
    let mut told = match why {
        Refusal::Out if !scene.irql().may_fault() => irql::raises(scene, caller),
        _ => Vec::new(),
    };
    told.extend(caller.and_then(|caller| {
        let at = scene.call(caller);
        Some(report::Event { kind: report::EventKind::Entered, step: scene.place.step, at: Some(at?) })
    }));
    if why == Refusal::Out && !scene.irql().may_fault() {
        told.extend(irql::dpc_queued(scene));
    }
    match why {
        Refusal::Out => told.extend(departure::events(scene, address)),
        Refusal::Discarded => told.extend(discarded::events(scene, address)),
        Refusal::Unloaded => told.extend(image_unloaded(scene, address)),
        Refusal::NotMapped | Refusal::SpecialPoolFreed => told.extend(freed(scene, address)),
        Refusal::SpecialPoolEnd => told.extend(beside_events(scene, address)),
        Refusal::NonCanonical | Refusal::ReadOnly | Refusal::NoExecute => {}
    }
    told.extend(objects::events(scene, address));
    told.extend(interrupt_of(scene, address));
    once_each(told)
}

/// Where the interrupt was connected whose spin lock lies at an address.
fn interrupt_of(scene: &Scene<'_>, address: Va) -> Option<report::Event> {
    let interrupt = scene.machine.connected_interrupts().iter().find(|interrupt| interrupt.lock == address)?;
    scene.last(|event| match event.kind {
        EventKind::InterruptConnected { vector, routine } if routine == interrupt.routine => {
            Some(scene.told(event, report::EventKind::InterruptConnected { vector }))
        }
        _ => None,
    })
}

/// What is known for two reasons is told once.
fn once_each(events: Vec<report::Event>) -> Vec<report::Event> {
    let mut told: Vec<report::Event> = Vec::new();
    for event in events {
        if !told.contains(&event) {
            told.push(event);
        }
    }
    told
}

/// The return address in the driver that called the routine at `address`, which could not be entered.
fn entered_from(scene: &Scene<'_>, address: Va, access: engine::Access) -> Option<Va> {
    let spot = scene.spot(address).filter(|spot| spot.locator.is_function_start(spot.rva))?;
    let caller = scene.place.stack.get(1).copied()?;
    let calls = access == engine::Access::Execute && scene.spot(caller).is_some();
    // A caller that is the start of a function itself is an interrupted one, or no caller at all.
    let caller = scene.spot(caller).filter(|caller| caller.locator.call_before(caller.rva).is_some()).map(|_| caller);
    caller.filter(|_| calls && spot.loaded)
}

fn image_unloaded(scene: &Scene<'_>, address: Va) -> Option<report::Event> {
    let gone = scene.machine.modules().unloaded_at(address)?;
    let of_image = |event: &Event| matches!(event.kind, EventKind::Unloaded { base, .. } if base == gone.base);
    let event = scene.last(|event| of_image(event).then_some(event))?;
    let kind = report::EventKind::Unloaded { image: gone.name.clone() };
    Some(report::Event { kind, step: event.step, at: None })
}

/// Where the block was allocated that an access missed.
fn beside_events(scene: &Scene<'_>, address: Va) -> Vec<report::Event> {
    nearest(scene, address).map_or_else(Vec::new, |(start, _)| freed(scene, start))
}

/// The end of the block of pool that the address lay in, and its beginning.
fn freed(scene: &Scene<'_>, address: Va) -> Vec<report::Event> {
    let Some(block) = scene.block(address) else { return Vec::new() };
    let home = block.home();
    let allocated = report::EventKind::Allocated { home: home.clone(), bytes: block.bytes };
    let freed = block.freed.map(|event| scene.told(event, report::EventKind::Freed { home }));
    freed.into_iter().chain([scene.told(block.allocated, allocated)]).collect()
}
