//! What the schedule had happen before a report.

use kernel::{Deed, EventKind};
use report::Event;

use super::scene::Scene;

/// The deeds of the schedule so far, in their order.
pub(super) fn events(scene: &Scene<'_>) -> Vec<Event> {
    let deeds = scene.events.iter().filter_map(|event| match event.kind {
        EventKind::Chosen { deed } => {
            let routine = || event.service.unwrap_or("the routine").to_owned();
            Some(scene.told(event, report::EventKind::Scheduled(told(scene, deed, routine))))
        }
        _ => None,
    });
    deeds.collect()
}

fn told(scene: &Scene<'_>, deed: Deed, routine: impl FnOnce() -> String) -> report::Deed {
    match deed {
        Deed::Trim => report::Deed::Trim,
        Deed::TrimSection(start) => {
            let name = scene.machine.modules().section_name(start).map(|name| format!("section `{name}`"));
            report::Deed::TrimSection { section: name.unwrap_or_else(|| "pool".to_owned()) }
        }
        Deed::TrimPage(page) => report::Deed::TrimPage { page },
        Deed::Interrupt(vector) => report::Deed::Interrupt { vector },
        Deed::Switch(thread) => {
            let name = scene.machine.thread_of(thread).map(|thread| thread.name.clone());
            report::Deed::Switch { thread: name.unwrap_or_default() }
        }
        Deed::Processor(number) => report::Deed::Processor { number },
        Deed::Time => report::Deed::Time,
        Deed::Cancel(_) => report::Deed::Cancel,
        Deed::Fail => report::Deed::Fail { routine: routine() },
        Deed::Absent => report::Deed::Absent,
    }
}
