//! Who was running.

use kernel::Routine;
use nt_types::Va;
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
        stack: place.stack.iter().filter(|address| !is_internal(scene, **address)).map(|a| scene.frame(*a)).collect(),
    }
}

/// True for the places of the kernel that driver code returns to: they are no callers that anybody knows.
fn is_internal(scene: &Scene<'_>, address: Va) -> bool {
    let kernel = scene.machine.kernel_images();
    address == kernel.return_stub || address == kernel.thread_exit_stub
}

fn runner(scene: &Scene<'_>) -> Runner {
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
