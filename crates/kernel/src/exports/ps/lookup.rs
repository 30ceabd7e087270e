//! Threads by identifier, and what file systems keep with a thread (ddi: PsLookupThreadByThreadId, IoSetTopLevelIrp).

use nt_types::{NtStatus, Va};

use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;
use crate::thread::ThreadState;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoGetTopLevelIrp(), APC),
    export!(Ntoskrnl, IoSetTopLevelIrp(request: Va), APC),
    export!(Ntoskrnl, PsIsThreadTerminating(thread: Va), HIGH),
    export!(Ntoskrnl, PsLookupThreadByThreadId(id: u64, thread: Va), APC),
    export!(Ntoskrnl, RtlCreateUserThread(process: u64, descriptor: Va, suspended: bool, zero_bits: u64, reserve: u64, commit: u64, routine: Va, argument: u64, thread: Va, client: Va), PASSIVE),
];

fn PsLookupThreadByThreadId(m: &mut Machine, id: u64, thread: Va) -> Outcome {
    let found = m.threads().find(|known| super::thread::number_of(known.id) == id).map(|known| known.object);
    let Some(object) = found else { return Ok(Next::status(NtStatus::INVALID_PARAMETER)) };
    m.write_u64(thread, object.0)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

fn PsIsThreadTerminating(m: &mut Machine, thread: Va) -> Outcome {
    let ended = m.threads().any(|known| known.object == thread && matches!(known.state, ThreadState::Ended(_)));
    Ok(Next::Return(ended.into()))
}

fn IoSetTopLevelIrp(m: &mut Machine, request: Va) -> Outcome {
    let id = m.current_thread();
    m.ps.top_level_irps.insert(id, request);
    Ok(Next::VOID)
}

fn IoGetTopLevelIrp(m: &mut Machine) -> Outcome {
    let id = m.current_thread();
    Ok(Next::pointer(m.ps.top_level_irps.get(&id).copied().unwrap_or(Va::NULL)))
}

#[expect(clippy::too_many_arguments, reason = "the parameters that its callers pass")]
fn RtlCreateUserThread(
    m: &mut Machine,
    _process: u64,
    _descriptor: Va,
    _suspended: bool,
    _zero_bits: u64,
    _reserve: u64,
    _commit: u64,
    _routine: Va,
    _argument: u64,
    _thread: Va,
    _client: Va,
) -> Outcome {
    Err(m.refuse("RtlCreateUserThread", "any process: there are no programs"))
}
