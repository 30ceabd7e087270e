//! Lists and numbers under a spin lock of the caller (ddi: ExInterlockedInsertHeadList, ExInterlockedPopEntryList,
//! ExInterlockedAddUlong). Each takes the lock at `HIGH_LEVEL` and gives it back, so nothing can come between.

use nt_types::Va;
use nt_types::layout::list_entry;

use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, ExInterlockedAddLargeInteger(number: Va, increment: u64, lock: Va), HIGH),
    export!(Ntoskrnl, ExInterlockedAddUlong(number: Va, increment: u32, lock: Va), HIGH),
    export!(Ntoskrnl, ExInterlockedInsertHeadList(head: Va, entry: Va, lock: Va), HIGH),
    export!(Ntoskrnl, ExInterlockedInsertTailList(head: Va, entry: Va, lock: Va), HIGH),
    export!(Ntoskrnl, ExInterlockedPopEntryList(head: Va, lock: Va), HIGH),
    export!(Ntoskrnl, ExInterlockedPushEntryList(head: Va, entry: Va, lock: Va), HIGH),
    export!(Ntoskrnl, ExInterlockedRemoveHeadList(head: Va, lock: Va), HIGH),
];

fn ExInterlockedAddLargeInteger(m: &mut Machine, number: Va, increment: u64, lock: Va) -> Outcome {
    m.require_free(lock)?;
    let before = m.read_u64(number)?;
    m.write_u64(number, before.wrapping_add(increment))?;
    Ok(Next::Return(before))
}

fn ExInterlockedAddUlong(m: &mut Machine, number: Va, increment: u32, lock: Va) -> Outcome {
    m.require_free(lock)?;
    let before = m.read_u32(number)?;
    m.write_u32(number, before.wrapping_add(increment))?;
    Ok(Next::Return(before.into()))
}

/// The entry that was first, or NULL.
fn ExInterlockedInsertHeadList(m: &mut Machine, head: Va, entry: Va, lock: Va) -> Outcome {
    m.require_free(lock)?;
    let first = m.read_va(list_entry::FLINK.at(head))?;
    m.link_between(head, entry, first)?;
    Ok(Next::pointer(if first == head { Va::NULL } else { first }))
}

/// The entry that was last, or NULL.
fn ExInterlockedInsertTailList(m: &mut Machine, head: Va, entry: Va, lock: Va) -> Outcome {
    m.require_free(lock)?;
    let last = m.read_va(list_entry::BLINK.at(head))?;
    m.link_between(last, entry, head)?;
    Ok(Next::pointer(if last == head { Va::NULL } else { last }))
}

fn ExInterlockedRemoveHeadList(m: &mut Machine, head: Va, lock: Va) -> Outcome {
    m.require_free(lock)?;
    let first = m.read_va(list_entry::FLINK.at(head))?;
    if first == head {
        return Ok(Next::pointer(Va::NULL));
    }
    m.unlink(first)?;
    Ok(Next::pointer(first))
}

/// The entry that was first, or NULL.
fn ExInterlockedPushEntryList(m: &mut Machine, head: Va, entry: Va, lock: Va) -> Outcome {
    m.require_free(lock)?;
    let first = m.read_va(head)?;
    m.write_u64(entry, first.0)?;
    m.write_u64(head, entry.0)?;
    Ok(Next::pointer(first))
}

fn ExInterlockedPopEntryList(m: &mut Machine, head: Va, lock: Va) -> Outcome {
    m.require_free(lock)?;
    let first = m.read_va(head)?;
    if !first.is_null() {
        let next = m.read_u64(first)?;
        m.write_u64(head, next)?;
    }
    Ok(Next::pointer(first))
}

impl Machine {
    /// Puts a LIST_ENTRY between two neighbours.
    pub(crate) fn link_between(&mut self, before: Va, entry: Va, after: Va) -> Result<(), crate::call::Trap> {
        for address in [before, after, entry] {
            self.probe_write(address, list_entry::SIZEOF)?;
        }
        self.write_u64(list_entry::FLINK.at(entry), after.0)?;
        self.write_u64(list_entry::BLINK.at(entry), before.0)?;
        self.write_u64(list_entry::BLINK.at(after), entry.0)?;
        self.write_u64(list_entry::FLINK.at(before), entry.0)
    }

    /// Takes a LIST_ENTRY out of its list.
    pub(crate) fn unlink(&mut self, entry: Va) -> Result<(), crate::call::Trap> {
        let after = self.read_va(list_entry::FLINK.at(entry))?;
        let before = self.read_va(list_entry::BLINK.at(entry))?;
        self.probe_write(list_entry::BLINK.at(after), 8)?;
        self.write_u64(list_entry::FLINK.at(before), after.0)?;
        self.write_u64(list_entry::BLINK.at(after), before.0)
    }
}
