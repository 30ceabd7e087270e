//! Structures of the image that lead to others with callbacks.

use crate::ddi::{Layout, Role};
use crate::model::Model;

/// Most rows of a list, of operations, of filters or of pins.
const MAX_ROWS: u32 = 64;
/// What the last row of a list of operations has for a major function (fltkernel.h).
const IRP_MJ_OPERATION_END: u8 = 0x80;

/// Fields of the structures of ks.h, in bytes from their starts.
mod ks {
    use crate::ddi::Role::{self, Notification, Unknown, UpToDispatch};

    pub(super) const DISPATCH: u32 = 0x00;
    pub(super) const DEVICE_FILTER_COUNT: u32 = 0x08;
    pub(super) const DEVICE_FILTERS: u32 = 0x10;
    pub(super) const FILTER_PIN_COUNT: u32 = 0x20;
    pub(super) const FILTER_PIN_SIZE: u32 = 0x24;
    pub(super) const FILTER_PINS: u32 = 0x28;

    /// Members of KSDEVICE_DISPATCH: requests of Plug and Play come at PASSIVE_LEVEL, those for power need not.
    pub(super) const DEVICE: &[Role] = &[N, N, N, N, N, N, N, N, N, N, N, UpToDispatch, UpToDispatch, N];
    /// Members of KSFILTER_DISPATCH: `Create`, `Close`, `Process`, `Reset`.
    pub(super) const FILTER: &[Role] = &[N, N, UpToDispatch, Unknown];
    /// Members of KSPIN_DISPATCH; of those behind `Process` no level is documented.
    pub(super) const PIN: &[Role] = &[N, N, UpToDispatch, Unknown, Unknown, Unknown, Unknown];
    const N: Role = Notification;
}

/// Places that hold addresses of routines, and their roles.
pub(super) fn places(model: &Model<'_>, layout: Layout, structure: u32) -> Vec<(u32, Role)> {
    match layout {
        Layout::Filter => in_filter(model, structure),
        Layout::KsDevice => in_ks_device(model, structure),
        Layout::KsFilter => in_ks_filter(model, structure),
    }
}

/// Places in a `FLT_REGISTRATION`, and in the list of operations that it points to.
fn in_filter(model: &Model<'_>, registration: u32) -> Vec<(u32, Role)> {
    // FilterUnloadCallback, InstanceSetupCallback, and those for tearing instances down.
    let callbacks = (0x18..0x40).step_by(8).map(|offset| (registration.wrapping_add(offset), Role::Notification));
    let operations = model.program.pointer_at(registration.wrapping_add(0x10));
    let rows = operations.into_iter().flat_map(|first| (0..MAX_ROWS).map(move |row| first.wrapping_add(row * 0x20)));
    let major = |row: &u32| model.program.bytes.get(*row as usize).copied();
    let rows = rows.take_while(|row| major(row).is_some_and(|major| major != IRP_MJ_OPERATION_END));
    let each = |row: u32| [(row.wrapping_add(8), Role::ApcNotification), (row.wrapping_add(0x10), Role::UpToDispatch)];
    callbacks.chain(rows.flat_map(each)).collect()
}

/// Places in the dispatch tables of a `KSDEVICE_DESCRIPTOR`, of its filters, and of their pins.
fn in_ks_device(model: &Model<'_>, descriptor: u32) -> Vec<(u32, Role)> {
    let mut places = dispatch(model, descriptor, ks::DEVICE);
    let count = model.program.u32(descriptor.wrapping_add(ks::DEVICE_FILTER_COUNT)).unwrap_or(0).min(MAX_ROWS);
    let list = model.program.pointer_at(descriptor.wrapping_add(ks::DEVICE_FILTERS));
    let entries = list.into_iter().flat_map(|list| (0..count).map(move |row| list.wrapping_add(row * 8)));
    for filter in entries.filter_map(|entry| model.program.pointer_at(entry)) {
        places.extend(in_ks_filter(model, filter));
    }
    places
}

fn in_ks_filter(model: &Model<'_>, descriptor: u32) -> Vec<(u32, Role)> {
    let number = |offset: u32| model.program.u32(descriptor.wrapping_add(offset)).unwrap_or(0);
    let mut places = dispatch(model, descriptor, ks::FILTER);
    let pins = model.program.pointer_at(descriptor.wrapping_add(ks::FILTER_PINS));
    let (count, size) = (number(ks::FILTER_PIN_COUNT).min(MAX_ROWS), number(ks::FILTER_PIN_SIZE));
    let rows = pins.into_iter().flat_map(|pins| (0..count).map(move |row| pins.wrapping_add(row.wrapping_mul(size))));
    places.extend(rows.flat_map(|pin| dispatch(model, pin, ks::PIN)));
    places
}

/// The members of the dispatch table of a descriptor.
fn dispatch(model: &Model<'_>, descriptor: u32, members: &'static [Role]) -> Vec<(u32, Role)> {
    let table = model.program.pointer_at(descriptor.wrapping_add(ks::DISPATCH));
    let places =
        |table: u32| (0..).step_by(8).map(move |offset| table.wrapping_add(offset)).zip(members.iter().copied());
    table.into_iter().flat_map(places).collect()
}
