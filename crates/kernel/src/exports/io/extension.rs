//! Client extensions of driver objects (ddi: IoAllocateDriverObjectExtension, IoGetDriverObjectExtension).

use std::collections::BTreeMap;

use nt_types::{NtStatus, Va};

use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoAllocateDriverObjectExtension(driver: Va, client: u64, size: u32, extension: Va), DISPATCH),
    export!(Ntoskrnl, IoGetDriverObjectExtension(driver: Va, client: u64), DISPATCH),
];

/// Extensions by driver object and client identification.
pub(super) type Extensions = BTreeMap<(Va, u64), Va>;

fn IoAllocateDriverObjectExtension(m: &mut Machine, driver: Va, client: u64, size: u32, extension: Va) -> Outcome {
    m.write_u64(extension, 0)?;
    if m.io.extensions.contains_key(&(driver, client)) {
        return Ok(Next::status(NtStatus::OBJECT_NAME_COLLISION));
    }
    let Some(memory) = m.kernel_object(u64::from(size).max(1), *b"DrvE") else {
        return Ok(Next::status(NtStatus::INSUFFICIENT_RESOURCES));
    };
    m.io.extensions.insert((driver, client), memory);
    m.write_u64(extension, memory.0)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

fn IoGetDriverObjectExtension(m: &mut Machine, driver: Va, client: u64) -> Outcome {
    Ok(Next::pointer(m.io.extensions.get(&(driver, client)).copied().unwrap_or(Va::NULL)))
}
