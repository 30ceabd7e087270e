//! The system error log (ddi: IoAllocateErrorLogEntry, IoWriteErrorLogEntry): entries become events of the run.

use nt_types::layout::io_error_log_packet as packet;
use nt_types::{NtStatus, Va};

use crate::call::{Next, Outcome};
use crate::event::EventKind;
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoAllocateErrorLogEntry(object: Va, size: u8), DISPATCH),
    export!(Ntoskrnl, IoFreeErrorLogEntry(entry: Va), DISPATCH),
    export!(Ntoskrnl, IoWriteErrorLogEntry(entry: Va), DISPATCH),
];

/// `ERROR_LOG_MAXIMUM_SIZE`: what remains of 240 bytes after the log's own header.
const MAXIMUM_SIZE: u8 = 152;

fn IoAllocateErrorLogEntry(m: &mut Machine, object: Va, size: u8) -> Outcome {
    if object.is_null() || u64::from(size) < packet::DUMP_DATA.offset.into() || size > MAXIMUM_SIZE {
        return Ok(Next::pointer(Va::NULL));
    }
    Ok(Next::pointer(m.kernel_object(packet::SIZEOF.max(size.into()), *b"IoEr").unwrap_or(Va::NULL)))
}

fn IoFreeErrorLogEntry(m: &mut Machine, entry: Va) -> Outcome {
    m.pool_free(entry);
    Ok(Next::VOID)
}

/// The I/O manager takes the entry; the driver must not touch it any more.
fn IoWriteErrorLogEntry(m: &mut Machine, entry: Va) -> Outcome {
    let code = NtStatus(m.read_u32(packet::ERROR_CODE.at(entry))?);
    let status = NtStatus(m.read_u32(packet::FINAL_STATUS.at(entry))?);
    m.record(EventKind::ErrorLogged { code, status });
    IoFreeErrorLogEntry(m, entry)
}
