//! Copies that survive bad addresses (ddi: MmCopyMemory; `MmCopyVirtualMemory` between processes, of which there is one).

use memory::PageState;
use nt_types::{NtStatus, PAGE_SIZE, Va};

use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, MmCopyMemory(target: Va, source: u64, bytes: u64, flags: u32, transferred: Va), APC),
    export!(Ntoskrnl, MmCopyVirtualMemory(from: Va, source: Va, to: Va, target: Va, bytes: u64, mode: u8, transferred: Va), PASSIVE),
];

const PHYSICAL: u32 = 1;
const VIRTUAL: u32 = 2;
const INVALID_ADDRESS: NtStatus = NtStatus(0xC000_0141);

fn MmCopyMemory(m: &mut Machine, target: Va, source: u64, bytes: u64, flags: u32, transferred: Va) -> Outcome {
    m.probe_write(transferred, 8)?;
    let copied = match flags {
        PHYSICAL => m.physical_prefix(source, bytes)?,
        VIRTUAL => m.readable_prefix(Va(source), bytes)?,
        _ => return Ok(Next::status(NtStatus::INVALID_PARAMETER)),
    };
    m.write_bytes(target, &copied)?;
    m.write_u64(transferred, copied.len() as u64)?;
    let whole = copied.len() as u64 == bytes;
    Ok(Next::status(if whole { NtStatus::SUCCESS } else { INVALID_ADDRESS }))
}

#[expect(clippy::too_many_arguments, reason = "the parameters that its callers pass")]
fn MmCopyVirtualMemory(
    m: &mut Machine,
    from: Va,
    source: Va,
    to: Va,
    target: Va,
    bytes: u64,
    _mode: u8,
    transferred: Va,
) -> Outcome {
    let process = m.current_process();
    if from != process || to != process {
        return Err(m.refuse("MmCopyVirtualMemory", "a pointer that is no process"));
    }
    m.probe_write(transferred, 8)?;
    let copied = m.readable_prefix(source, bytes)?;
    m.write_bytes(target, &copied)?;
    m.write_u64(transferred, copied.len() as u64)?;
    let whole = copied.len() as u64 == bytes;
    Ok(Next::status(if whole { NtStatus::SUCCESS } else { NtStatus::PARTIAL_COPY }))
}

impl Machine {
    /// The bytes at an address up to the first page that is not there. A page that is out comes in first.
    fn readable_prefix(&mut self, source: Va, bytes: u64) -> Result<Vec<u8>, Trap> {
        let mut copied = Vec::new();
        while (copied.len() as u64) < bytes {
            let at = source + copied.len() as u64;
            if matches!(self.memory.page_state(at), PageState::Absent(_) | PageState::Device { .. }) {
                break;
            }
            let in_page = PAGE_SIZE - at.page_offset() as u64;
            let piece = self.read_bytes(at, in_page.min(bytes - copied.len() as u64))?;
            copied.extend(piece);
        }
        Ok(copied)
    }

    fn physical_prefix(&mut self, source: u64, bytes: u64) -> Result<Vec<u8>, Trap> {
        let mut copied = Vec::new();
        while (copied.len() as u64) < bytes {
            let at = source.wrapping_add(copied.len() as u64);
            let in_page = PAGE_SIZE - at % PAGE_SIZE;
            let mut piece = vec![0; in_page.min(bytes - copied.len() as u64) as usize];
            if !self.memory.read_physical(at, &mut piece) {
                break;
            }
            copied.extend(piece);
        }
        Ok(copied)
    }
}
