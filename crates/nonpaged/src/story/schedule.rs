//! What the schedule had happen before a report.

use kernel::{Deed, EventKind, ThreadId, Turn};
use nt_types::Va;
use nt_types::layout::{kdpc, ktimer};
use report::{Event, Order, Timed};

use super::scene::Scene;
use super::stacks;

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
            let stack = || stacks::owner(scene, start).map(|thread| format!("the stack of thread `{thread}`"));
            report::Deed::TrimSection { section: name.or_else(stack).unwrap_or_else(|| "pool".to_owned()) }
        }
        Deed::TrimPage(page) => report::Deed::TrimPage { page },
        Deed::Interrupt(vector) => report::Deed::Interrupt { vector },
        Deed::Switch(id) => report::Deed::Switch { thread: thread(scene, id) },
        Deed::Processor(number) => report::Deed::Processor { number },
        Deed::Time => report::Deed::Time,
        Deed::Cancel(_) => report::Deed::Cancel,
        Deed::Fail => report::Deed::Fail { routine: routine() },
        Deed::Absent => report::Deed::Absent,
        Deed::Order(turn) => report::Deed::Order(ordered(scene, turn)),
        Deed::Befall(mishap) => report::Deed::Befall { mishap: mishap.text().to_owned() },
    }
}

fn ordered(scene: &Scene<'_>, turn: Turn) -> Order {
    match turn {
        Turn::FirstTimer(timer) => Order::FirstTimer(of_timer(scene, timer)),
        Turn::LateTimer(timer) => Order::LateTimer(of_timer(scene, timer)),
        Turn::LateTimeout(id) => Order::LateTimeout { thread: thread(scene, id) },
        Turn::LateRead(page) => Order::LateRead { page },
        Turn::LateDpc(dpc) => Order::LateDpc(Timed { address: dpc, routine: routine_of(scene, dpc) }),
        Turn::FirstWaiter(id) => Order::FirstWaiter { thread: thread(scene, id) },
        Turn::MissedPulse(id) => Order::MissedPulse { thread: thread(scene, id) },
        Turn::LateCompletion(request) => Order::LateCompletion { request },
        Turn::CompletionInDpc(request) => Order::CompletionInDpc { request },
        Turn::ThreadedDpcsDisabled => Order::ThreadedDpcsDisabled,
    }
}

fn thread(scene: &Scene<'_>, id: ThreadId) -> String {
    scene.machine.thread_of(id).map(|thread| thread.name.clone()).unwrap_or_default()
}

fn of_timer(scene: &Scene<'_>, timer: Va) -> Timed {
    let dpc = pointer(scene, ktimer::DPC.at(timer)).filter(|dpc| !dpc.is_null());
    Timed { address: timer, routine: dpc.and_then(|dpc| routine_of(scene, dpc)) }
}

/// The routine of a DPC, as memory has it now.
fn routine_of(scene: &Scene<'_>, dpc: Va) -> Option<String> {
    let routine = pointer(scene, kdpc::DEFERRED_ROUTINE.at(dpc))?;
    let place = scene.spot(routine)?.place();
    Some(
        place
            .symbol
            .as_ref()
            .filter(|symbol| symbol.offset == 0)
            .map_or(place.to_string(), |symbol| symbol.name.clone()),
    )
}

fn pointer(scene: &Scene<'_>, at: Va) -> Option<Va> {
    let mut bytes = [0; 8];
    scene.machine.memory.peek(at, &mut bytes).ok()?;
    Some(Va(u64::from_le_bytes(bytes)))
}
