//! Device queues (ddi: KeInitializeDeviceQueue, KeInsertDeviceQueue, KeRemoveDeviceQueue). An entry that finds the queue
//! not busy is not queued: it makes the queue busy.

use nt_types::Va;
use nt_types::layout::{kdevice_queue as queue, kdevice_queue_entry as entry};

use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, KeInitializeDeviceQueue(queue: Va), DISPATCH),
    export!(Ntoskrnl, KeInsertByKeyDeviceQueue(queue: Va, entry: Va, key: u32), DISPATCH..=DISPATCH),
    export!(Ntoskrnl, KeInsertDeviceQueue(queue: Va, entry: Va), DISPATCH..=DISPATCH),
    export!(Ntoskrnl, KeRemoveByKeyDeviceQueue(queue: Va, key: u32), DISPATCH..=DISPATCH),
    export!(Ntoskrnl, KeRemoveByKeyDeviceQueueIfBusy(queue: Va, key: u32), DISPATCH),
    export!(Ntoskrnl, KeRemoveDeviceQueue(queue: Va), DISPATCH..=DISPATCH),
    export!(Ntoskrnl, KeRemoveEntryDeviceQueue(queue: Va, entry: Va), DISPATCH),
];

/// `DeviceQueueObject` of `KOBJECTS`.
const DEVICE_QUEUE_OBJECT: u16 = 20;
/// Longest list that is followed: a driver may have made it circular.
const MAX_ENTRIES: usize = 1 << 16;

fn KeInitializeDeviceQueue(m: &mut Machine, queue: Va) -> Outcome {
    m.initialize_device_queue(queue)?;
    Ok(Next::VOID)
}

fn KeInsertDeviceQueue(m: &mut Machine, queue: Va, entry: Va) -> Outcome {
    Ok(Next::Return(m.insert_device_queue(queue, entry, None)?.into()))
}

fn KeInsertByKeyDeviceQueue(m: &mut Machine, queue: Va, entry: Va, key: u32) -> Outcome {
    Ok(Next::Return(m.insert_device_queue(queue, entry, Some(key))?.into()))
}

fn KeRemoveDeviceQueue(m: &mut Machine, queue: Va) -> Outcome {
    Ok(Next::pointer(m.remove_device_queue(queue, None)?))
}

fn KeRemoveByKeyDeviceQueue(m: &mut Machine, queue: Va, key: u32) -> Outcome {
    Ok(Next::pointer(m.remove_device_queue(queue, Some(key))?))
}

fn KeRemoveByKeyDeviceQueueIfBusy(m: &mut Machine, queue_at: Va, key: u32) -> Outcome {
    match m.read_u8(queue::BUSY.at(queue_at))? {
        0 => Ok(Next::pointer(Va::NULL)),
        _ => KeRemoveByKeyDeviceQueue(m, queue_at, key),
    }
}

/// FALSE where the entry is in no queue.
fn KeRemoveEntryDeviceQueue(m: &mut Machine, _queue: Va, entry_at: Va) -> Outcome {
    let inserted = m.read_u8(entry::INSERTED.at(entry_at))? != 0;
    if inserted {
        m.take_entry(entry_at)?;
    }
    Ok(Next::Return(inserted.into()))
}

impl Machine {
    pub(crate) fn initialize_device_queue(&mut self, queue_at: Va) -> Result<(), Trap> {
        let head = queue::DEVICE_LIST_HEAD.at(queue_at);
        self.fill_bytes(queue_at, 0, queue::SIZEOF)?;
        self.write_u16(queue::TYPE.at(queue_at), DEVICE_QUEUE_OBJECT)?;
        self.write_u16(queue::SIZE.at(queue_at), queue::SIZEOF as u16)?;
        self.write_u64(head, head.0)?;
        self.write_u64(head + 8, head.0)
    }

    /// Queues an entry: at the end, or behind the last one whose key is not larger. False where the queue was not busy.
    pub(crate) fn insert_device_queue(&mut self, queue_at: Va, entry_at: Va, key: Option<u32>) -> Result<bool, Trap> {
        self.probe_write(entry_at, entry::SIZEOF)?;
        let busy = self.read_u8(queue::BUSY.at(queue_at))? != 0;
        let head = queue::DEVICE_LIST_HEAD.at(queue_at);
        if busy {
            let before = match key {
                None => self.read_va(head + 8)?,
                Some(key) => self.last_not_above(head, key)?,
            };
            let after = self.read_va(before)?;
            self.link_between(before, entry_at, after)?;
        }
        self.write_u8(queue::BUSY.at(queue_at), 1)?;
        self.write_u32(entry::SORT_KEY.at(entry_at), key.unwrap_or(0))?;
        self.write_u8(entry::INSERTED.at(entry_at), busy.into())?;
        Ok(busy)
    }

    /// Takes the first entry, or the first whose key is not smaller, or the first of all where there is none. With an empty
    /// queue NULL, and it is not busy any more.
    pub(crate) fn remove_device_queue(&mut self, queue_at: Va, key: Option<u32>) -> Result<Va, Trap> {
        let head = queue::DEVICE_LIST_HEAD.at(queue_at);
        let first = self.read_va(head)?;
        if first == head {
            self.write_u8(queue::BUSY.at(queue_at), 0)?;
            return Ok(Va::NULL);
        }
        let chosen = match key {
            None => first,
            Some(key) => self.first_not_below(head, key)?.unwrap_or(first),
        };
        self.take_entry(chosen)?;
        Ok(chosen)
    }

    fn take_entry(&mut self, entry_at: Va) -> Result<(), Trap> {
        self.unlink(entry_at)?;
        self.write_u8(entry::INSERTED.at(entry_at), 0)
    }

    fn last_not_above(&mut self, head: Va, key: u32) -> Result<Va, Trap> {
        let mut at = self.read_va(head + 8)?;
        for _ in 0..MAX_ENTRIES {
            if at == head || self.read_u32(entry::SORT_KEY.at(at))? <= key {
                break;
            }
            at = self.read_va(at + 8)?;
        }
        Ok(at)
    }

    fn first_not_below(&mut self, head: Va, key: u32) -> Result<Option<Va>, Trap> {
        let mut at = self.read_va(head)?;
        for _ in 0..MAX_ENTRIES {
            if at == head {
                break;
            }
            if self.read_u32(entry::SORT_KEY.at(at))? >= key {
                return Ok(Some(at));
            }
            at = self.read_va(at)?;
        }
        Ok(None)
    }
}
