//! Checks of user-mode buffers (ddi: ProbeForRead, ProbeForWrite).

use nt_types::{NtStatus, PAGE_SIZE, Va};

use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::{Export, USER_PROBE_ADDRESS};
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, ProbeForRead(address: Va, length: u64, alignment: u32), APC),
    export!(Ntoskrnl, ProbeForWrite(address: Va, length: u64, alignment: u32), APC),
];

fn ProbeForRead(_m: &mut Machine, address: Va, length: u64, alignment: u32) -> Outcome {
    probe(address, length, alignment)?;
    Ok(Next::VOID)
}

fn ProbeForWrite(m: &mut Machine, address: Va, length: u64, alignment: u32) -> Outcome {
    probe(address, length, alignment)?;
    if length > 0 {
        touch(m, address, Va(address.0 + (length - 1)))?;
    }
    Ok(Next::VOID)
}

/// Raises if the range is misaligned or not all of it lies where user-mode addresses do. An empty range is not looked at.
fn probe(address: Va, length: u64, alignment: u32) -> Result<(), Trap> {
    if length == 0 {
        return Ok(());
    }
    if address.0 & u64::from(alignment.wrapping_sub(1)) != 0 {
        return Err(Trap::Raise(NtStatus::DATATYPE_MISALIGNMENT));
    }
    match address.0.checked_add(length) {
        Some(end) if end <= USER_PROBE_ADDRESS => Ok(()),
        _ => Err(Trap::Raise(NtStatus::ACCESS_VIOLATION)),
    }
}

/// Writes a byte of each page back to where it was. A page that cannot be written raises from the access itself, which
/// also ends the loop: no range without a hole is long.
fn touch(m: &mut Machine, first: Va, last: Va) -> Result<(), Trap> {
    let mut at = first;
    while at <= last {
        let byte = m.read_u8(at)?;
        m.write_u8(at, byte)?;
        at = at.page_down() + PAGE_SIZE;
    }
    Ok(())
}
