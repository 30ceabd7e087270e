//! What firmware described before Plug and Play (`ntddk.h`: IoQueryDeviceDescription, obsolete).

use nt_types::{NtStatus, Va};

use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoQueryDeviceDescription(bus: Va, bus_number: Va, controller: Va, controller_number: Va, peripheral: Va, peripheral_number: Va, callout: Va, context: u64), PASSIVE),
];

/// Where firmware of before Plug and Play described buses, controllers and peripherals.
const DESCRIPTION: &str = "\\Registry\\Machine\\HARDWARE\\DESCRIPTION\\System";

/// This machine has Plug and Play firmware, which describes nothing there, so that nothing is found.
#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn IoQueryDeviceDescription(
    m: &mut Machine,
    _bus: Va,
    _bus_number: Va,
    _controller: Va,
    _controller_number: Va,
    _peripheral: Va,
    _peripheral_number: Va,
    _callout: Va,
    _context: u64,
) -> Outcome {
    let registry = &m.cm.registry;
    let described = registry.find(DESCRIPTION).is_some_and(|system| registry.children(system).len() > 0);
    match described {
        true => Err(m.refuse("IoQueryDeviceDescription", "a registry with hardware descriptions")),
        false => Ok(Next::status(NtStatus::OBJECT_NAME_NOT_FOUND)),
    }
}
