//! Who was running.

use kernel::Routine;
use report::{Context, Runner};

use super::scene::Scene;

/// Who was running at the moment of a report.
pub(super) fn context(scene: &Scene<'_>) -> Context {
    let place = scene.place;
    Context {
        runner: runner(scene),
        cpu: place.processor as u32,
        irql: place.irql,
        spin_locks: place.spin_locks as u32,
        stack: place.stack.iter().map(|address| scene.frame(*address)).collect(),
    }
}

pub(super) fn runner(scene: &Scene<'_>) -> Runner {
    match scene.interruption() {
        Some(Routine::Dpc) => Runner::Dpc,
        Some(Routine::Isr { vector }) => Runner::Interrupt { vector },
        Some(_) | None => {
            let id = scene.place.thread;
            let name = scene.machine.thread_of(id).map(|thread| thread.name.clone()).unwrap_or_default();
            Runner::Thread { id: id.0, name }
        }
    }
}
