//! Lists and numbers under a spin lock of the caller (ddi: ExInterlockedInsertHeadList, ExInterlockedPopEntryList,
//! ExInterlockedAddUlong). Each takes the lock with interrupts masked and gives it back, so nothing can come between: lock, list,
//! entries and number "must be resident at all IRQLs".

use nt_types::Va;
use nt_types::layout::list_entry;

use crate::call::{Call, Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, ExInterlockedAddLargeInteger(number: Va, increment: u64, lock: Va; ..), HIGH),
    export!(Ntoskrnl, ExInterlockedAddUlong(number: Va, increment: u32, lock: Va; ..), HIGH),
    export!(Ntoskrnl, ExInterlockedInsertHeadList(head: Va, entry: Va, lock: Va; ..), HIGH),
    export!(Ntoskrnl, ExInterlockedInsertTailList(head: Va, entry: Va, lock: Va; ..), HIGH),
    export!(Ntoskrnl, ExInterlockedPopEntryList(head: Va, lock: Va; ..), HIGH),
    export!(Ntoskrnl, ExInterlockedPushEntryList(head: Va, entry: Va, lock: Va; ..), HIGH),
    export!(Ntoskrnl, ExInterlockedRemoveHeadList(head: Va, lock: Va; ..), HIGH),
];

fn ExInterlockedAddLargeInteger(m: &mut Machine, call: &Call, number: Va, increment: u64, lock: Va) -> Outcome {
    m.interlocked(call, lock, |m| {
        let before = m.read_u64(number)?;
        m.write_u64(number, before.wrapping_add(increment))?;
        Ok(before)
    })
}

fn ExInterlockedAddUlong(m: &mut Machine, call: &Call, number: Va, increment: u32, lock: Va) -> Outcome {
    m.interlocked(call, lock, |m| {
        let before = m.read_u32(number)?;
        m.write_u32(number, before.wrapping_add(increment))?;
        Ok(before.into())
    })
}

/// The entry that was first, or NULL.
fn ExInterlockedInsertHeadList(m: &mut Machine, call: &Call, head: Va, entry: Va, lock: Va) -> Outcome {
    m.interlocked(call, lock, |m| {
        let first = m.read_va(list_entry::FLINK.at(head))?;
        m.link_between(head, entry, first)?;
        Ok(if first == head { 0 } else { first.0 })
    })
}

/// The entry that was last, or NULL.
fn ExInterlockedInsertTailList(m: &mut Machine, call: &Call, head: Va, entry: Va, lock: Va) -> Outcome {
    m.interlocked(call, lock, |m| {
        let last = m.read_va(list_entry::BLINK.at(head))?;
        m.link_between(last, entry, head)?;
        Ok(if last == head { 0 } else { last.0 })
    })
}

fn ExInterlockedRemoveHeadList(m: &mut Machine, call: &Call, head: Va, lock: Va) -> Outcome {
    m.interlocked(call, lock, |m| {
        let first = m.read_va(list_entry::FLINK.at(head))?;
        if first == head {
            return Ok(0);
        }
        m.unlink(first)?;
        Ok(first.0)
    })
}

/// The entry that was first, or NULL.
fn ExInterlockedPushEntryList(m: &mut Machine, call: &Call, head: Va, entry: Va, lock: Va) -> Outcome {
    m.interlocked(call, lock, |m| {
        let first = m.read_va(head)?;
        m.write_u64(entry, first.0)?;
        m.write_u64(head, entry.0)?;
        Ok(first.0)
    })
}

fn ExInterlockedPopEntryList(m: &mut Machine, call: &Call, head: Va, lock: Va) -> Outcome {
    m.interlocked(call, lock, |m| {
        let first = m.read_va(head)?;
        if !first.is_null() {
            let next = m.read_u64(first)?;
            m.write_u64(head, next)?;
        }
        Ok(first.0)
    })
}

impl Machine {
    /// Works with the lock held and interrupts masked; what is out then is out for good. The caller does not run raised: no K26.
    fn interlocked(&mut self, call: &Call, lock: Va, work: impl Fn(&mut Machine) -> Result<u64, Trap>) -> Outcome {
        let old = self.irql();
        self.require_free(lock)?;
        self.mask_interrupts(call.return_address);
        let value = self.past_latent_faults(call.service, |m| {
            m.acquire_spin_lock(lock)?;
            work(m)
        })?;
        self.release_spin_lock(lock)?;
        self.set_irql(old, call.return_address);
        Ok(Next::Return(value))
    }

    /// Puts a LIST_ENTRY between two neighbours.
    pub(crate) fn link_between(&mut self, before: Va, entry: Va, after: Va) -> Result<(), Trap> {
        for address in [before, after, entry] {
            self.probe_write(address, list_entry::SIZEOF)?;
        }
        self.write_u64(list_entry::FLINK.at(entry), after.0)?;
        self.write_u64(list_entry::BLINK.at(entry), before.0)?;
        self.write_u64(list_entry::BLINK.at(after), entry.0)?;
        self.write_u64(list_entry::FLINK.at(before), entry.0)
    }

    /// Takes a LIST_ENTRY out of its list.
    pub(crate) fn unlink(&mut self, entry: Va) -> Result<(), Trap> {
        let after = self.read_va(list_entry::FLINK.at(entry))?;
        let before = self.read_va(list_entry::BLINK.at(entry))?;
        self.probe_write(list_entry::BLINK.at(after), 8)?;
        self.write_u64(list_entry::FLINK.at(before), after.0)?;
        self.write_u64(list_entry::BLINK.at(after), before.0)
    }
}
