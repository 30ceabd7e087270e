//! Kernel stacks that leave memory while their threads wait in user mode.
//!
//! Events say whose stack it was: a report may be written when the thread has ended.

use kernel::{Event, EventKind};
use memory::InPageError;
use nt_types::Va;
use report::Diagnostic;
use report::cause::{Cause, Stack, Target};

use super::scene::Scene;
use super::{departure, fault};

/// The last wait in user mode of a thread whose stack holds an address.
struct Wait<'a> {
    began: &'a Event,
    /// Lowest and highest address of the stack.
    stack: (Va, Va),
    /// Name of the thread.
    thread: String,
}

/// What lies at an address that is on the stack of a thread.
pub(super) fn target(scene: &Scene<'_>, address: Va) -> Option<Target> {
    owner(scene, address).map(|thread| Target::Stack { thread })
}

/// The thread whose stack holds an address.
pub(super) fn owner(scene: &Scene<'_>, address: Va) -> Option<String> {
    wait(scene, address).map(|wait| wait.thread)
}

/// Where the owner of a stack began to wait, and when its stack left memory.
pub(super) fn events(scene: &Scene<'_>, address: Va) -> Vec<report::Event> {
    let Some(Wait { began, stack, thread }) = wait(scene, address) else { return Vec::new() };
    let left =
        departure::last_trim(scene, address).filter(|(left, ..)| left.step >= began.step).map(|(left, pages, _)| {
            let pages = pages.iter().filter(|page| (stack.0..stack.1).contains(page)).count() as u32;
            let kind = report::EventKind::StackTrimmed { thread: thread.clone(), pages };
            report::Event { kind, step: left.step, at: None }
        });
    let waits = scene.told(began, report::EventKind::WaitsInUserMode { thread: thread.clone() });
    [Some(waits), left].into_iter().flatten().collect()
}

/// A stack that the paging file did not give back.
pub(super) fn in_page(scene: &Scene<'_>, error: &InPageError) -> Diagnostic {
    let thread = owner(scene, error.va).unwrap_or_default();
    fault::lost(error, events(scene, error.va), |reason| Cause::Stack(Stack::InPage { thread, reason }))
}

/// A thread that ended with its stack kept in memory.
pub(super) fn locked_at_exit(scene: &Scene<'_>) -> Diagnostic {
    let disabled = scene.last(|event| match event.kind {
        EventKind::StackSwap { enabled: false } if event.thread == scene.place.thread => {
            Some(scene.told(event, report::EventKind::StackKept))
        }
        _ => None,
    });
    Diagnostic { because: disabled.into_iter().collect(), ..Diagnostic::from(Cause::Stack(Stack::LockedAtExit)) }
}

fn wait<'a>(scene: &Scene<'a>, address: Va) -> Option<Wait<'a>> {
    scene.last(|began| match began.kind {
        EventKind::WaitsInUserMode { stack } if (stack.0..stack.1).contains(&address) => {
            let thread = scene.machine.thread_of(began.thread).map(|thread| thread.name.clone()).unwrap_or_default();
            Some(Wait { began, stack, thread })
        }
        _ => None,
    })
}
