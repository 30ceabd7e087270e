//! Pool allocation as drivers call it (ddi: ExAllocatePoolWithTag, ExAllocatePool2, ExFreePoolWithTag).

use memory::Region;
use nt_types::{BugCheck, BugCheckCode, NtStatus, Va, constants as c};

use crate::call::{Call, Next, Outcome, Trap};
use crate::event::EventKind;
use crate::export;
use crate::exports::Export;
use crate::exports::mm::pool::{Block, PoolKind};
use crate::exports::mm::special_pool::{Side, is_special};
use crate::machine::Machine;
use crate::routine::ObjectKind;
use crate::stop::{Cause, PoolMisuse, StopKind};

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, ExAllocatePool(kind: u32, bytes: u64; ..), DISPATCH),
    export!(Ntoskrnl, ExAllocatePool2(flags: u64, bytes: u64, tag: u32; ..), DISPATCH),
    export!(Ntoskrnl, ExAllocatePoolWithQuotaTag(kind: u32, bytes: u64, tag: u32; ..), DISPATCH),
    export!(Ntoskrnl, ExAllocatePoolWithTag(kind: u32, bytes: u64, tag: u32; ..), DISPATCH),
    export!(Ntoskrnl, ExAllocatePoolWithTagPriority(kind: u32, bytes: u64, tag: u32, priority: u32; ..), DISPATCH),
    export!(Ntoskrnl, ExFreePool(address: Va; ..), DISPATCH),
    export!(Ntoskrnl, ExFreePoolWithTag(address: Va, tag: u32; ..), DISPATCH),
];

/// `EX_POOL_PRIORITY`: the usual one, and the bits of those that ask for special pool at the start of its page.
const NORMAL_POOL_PRIORITY: u32 = 16;
const SPECIAL_POOL_UNDERRUN: u32 = 9;
const NO_TAG: u32 = u32::from_le_bytes(*b"None");

fn ExAllocatePool(m: &mut Machine, call: &Call, kind: u32, bytes: u64) -> Outcome {
    ExAllocatePoolWithTag(m, call, kind, bytes, NO_TAG)
}

pub(super) fn ExAllocatePoolWithTag(m: &mut Machine, call: &Call, kind: u32, bytes: u64, tag: u32) -> Outcome {
    ExAllocatePoolWithTagPriority(m, call, kind, bytes, tag, NORMAL_POOL_PRIORITY)
}

fn ExAllocatePoolWithTagPriority(
    m: &mut Machine,
    call: &Call,
    kind: u32,
    bytes: u64,
    tag: u32,
    priority: u32,
) -> Outcome {
    let side = if priority & SPECIAL_POOL_UNDERRUN == SPECIAL_POOL_UNDERRUN { Side::Start } else { Side::End };
    match allocate(m, call, kind_of(kind), [bytes, tag.into()], |m, block| Ok(m.pool_allocate_at(block, side)))? {
        Some(address) => Ok(Next::pointer(address)),
        None if kind & c::POOL_RAISE_IF_ALLOCATION_FAILURE != 0 => Err(Trap::Raise(NtStatus::INSUFFICIENT_RESOURCES)),
        None => Ok(Next::pointer(Va::NULL)),
    }
}

fn ExAllocatePoolWithQuotaTag(m: &mut Machine, call: &Call, kind: u32, bytes: u64, tag: u32) -> Outcome {
    match allocate(m, call, kind_of(kind), [bytes, tag.into()], |m, block| Ok(m.pool_allocate(block)))? {
        Some(address) => Ok(Next::pointer(address)),
        None if kind & c::POOL_QUOTA_FAIL_INSTEAD_OF_RAISE != 0 => Ok(Next::pointer(Va::NULL)),
        None => Err(Trap::Raise(NtStatus::INSUFFICIENT_RESOURCES)),
    }
}

fn ExAllocatePool2(m: &mut Machine, call: &Call, flags: u64, bytes: u64, tag: u32) -> Outcome {
    let kind = if flags & u64::from(c::POOL_FLAG_PAGED) != 0 { PoolKind::Paged } else { PoolKind::NonPaged };
    let zeroed = flags & u64::from(c::POOL_FLAG_UNINITIALIZED) == 0;
    // What is to be zeroed has to be in memory.
    let found = allocate(m, call, kind, [bytes, tag.into()], |m, block| match zeroed {
        true => m.pool_allocate_resident(block),
        false => Ok(m.pool_allocate(block)),
    })?;
    let Some(address) = found else {
        return match flags & u64::from(c::POOL_FLAG_RAISE_ON_FAILURE) {
            0 => Ok(Next::pointer(Va::NULL)),
            _ => Err(Trap::Raise(NtStatus::INSUFFICIENT_RESOURCES)),
        };
    };
    if zeroed {
        m.fill_bytes(address, 0, bytes)?;
    }
    Ok(Next::pointer(address))
}

