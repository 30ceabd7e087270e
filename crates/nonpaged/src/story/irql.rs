//! How the IRQL came to be what it was.

use kernel::{Event, EventKind, Routine};
use nt_types::{Irql, Rva, Va};
use report::{RaisedBy, cause};

use super::scene::Scene;

/// A raise that was in force: the event that made it, and the level before.
struct Raise<'a> {
    event: &'a Event,
    from: Irql,
    to: Irql,
    /// The system entered this routine by it.
    entered: Option<Routine>,
}

/// The raises to DISPATCH_LEVEL or above that were in force, the last one first, down to the one that crossed the line:
/// those that made the moment one where no page can be waited for.
pub(super) fn raises(scene: &Scene<'_>, entered_from: Option<Va>) -> Vec<report::Event> {
    let in_force = raises_in_force(scene);
    let crossing = in_force.iter().rposition(|raise| raise.from < Irql::DISPATCH || raise.entered.is_some());
    let relevant = in_force.get(crossing.unwrap_or(0)..).unwrap_or_default();
    relevant.iter().rev().map(|raise| told(scene, raise, entered_from)).collect()
}

/// Where the DPC was queued that the processor runs.
pub(super) fn dpc_queued(scene: &Scene<'_>) -> Option<report::Event> {
    let in_force = raises_in_force(scene);
    let entered = in_force.iter().rev().find(|raise| raise.entered.is_some())?;
    let EventKind::Entered { what: Routine::Dpc, routine: running } = entered.event.kind else { return None };
    let (event, dpc) = scene.last(|event| match event.kind {
        EventKind::DpcQueued { dpc, routine } if routine == running && event.step <= entered.event.step => {
            Some((event, dpc))
        }
        _ => None,
    })?;
    let object = cause::ObjectKind::Dpc;
    let by_driver = scene.spot(event.place).map(|_| scene.told(event, queued(object, dpc)));
    by_driver.or_else(|| timer_set(scene, dpc))
}

fn queued(object: cause::ObjectKind, address: Va) -> report::EventKind {
    report::EventKind::Queued { object, address }
}

/// Where the timer was set that queued a DPC.
fn timer_set(scene: &Scene<'_>, of: Va) -> Option<report::Event> {
    scene.last(|event| match event.kind {
        EventKind::TimerSet { timer, dpc } if dpc == of => {
            Some(scene.told(event, queued(cause::ObjectKind::Timer, timer)))
        }
        _ => None,
    })
}

/// The raises that matter to a call at the wrong IRQL, and what led to them.
pub(super) fn history(scene: &Scene<'_>) -> Vec<report::Event> {
    raises(scene, None).into_iter().chain(dpc_queued(scene)).collect()
}

fn raises_in_force<'a>(scene: &Scene<'a>) -> Vec<Raise<'a>> {
    let mut stack: Vec<Raise<'a>> = Vec::new();
    for event in scene.events.iter().filter(|event| event.processor == scene.place.processor) {
        if let EventKind::Left { what, .. } = event.kind
            && let Some(index) = stack.iter().rposition(|raise| raise.entered == Some(what))
        {
            stack.truncate(index);
            continue;
        }
        stack.retain(|raise| raise.to <= event.irql);
        let before = stack.last().map_or(Irql::PASSIVE, |raise| raise.to);
        match event.kind {
            EventKind::IrqlRaised { from, to } if to >= Irql::DISPATCH => {
                stack.push(Raise { event, from, to, entered: None });
            }
            EventKind::Entered { what, .. } if what.interrupts() && event.irql > before => {
                stack.push(Raise { event, from: before, to: event.irql, entered: Some(what) });
            }
            _ => {}
        }
    }
    stack
}

fn told(scene: &Scene<'_>, raise: &Raise<'_>, entered_from: Option<Va>) -> report::Event {
    let by = match (raise.entered, raise.event.service) {
        (Some(Routine::Isr { .. }), _) => RaisedBy::Interrupt,
        (Some(_), _) => RaisedBy::Dpc,
        (None, Some(service)) if takes_spin_lock(service) => match scene.place.spin_locks {
            0 => RaisedBy::SpinLock,
            _ => RaisedBy::SpinLockHeld,
        },
        (None, _) => RaisedBy::Raise,
    };
    let kind = report::EventKind::IrqlRaised { from: raise.from, to: raise.to, by };
    let at = raised_at(scene, raise.event, entered_from);
    report::Event { kind, step: raise.event.step, at }
}

/// The place of a raise, or the routine that was entered by it, with the code up to the call that led to the fault where that is close.
fn raised_at(scene: &Scene<'_>, event: &Event, entered_from: Option<Va>) -> Option<report::Span> {
    /// As far as one looks at code at a glance.
    const CLOSE: u32 = 96;
    let spot = scene.spot(event.place)?;
    let spot = if event.service.is_some() { spot.call() } else { spot };
    let after = entered_from.map(|address| address - spot.base).and_then(|rva| u32::try_from(rva).ok());
    let end = after.filter(|rva| (1..CLOSE).contains(&rva.wrapping_sub(spot.rva.0))).map(Rva);
    Some(spot.span(scene.machine, end))
}

/// The services that acquire a spin lock and raise.
fn takes_spin_lock(service: &str) -> bool {
    service.contains("SpinLock") || service.contains("QueuedSpinLock")
}

/// The kind of routine, as reports name it.
pub(super) fn callback(what: Routine) -> cause::Callback {
    match what {
        Routine::DriverEntry => cause::Callback::DriverEntry,
        Routine::Reinitialize => cause::Callback::Reinitialize,
        Routine::AddDevice => cause::Callback::AddDevice,
        Routine::Unload => cause::Callback::Unload,
        Routine::DllInitialize => cause::Callback::DllInitialize,
        Routine::DllUnload => cause::Callback::DllUnload,
        Routine::Dispatch => cause::Callback::Dispatch,
        Routine::WorkItem => cause::Callback::WorkItem,
        Routine::Dpc => cause::Callback::Dpc,
        Routine::ThreadedDpc => cause::Callback::ThreadedDpc,
        Routine::Apc => cause::Callback::Apc,
        Routine::Isr { .. } => cause::Callback::Isr,
    }
}
