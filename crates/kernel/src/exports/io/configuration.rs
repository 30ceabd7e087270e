//! What the machine holds in devices, as drivers count it (ddi: IoGetConfigurationInformation).

use nt_types::layout::configuration_information as info;

use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoGetConfigurationInformation(), PASSIVE),
];

/// One structure for all drivers, which count their devices in it. At start the machine has none.
fn IoGetConfigurationInformation(m: &mut Machine) -> Outcome {
    if let Some(known) = m.io.configuration {
        return Ok(Next::pointer(known));
    }
    let Some(address) = m.kernel_object(info::SIZEOF, *b"Conf") else { return Err(m.no_pool()) };
    m.write_u32(info::VERSION.at(address), info::SIZEOF as u32)?;
    m.io.configuration = Some(address);
    Ok(Next::pointer(address))
}
