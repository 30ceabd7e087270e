//! Event tracing without a session (ddi: EtwRegister, EtwWrite, EtwEventEnabled): providers register, nobody enables them,
//! so nothing that they write goes anywhere.

use nt_types::{NtStatus, Va};

use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, EtwEventEnabled(handle: u64, descriptor: Va), HIGH),
    export!(Ntoskrnl, EtwProviderEnabled(handle: u64, level: u8, keyword: u64), HIGH),
    export!(Ntoskrnl, EtwRegister(provider: Va, callback: Va, context: u64, handle: Va), APC),
    export!(Ntoskrnl, EtwSetInformation(handle: u64, class: u32, information: Va, length: u32), PASSIVE),
    export!(Ntoskrnl, EtwUnregister(handle: u64), PASSIVE),
    export!(Ntoskrnl, EtwWrite(handle: u64, descriptor: Va, activity: Va, count: u32, data: Va), HIGH),
    export!(Ntoskrnl, EtwWriteTransfer(handle: u64, descriptor: Va, activity: Va, related: Va, count: u32, data: Va), HIGH),
];

fn EtwRegister(m: &mut Machine, provider: Va, _callback: Va, _context: u64, handle: Va) -> Outcome {
    m.read_guid_text(provider)?;
    let issued = m.ex.etw_providers.last().map_or(1, |last| last + 1);
    m.write_u64(handle, issued)?;
    m.ex.etw_providers.push(issued);
    Ok(Next::status(NtStatus::SUCCESS))
}

fn EtwUnregister(m: &mut Machine, handle: u64) -> Outcome {
    let Some(index) = m.ex.etw_providers.iter().position(|known| *known == handle) else {
        return Ok(Next::status(NtStatus::INVALID_HANDLE));
    };
    m.ex.etw_providers.remove(index);
    Ok(Next::status(NtStatus::SUCCESS))
}

/// No session has enabled a provider.
fn EtwEventEnabled(_m: &mut Machine, _handle: u64, _descriptor: Va) -> Outcome {
    Ok(Next::Return(0))
}

fn EtwProviderEnabled(_m: &mut Machine, _handle: u64, _level: u8, _keyword: u64) -> Outcome {
    Ok(Next::Return(0))
}

/// An event that no session has enabled is written successfully, and is lost.
fn EtwWrite(m: &mut Machine, handle: u64, _descriptor: Va, _activity: Va, _count: u32, _data: Va) -> Outcome {
    Ok(Next::status(known(m, handle)))
}

fn EtwWriteTransfer(
    m: &mut Machine,
    handle: u64,
    _descriptor: Va,
    _activity: Va,
    _related: Va,
    _count: u32,
    _data: Va,
) -> Outcome {
    Ok(Next::status(known(m, handle)))
}

/// Traits of a provider, which only sessions would look at.
fn EtwSetInformation(m: &mut Machine, handle: u64, _class: u32, _information: Va, _length: u32) -> Outcome {
    Ok(Next::status(known(m, handle)))
}

fn known(m: &Machine, handle: u64) -> NtStatus {
    if m.ex.etw_providers.contains(&handle) { NtStatus::SUCCESS } else { NtStatus::INVALID_HANDLE }
}