fn kind_of(pool_type: u32) -> PoolKind {
    if pool_type & c::PAGED_POOL != 0 { PoolKind::Paged } else { PoolKind::NonPaged }
}

/// Finds a block of so many bytes with this tag.
fn allocate(
    m: &mut Machine,
    call: &Call,
    kind: PoolKind,
    [bytes, tag]: [u64; 2],
    find: impl FnOnce(&mut Machine, Block) -> Result<Option<Va>, Trap>,
) -> Result<Option<Va>, Trap> {
    /// More than any driver has reason to ask for; NT refuses such sizes too.
    const LARGEST: u64 = 1 << 30;
    let (tagged, tag) = (tag as u32 != NO_TAG, (tag as u32).to_le_bytes());
    let block = Block { bytes, kind, tag, site: call.return_address };
    let found = if bytes > LARGEST { None } else { find(m, block)? };
    m.pool_asked_for(tagged, found);
    let Some(address) = found else { return Ok(None) };
    m.record(EventKind::Allocated { address, bytes, tag, paged: kind == PoolKind::Paged });
    Ok(Some(address))
}

pub(super) fn ExFreePool(m: &mut Machine, call: &Call, address: Va) -> Outcome {
    ExFreePoolWithTag(m, call, address, 0)
}

/// Bug check 0xC2 for what is no block, and, subtype 0xA, for a wrong tag: P2 address, P3 tag of the block, P4 tag passed.
fn ExFreePoolWithTag(m: &mut Machine, call: &Call, address: Va, tag: u32) -> Outcome {
    const PROTECTED_POOL: u32 = 0x8000_0000;
    let Some(block) = m.mm.pool.block(address) else {
        if is_special(address) {
            return Err(m.bad_special_address(call.return_address, address));
        }
        return Err(m.not_allocated(call.return_address, bad_address(m, address), address));
    };
    let block_tag = u32::from_le_bytes(block.tag);
    if tag != 0 && (tag ^ block_tag) & !PROTECTED_POOL != 0 {
        let misuse = PoolMisuse::WrongTag { address, passed: tag.to_le_bytes(), actual: block.tag };
        return Err(bad_caller(m, call.return_address, [0xA, address.0, u64::from(block_tag), u64::from(tag)], misuse));
    }
    let bytes = block.bytes;
    check_objects(m, call, address, bytes)?;
    m.check_beside(call.return_address, address)?;
    m.pool_free(address);
    m.record(EventKind::Freed { address });
    Ok(Next::VOID)
}

/// 0xE4: a work item that is still queued lies in the block. 0xC7: a timer or DPC (docs: debugger/bug-check-0xc7), subtype 0 and 1, P2 the
/// object, P3 and P4 the range.
fn check_objects(m: &mut Machine, call: &Call, address: Va, bytes: u64) -> Result<(), Trap> {
    if let Some(item) = m.queued_work_in(address, bytes) {
        return Err(m.work_freed(call.return_address, item, address, bytes));
    }
    let timer = m.queued_timer_in(address, bytes).map(|timer| (0, timer, ObjectKind::Timer));
    let queued = timer.or_else(|| Some((1, m.queued_dpc_in(address, bytes)?, ObjectKind::Dpc)));
    let Some((subtype, found, object)) = queued else { return Ok(()) };
    let parameters = [subtype, found.0, address.0, address.0 + bytes];
    let check = BugCheck { code: BugCheckCode::TIMER_OR_DPC_INVALID, parameters };
    let cause = Cause::GoingAway { object, address: found };
    Err(m.stop_at(call.return_address, StopKind::BugCheck(check, cause)).into())
}

/// The parameters of bug check 0xC2 for an address at which no block begins. Freed blocks have no header here that would say
/// so: theirs is an address of pool that is not allocated.
fn bad_address(m: &Machine, address: Va) -> [u64; 4] {
    const SYSTEM_SPACE: u64 = 0xFFFF_8000_0000_0000;
    match Region::of(address) {
        _ if !address.is_kernel() => [0x40, address.0, SYSTEM_SPACE, 0],
        _ if m.mm.pool.block_around(address).is_some() => [0x46, address.0, 0, 0],
        Some(Region::NonpagedPool) => [0x44, address.0, 0, 0],
        Some(Region::PagedPool) => [0x48, address.0, 0, 0],
        _ => [0x42, address.0, 0, 0],
    }
}

fn bad_caller(m: &mut Machine, caller: Va, parameters: [u64; 4], misuse: PoolMisuse) -> Trap {
    let check = BugCheck { code: BugCheckCode::BAD_POOL_CALLER, parameters };
    m.stop_at(caller, StopKind::BugCheck(check, Cause::Pool(misuse))).into()
}

impl Machine {
    /// The stop for an address that is given back and was not allocated.
    pub(crate) fn not_allocated(&mut self, caller: Va, parameters: [u64; 4], address: Va) -> Trap {
        bad_caller(self, caller, parameters, PoolMisuse::NotABlock { address })
    }
}
