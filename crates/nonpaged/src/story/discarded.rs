//! What was discarded when initialisation ended, and who kept its address.

use kernel::{EventKind, Keeper};
use nt_types::Va;
use report::cause::RequestKind;

use super::images::Spot;
use super::scene::Scene;

/// Who got or kept the address, and the discard.
pub(super) fn events(scene: &Scene<'_>, address: Va) -> Vec<report::Event> {
    let Some(spot) = scene.spot(address).filter(|spot| spot.loaded) else { return Vec::new() };
    let start = start_of(spot, address);
    let kept = given(scene, spot, start).or_else(|| kept(scene, start));
    kept.into_iter().chain(discarded(scene, spot)).collect()
}

/// Where the function or variable begins that holds an address, as far as names tell.
fn start_of(spot: Spot<'_>, address: Va) -> Va {
    let offset = spot.place().symbol.map_or(0, |symbol| symbol.offset);
    Va(address.0 - u64::from(offset))
}

/// The last call that got the address and could keep it.
fn given(scene: &Scene<'_>, spot: Spot<'_>, start: Va) -> Option<report::Event> {
    let code = spot.locator.is_function_start(spot.rva);
    scene.last(|event| match (&event.kind, event.service) {
        (EventKind::Passed { address }, Some(routine)) if *address == start && keeps(routine, code) => {
            Some(scene.told(event, report::EventKind::AddressGiven { routine: routine.to_owned() }))
        }
        _ => None,
    })
}

/// Whether a routine keeps an address: that of a routine is given to be called, unless it stands for its section; data is
/// kept where it is initialised, or where it initialises what points to it.
fn keeps(routine: &str, code: bool) -> bool {
    if code { !routine.starts_with("Mm") } else { routine.contains("Init") }
}

/// Where the driver still keeps the address, and the instruction that takes it, where there is but one.
fn kept(scene: &Scene<'_>, start: Va) -> Option<report::Event> {
    let keeper = match scene.machine.keeper_of(start)? {
        Keeper::Variable(place) => report::Keeper::Variable { name: scene.spot(place)?.place().function() },
        Keeper::Dispatch(major) => {
            let member = format!("MajorFunction[{}]", RequestKind::from_major(major)?.major());
            report::Keeper::DriverObject { member }
        }
        Keeper::Member(name) => report::Keeper::DriverObject { member: name.to_owned() },
        Keeper::Device(address) => report::Keeper::Device { address },
        Keeper::Pool(address) => report::Keeper::Pool { address, home: scene.home(address) },
    };
    let spot = scene.spot(start)?;
    let at = match spot.locator.takers(spot.rva)[..] {
        [taker] => scene.span(spot.base + taker),
        _ => None,
    };
    Some(report::Event { kind: report::EventKind::AddressKept(keeper), step: scene.place.step, at })
}

fn discarded(scene: &Scene<'_>, spot: Spot<'_>) -> Option<report::Event> {
    let place = spot.place();
    let (section, bytes) = (place.section?, u64::from(spot.section()?.span()));
    scene.last(|event| match &event.kind {
        EventKind::Discarded { image, .. } if *image == place.image => {
            let kind = report::EventKind::Discarded { section: section.clone(), bytes };
            Some(report::Event { kind, step: event.step, at: None })
        }
        _ => None,
    })
}
