//! Decoded code: blocks of operations, keyed by address and content.

use crate::context::Context;
use crate::decode;
use crate::op::{Chain, Op, Stop};
use engine::{Exception, Exit, Fault, Mmu};
use std::collections::HashMap;

/// Operations kept before everything is forgotten: about 16 MiB.
const MOST_OPS: usize = 1 << 18;

/// What a block costs besides its operations, in operations.
const BLOCK_COST: usize = 2;

/// Slots of the table that is looked at first.
const SLOTS: usize = 1 << 12;

/// What a block was decoded from: its address, and the stamps of its page and, where its one instruction straddles two
/// pages, of the second (else 0).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Key {
    pub(crate) address: u64,
    pub(crate) stamps: [u64; 2],
}

/// Consecutive operations that begin in one page. Control enters at the first only.
pub(crate) struct Block<M> {
    pub(crate) key: Key,
    /// Executes `ops` or a part of them from the first on.
    pub(crate) chain: Chain<M>,
    pub(crate) ops: Box<[Op<M>]>,
}

/// The block that was last found for an address.
#[derive(Clone, Copy, Default)]
struct Slot {
    address: u64,
    /// The epoch in which the block was known to be what memory holds.
    epoch: u64,
    block: usize,
}

/// All decoded code.
pub(crate) struct Cache<M> {
    blocks: Vec<Block<M>>,
    by_key: HashMap<Key, usize>,
    recent: Box<[Slot; SLOTS]>,
    ops: usize,
}

impl<M> Default for Cache<M> {
    fn default() -> Self {
        let recent = Box::new([Slot::default(); SLOTS]);
        Cache { blocks: Vec::new(), by_key: HashMap::new(), recent, ops: 0 }
    }
}

impl<M: Mmu> Cache<M> {
    /// The block at the context's RIP, or the exit for code that cannot be fetched.
    #[inline(always)]
    pub(crate) fn find(&mut self, context: &mut Context<'_, M>) -> Result<&Block<M>, Stop> {
        let epoch = context.begin_block();
        let slot = self.recent[slot_of(context.rip)];
        let known = slot.address == context.rip && slot.epoch == epoch && slot.block < self.blocks.len();
        let index = if known { slot.block } else { self.look_up(context, epoch)? };
        Ok(&self.blocks[index])
    }

    /// Finds or decodes the block, and remembers that it is valid.
    #[inline(never)]
    fn look_up(&mut self, context: &mut Context<'_, M>, epoch: u64) -> Result<usize, Stop> {
        let address = context.rip;
        let stamp = context.mmu.fetch(address).map(|span| span.stamp).map_err(|fault| fetch_fault(context, fault))?;
        let block = match self.known(address, stamp) {
            Some(block) => block,
            None => self.decode(context)?,
        };
        self.recent[slot_of(address)] = Slot { address, epoch, block };
        Ok(block)
    }

    /// The block of this address and content, unless its content lies in two pages.
    fn known(&self, address: u64, stamp: u64) -> Option<usize> {
        let key = Key { address, stamps: [stamp, 0] };
        let recent = self.recent[slot_of(address)].block;
        if self.blocks.get(recent).is_some_and(|block| block.key == key) {
            return Some(recent);
        }
        self.by_key.get(&key).copied()
    }

    fn decode(&mut self, context: &mut Context<'_, M>) -> Result<usize, Stop> {
        let block = decode::block(context.mmu, context.rip).map_err(|fault| fetch_fault(context, fault))?;
        if let Some(known) = self.by_key.get(&block.key) {
            return Ok(*known);
        }
        let cost = block.ops.len() + BLOCK_COST;
        if self.ops + cost > MOST_OPS {
            self.clear();
        }
        self.ops += cost;
        self.by_key.insert(block.key, self.blocks.len());
        self.blocks.push(block);
        Ok(self.blocks.len() - 1)
    }

    fn clear(&mut self) {
        self.blocks.clear();
        self.by_key.clear();
        self.recent.fill(Slot::default());
        self.ops = 0;
    }
}

/// Code lies densely: neighbours get different slots, pages are spread.
#[inline(always)]
fn slot_of(address: u64) -> usize {
    ((address ^ (address >> 12)) as usize) % SLOTS
}

#[cold]
fn fetch_fault<M: Mmu>(context: &mut Context<'_, M>, fault: Fault) -> Stop {
    context.exit_at_fetch(match fault {
        Fault::Page(fault) => Exit::PageFault(fault),
        Fault::NonCanonical(_) | Fault::Device(_) => {
            Exit::Exception(Exception { vector: 13, error: Some(0), software: false })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{BLOCK_COST, Cache, MOST_OPS};
    use crate::context::Context;
    use engine::Cpu;
    use engine::flat::{FlatMmu, PAGE_SIZE, Protection};

    const BASE: u64 = 0x10_0000;
    const PAGES: u64 = 30;
    const RET: u8 = 0xc3;

    /// A block at each address of code, together more than may be kept.
    #[test]
    fn what_is_kept_is_bounded() {
        let length = PAGES * PAGE_SIZE;
        assert!(length as usize * (1 + BLOCK_COST) > MOST_OPS);
        let mut memory = FlatMmu::new(BASE, PAGES as usize, Protection::ReadWriteExecute);
        memory.poke(BASE, &vec![RET; length as usize]);
        let (mut cpu, mut cache, mut most) = (Cpu::default(), Cache::default(), 0);
        let mut context = Context::enter(&mut cpu, &mut memory, 1);
        for address in BASE..BASE + length {
            context.rip = address;
            assert_eq!(cache.find(&mut context).expect("code").key.address, address);
            assert_eq!(cache.by_key.len(), cache.blocks.len());
            most = most.max(cache.blocks.len());
        }
        assert!(most * (1 + BLOCK_COST) <= MOST_OPS, "{most} blocks");
        assert!(cache.blocks.len() < most, "everything was forgotten once");
    }
}
