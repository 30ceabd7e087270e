//! Questions about addresses and the system (ddi: MmIsAddressValid, MmGetSystemRoutineAddress, MmQuerySystemSize).

use memory::PageState;
use nt_types::Va;

use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, MmGetSystemRoutineAddress(name: Va), PASSIVE),
    export!(Ntoskrnl, MmIsAddressValid(address: Va), DISPATCH),
    export!(Ntoskrnl, MmIsNonPagedSystemAddressValid(address: Va), HIGH),
    export!(Ntoskrnl, MmIsThisAnNtAsSystem(), HIGH),
    export!(Ntoskrnl, MmQuerySystemSize(), HIGH),
    export!(Ntoskrnl, MmSecureVirtualMemory(address: Va, bytes: u64, mode: u32), APC),
    export!(Ntoskrnl, MmUnsecureVirtualMemory(handle: u64), APC),
];

/// A name that no export bears is documented to give NULL; one that Windows has and this machine does not looks the same,
/// so it is on record.
fn MmGetSystemRoutineAddress(m: &mut Machine, name: Va) -> Outcome {
    let name = m.read_text(name)?;
    let address = ["ntoskrnl.exe", "hal.dll"].iter().find_map(|image| m.kernel_images.export(image, &name));
    if address.is_none() {
        m.record(crate::event::EventKind::RoutineNotFound { name });
    }
    Ok(Next::pointer(address.unwrap_or(Va::NULL)))
}

fn MmIsAddressValid(m: &mut Machine, address: Va) -> Outcome {
    let state = m.memory.page_state(address);
    Ok(Next::Return(matches!(state, PageState::Resident { .. } | PageState::Device { .. }).into()))
}

fn MmIsNonPagedSystemAddressValid(m: &mut Machine, address: Va) -> Outcome {
    let valid = matches!(m.memory.page_state(address), PageState::Resident { eligible: false, .. });
    Ok(Next::Return((valid && address.is_kernel()).into()))
}

fn MmIsThisAnNtAsSystem(_m: &mut Machine) -> Outcome {
    Ok(Next::Return(0))
}

fn MmQuerySystemSize(_m: &mut Machine) -> Outcome {
    const MM_LARGE_SYSTEM: u64 = 2;
    Ok(Next::Return(MM_LARGE_SYSTEM))
}

fn MmSecureVirtualMemory(m: &mut Machine, _address: Va, _bytes: u64, _mode: u32) -> Outcome {
    Err(m.refuse("MmSecureVirtualMemory", "any range: memory of programs is not modelled"))
}

fn MmUnsecureVirtualMemory(m: &mut Machine, _handle: u64) -> Outcome {
    Err(m.refuse("MmUnsecureVirtualMemory", "any handle: memory of programs is not modelled"))
}
