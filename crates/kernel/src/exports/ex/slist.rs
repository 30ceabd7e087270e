//! Sequenced lists (ddi: ExInterlockedPushEntrySList, InitializeSListHead). SLIST_HEADER holds the depth in 16 bits, a
//! sequence number in the other 48 of its first word, and the first entry in the second word, whose low 4 bits are not
//! part of the address.

use nt_types::Va;
use nt_types::layout::slist_header;

use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, ExInterlockedFlushSList = ExpInterlockedFlushSList(head: Va), HIGH),
    export!(Ntoskrnl, ExQueryDepthSList(head: Va), DISPATCH),
    export!(Ntoskrnl, ExpInterlockedFlushSList(head: Va), DISPATCH),
    export!(Ntoskrnl, ExpInterlockedPopEntrySList(head: Va), DISPATCH),
    export!(Ntoskrnl, ExpInterlockedPushEntrySList(head: Va, entry: Va), DISPATCH),
    export!(Ntoskrnl, InitializeSListHead(head: Va), HIGH),
];

const DEPTH: u64 = 0xFFFF;
const ONE_IN_SEQUENCE: u64 = 0x1_0000;
const NOT_ADDRESS: u64 = 0xF;

fn InitializeSListHead(m: &mut Machine, head: Va) -> Outcome {
    m.fill_bytes(head, 0, slist_header::SIZEOF)?;
    Ok(Next::VOID)
}

/// The entry that was first, or NULL.
fn ExpInterlockedPushEntrySList(m: &mut Machine, head: Va, entry: Va) -> Outcome {
    let (counts, first) = read(m, head)?;
    m.write_u64(entry, first.0)?;
    write(m, head, counts.wrapping_add(1 + ONE_IN_SEQUENCE), entry)?;
    Ok(Next::pointer(first))
}

fn ExpInterlockedPopEntrySList(m: &mut Machine, head: Va) -> Outcome {
    Ok(Next::pointer(m.pop_slist(head)?))
}

/// The first entry of the list that was, or NULL.
fn ExpInterlockedFlushSList(m: &mut Machine, head: Va) -> Outcome {
    let (counts, first) = read(m, head)?;
    write(m, head, counts & !DEPTH, Va::NULL)?;
    Ok(Next::pointer(first))
}

fn ExQueryDepthSList(m: &mut Machine, head: Va) -> Outcome {
    Ok(Next::Return(m.read_u64(head)? & DEPTH))
}

fn read(m: &mut Machine, head: Va) -> Result<(u64, Va), Trap> {
    Ok((m.read_u64(head)?, Va(m.read_u64(slist_header::REGION.at(head))? & !NOT_ADDRESS)))
}

fn write(m: &mut Machine, head: Va, counts: u64, first: Va) -> Result<(), Trap> {
    m.write_u64(head, counts)?;
    m.write_u64(slist_header::REGION.at(head), first.0)
}

impl Machine {
    /// Takes the first entry of a sequenced list, or NULL.
    pub(super) fn pop_slist(&mut self, head: Va) -> Result<Va, Trap> {
        let (counts, first) = read(self, head)?;
        if !first.is_null() {
            let next = self.read_va(first)?;
            write(self, head, counts.wrapping_sub(1), next)?;
        }
        Ok(first)
    }
}
