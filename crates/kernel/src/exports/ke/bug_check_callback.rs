//! Routines for the moment of a bug check (ddi: KeRegisterBugCheckCallback, KeRegisterBugCheckReasonCallback). The run ends
//! at a bug check, before they would be called.

use nt_types::Va;
use nt_types::layout::{kbugcheck_callback_record as record, kbugcheck_reason_callback_record as reason};

use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, KeDeregisterBugCheckCallback(record: Va), HIGH),
    export!(Ntoskrnl, KeDeregisterBugCheckReasonCallback(record: Va), HIGH),
    export!(Ntoskrnl, KeRegisterBugCheckCallback(record: Va, routine: Va, buffer: Va, length: u32, component: Va), HIGH),
    export!(Ntoskrnl, KeRegisterBugCheckReasonCallback(record: Va, routine: Va, reason: u32, component: Va), HIGH),
];

/// `BufferEmpty` and `BufferInserted` of `KBUGCHECK_BUFFER_DUMP_STATE`.
const EMPTY: u8 = 0;
const INSERTED: u8 = 1;

/// FALSE for a record that is registered.
fn KeRegisterBugCheckCallback(m: &mut Machine, at: Va, routine: Va, buffer: Va, length: u32, component: Va) -> Outcome {
    if m.read_u8(record::STATE.at(at))? == INSERTED {
        return Ok(Next::Return(0));
    }
    m.write_u64(record::CALLBACK_ROUTINE.at(at), routine.0)?;
    m.write_u64(record::BUFFER.at(at), buffer.0)?;
    m.write_u32(record::LENGTH.at(at), length)?;
    m.write_u64(record::COMPONENT.at(at), component.0)?;
    m.write_u8(record::STATE.at(at), INSERTED)?;
    Ok(Next::Return(1))
}

fn KeRegisterBugCheckReasonCallback(m: &mut Machine, at: Va, routine: Va, why: u32, component: Va) -> Outcome {
    if m.read_u8(reason::STATE.at(at))? == INSERTED {
        return Ok(Next::Return(0));
    }
    m.write_u64(reason::CALLBACK_ROUTINE.at(at), routine.0)?;
    m.write_u32(reason::REASON.at(at), why)?;
    m.write_u64(reason::COMPONENT.at(at), component.0)?;
    m.write_u8(reason::STATE.at(at), INSERTED)?;
    Ok(Next::Return(1))
}

fn KeDeregisterBugCheckCallback(m: &mut Machine, at: Va) -> Outcome {
    deregister(m, record::STATE.at(at))
}

fn KeDeregisterBugCheckReasonCallback(m: &mut Machine, at: Va) -> Outcome {
    deregister(m, reason::STATE.at(at))
}

/// FALSE for a record that is not registered.
fn deregister(m: &mut Machine, state: Va) -> Result<Next, Trap> {
    let inserted = m.read_u8(state)? == INSERTED;
    if inserted {
        m.write_u8(state, EMPTY)?;
    }
    Ok(Next::Return(inserted.into()))
}
