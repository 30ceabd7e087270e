//! The clock as programs may tune it (ddi: ExSetTimerResolution, ExQueryTimerResolution). This clock has one resolution.

use nt_types::Va;

use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::exports::ke::TICK_100NS;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, ExQueryTimerResolution(maximum: Va, minimum: Va, current: Va), PASSIVE),
    export!(Ntoskrnl, ExSetTimerResolution(desired: u32, set: bool), PASSIVE),
];

/// The resolution that is in force, in 100 ns.
fn ExSetTimerResolution(_m: &mut Machine, _desired: u32, _set: bool) -> Outcome {
    Ok(Next::Return(TICK_100NS))
}

fn ExQueryTimerResolution(m: &mut Machine, maximum: Va, minimum: Va, current: Va) -> Outcome {
    for slot in [maximum, minimum, current] {
        m.write_u32(slot, TICK_100NS as u32)?;
    }
    Ok(Next::VOID)
}
