//! Which processors there are, and where a thread may run (ddi: KeSetSystemAffinityThread, KeQueryActiveProcessors,
//! KeIpiGenericCall). All processors are in group 0.

use nt_types::{Irql, NtStatus, Va};

use crate::call::{Call, Next, Outcome, Then, Trap};
use crate::export;
use crate::exports::{Export, ke};
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, KeGetCurrentProcessorNumberEx(number: Va), HIGH),
    export!(Ntoskrnl, KeGetProcessorIndexFromNumber(number: Va), HIGH),
    export!(Ntoskrnl, KeGetProcessorNumberFromIndex(index: u32, number: Va), HIGH),
    export!(Ntoskrnl, KeIpiGenericCall(routine: Va, argument: u64; ..), CLOCK),
    export!(Ntoskrnl, KeQueryActiveGroupCount(), HIGH),
    export!(Ntoskrnl, KeQueryActiveProcessorCount(mask: Va), HIGH),
    export!(Ntoskrnl, KeQueryActiveProcessorCountEx(group: u16), HIGH),
    export!(Ntoskrnl, KeQueryActiveProcessors(), HIGH),
    export!(Ntoskrnl, KeQueryGroupAffinity(group: u16), HIGH),
    export!(Ntoskrnl, KeQueryHighestNodeNumber(), HIGH),
    export!(Ntoskrnl, KeQueryMaximumGroupCount(), HIGH),
    export!(Ntoskrnl, KeQueryMaximumProcessorCount(), HIGH),
    export!(Ntoskrnl, KeQueryMaximumProcessorCountEx(group: u16), HIGH),
    export!(Ntoskrnl, KeRevertToUserAffinityThread(), DISPATCH),
    export!(Ntoskrnl, KeRevertToUserAffinityThreadEx(affinity: u64), DISPATCH),
    export!(Ntoskrnl, KeRevertToUserGroupAffinityThread(previous: Va), DISPATCH),
    export!(Ntoskrnl, KeSetSystemAffinityThread(affinity: u64), DISPATCH),
    export!(Ntoskrnl, KeSetSystemAffinityThreadEx(affinity: u64), DISPATCH),
    export!(Ntoskrnl, KeSetSystemGroupAffinityThread(affinity: Va, previous: Va), DISPATCH),
];

/// `ALL_PROCESSOR_GROUPS`.
const ALL_GROUPS: u16 = 0xFFFF;
/// IPI_LEVEL on x64.
const IPI_LEVEL: u8 = 14;

impl Machine {
    fn active_processors(&self) -> u64 {
        u64::MAX >> (64 - self.processors.len().clamp(1, 64))
    }

    /// Lets the current thread run on these processors only; the mask it had as system affinity, 0 for none.
    fn set_affinity(&mut self, affinity: u64) -> u64 {
        self.attention = true;
        std::mem::replace(&mut self.thread().affinity, affinity)
    }
}

fn count(m: &Machine, group: u16) -> Outcome {
    Ok(Next::Return(if matches!(group, 0 | ALL_GROUPS) { m.processors.len() as u64 } else { 0 }))
}

fn KeQueryActiveProcessors(m: &mut Machine) -> Outcome {
    Ok(Next::Return(m.active_processors()))
}

fn KeQueryGroupAffinity(m: &mut Machine, group: u16) -> Outcome {
    Ok(Next::Return(if group == 0 { m.active_processors() } else { 0 }))
}

fn KeQueryActiveProcessorCount(m: &mut Machine, mask: Va) -> Outcome {
    if !mask.is_null() {
        let active = m.active_processors();
        m.write_u64(mask, active)?;
    }
    count(m, 0)
}

fn KeQueryActiveProcessorCountEx(m: &mut Machine, group: u16) -> Outcome {
    count(m, group)
}

fn KeQueryMaximumProcessorCount(m: &mut Machine) -> Outcome {
    count(m, 0)
}

fn KeQueryMaximumProcessorCountEx(m: &mut Machine, group: u16) -> Outcome {
    count(m, group)
}

fn KeQueryActiveGroupCount(_m: &mut Machine) -> Outcome {
    Ok(Next::Return(1))
}

/// There is one node, number 0.
fn KeQueryHighestNodeNumber(_m: &mut Machine) -> Outcome {
    Ok(Next::Return(0))
}

fn KeQueryMaximumGroupCount(_m: &mut Machine) -> Outcome {
    Ok(Next::Return(1))
}

/// PROCESSOR_NUMBER: group, number, reserved.
fn write_number(m: &mut Machine, slot: Va, index: u32) -> Result<(), Trap> {
    m.write_u32(slot, index << 16)
}

fn KeGetCurrentProcessorNumberEx(m: &mut Machine, number: Va) -> Outcome {
    let index = m.active as u32;
    if !number.is_null() {
        write_number(m, number, index)?;
    }
    Ok(Next::Return(index.into()))
}

fn KeGetProcessorNumberFromIndex(m: &mut Machine, index: u32, number: Va) -> Outcome {
    if index as usize >= m.processors.len() {
        return Ok(Next::status(NtStatus::INVALID_PARAMETER));
    }
    write_number(m, number, index)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

fn KeGetProcessorIndexFromNumber(m: &mut Machine, number: Va) -> Outcome {
    const INVALID_PROCESSOR_INDEX: u64 = 0xFFFF_FFFF;
    let (group, index) = (m.read_u16(number)?, m.read_u8(number + 2)?);
    let valid = group == 0 && usize::from(index) < m.processors.len();
    Ok(Next::Return(if valid { index.into() } else { INVALID_PROCESSOR_INDEX }))
}

/// A mask without an active processor changes nothing, as documented.
fn KeSetSystemAffinityThreadEx(m: &mut Machine, affinity: u64) -> Outcome {
    let usable = affinity & m.active_processors();
    let previous = if usable == 0 { 0 } else { m.set_affinity(usable) };
    Ok(Next::Return(previous))
}

fn KeSetSystemAffinityThread(m: &mut Machine, affinity: u64) -> Outcome {
    KeSetSystemAffinityThreadEx(m, affinity).map(|_| Next::VOID)
}

fn KeRevertToUserAffinityThreadEx(m: &mut Machine, affinity: u64) -> Outcome {
    m.set_affinity(affinity);
    Ok(Next::VOID)
}

fn KeRevertToUserAffinityThread(m: &mut Machine) -> Outcome {
    KeRevertToUserAffinityThreadEx(m, 0)
}

/// GROUP_AFFINITY: mask, group.
fn KeSetSystemGroupAffinityThread(m: &mut Machine, affinity: Va, previous: Va) -> Outcome {
    let (mask, group) = (m.read_u64(affinity)?, m.read_u16(affinity + 8)?);
    if !previous.is_null() {
        let old = m.thread().affinity;
        m.write_u64(previous, old)?;
        m.write_u64(previous + 8, 0)?;
    }
    if group == 0 {
        KeSetSystemAffinityThread(m, mask)?;
    }
    Ok(Next::VOID)
}

fn KeRevertToUserGroupAffinityThread(m: &mut Machine, previous: Va) -> Outcome {
    let mask = m.read_u64(previous)?;
    KeRevertToUserAffinityThreadEx(m, mask)
}

/// Calls the routine at IPI_LEVEL. More processors would have to run it at the same time.
fn KeIpiGenericCall(m: &mut Machine, call: &Call, routine: Va, argument: u64) -> Outcome {
    if m.processors.len() > 1 {
        return Err(m.refuse("KeIpiGenericCall", "a machine with more than one processor"));
    }
    let old = m.irql();
    m.set_irql(Irql::new(IPI_LEVEL), call.return_address);
    let then = Then::Ke(ke::Then::Lowered { irql: old, caller: call.return_address });
    Ok(Next::call(routine, &[argument], then))
}
