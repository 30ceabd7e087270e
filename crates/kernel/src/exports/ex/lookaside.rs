//! Lookaside lists (ddi: ExInitializeNPagedLookasideList, ExInitializeLookasideListEx). Allocation from them and freeing
//! to them is compiled into drivers: the list here holds what that code reads.

use nt_types::layout::{general_lookaside_pool as pool, lookaside_list_ex, npaged_lookaside_list};
use nt_types::{NtStatus, Va};

use crate::call::{Next, Outcome, Then, Trap};
use crate::export;
use crate::exports::{Export, ex};
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, ExDeleteLookasideListEx(list: Va), DISPATCH),
    export!(Ntoskrnl, ExDeleteNPagedLookasideList(list: Va), DISPATCH),
    export!(Ntoskrnl, ExDeletePagedLookasideList(list: Va), APC),
    export!(Ntoskrnl, ExFlushLookasideListEx(list: Va), DISPATCH),
    export!(Ntoskrnl, ExInitializeLookasideListEx(list: Va, allocate: Va, free: Va, kind: u32, flags: u32, size: u64, tag: u32, depth: u16), DISPATCH),
    export!(Ntoskrnl, ExInitializeNPagedLookasideList(list: Va, allocate: Va, free: Va, flags: u32, size: u64, tag: u32, depth: u16), DISPATCH),
    export!(Ntoskrnl, ExInitializePagedLookasideList(list: Va, allocate: Va, free: Va, flags: u32, size: u64, tag: u32, depth: u16), APC),
    export!(Ntoskrnl, ExpLookasideAllocateEx(kind: u32, bytes: u64, tag: u32, list: Va; ..), DISPATCH),
    export!(Ntoskrnl, ExpLookasideFreeEx(entry: Va, list: Va; ..), DISPATCH),
];

const NON_PAGED: u32 = 0;
const PAGED: u32 = 1;
const NON_PAGED_NX: u32 = 512;
/// `POOL_NX_ALLOCATION`, which means NonPagedPoolNx; `POOL_RAISE_IF_ALLOCATION_FAILURE` and the others go to the type.
const POOL_NX_ALLOCATION: u32 = 512;
/// Entries that a list keeps at least: depths below the minimum are raised to it.
const MINIMUM_DEPTH: u16 = 4;
const MAXIMUM_DEPTH: u16 = 256;

/// A list is being emptied.
#[derive(Clone, Copy, Hash, Debug)]
pub struct Emptying {
    list: Va,
    /// The routine takes the list as a second argument.
    extended: bool,
}

impl Emptying {
    /// Frees the next entry, until none is left.
    pub(super) fn run(self, m: &mut Machine) -> Outcome {
        let free = m.read_va(pool::FREE.at(self.list))?;
        match m.pop_slist(pool::LIST_HEAD.at(self.list))? {
            Va::NULL => Ok(Next::VOID),
            entry => {
                let arguments = [entry.0, self.list.0];
                let count = if self.extended { 2 } else { 1 };
                Ok(Next::call(free, &arguments[..count], Then::Ex(ex::Then::Emptying(self))))
            }
        }
    }
}

/// What a new list gets.
struct NewList {
    size_of_list: u64,
    allocate: Va,
    free: Va,
    kind: u32,
    size: u64,
    tag: u32,
}

fn initialize(m: &mut Machine, list: Va, new: &NewList) -> Result<(), Trap> {
    m.fill_bytes(list, 0, new.size_of_list)?;
    m.write_u16(pool::DEPTH.at(list), MINIMUM_DEPTH)?;
    m.write_u16(pool::MAXIMUM_DEPTH.at(list), MAXIMUM_DEPTH)?;
    m.write_u32(pool::TYPE.at(list), new.kind)?;
    m.write_u32(pool::TAG.at(list), new.tag)?;
    m.write_u32(pool::SIZE.at(list), new.size as u32)?;
    m.write_u64(pool::ALLOCATE.at(list), new.allocate.0)?;
    m.write_u64(pool::FREE.at(list), new.free.0)
}

/// A routine of the driver, or the kernel's own where it names none.
fn or_own(m: &Machine, routine: Va, own: &str) -> Va {
    if routine.is_null() { m.kernel_images.export("ntoskrnl.exe", own).unwrap_or(Va::NULL) } else { routine }
}

#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn ExInitializeNPagedLookasideList(
    m: &mut Machine,
    list: Va,
    allocate: Va,
    free: Va,
    flags: u32,
    size: u64,
    tag: u32,
    _depth: u16,
) -> Outcome {
    let kind = if flags & POOL_NX_ALLOCATION != 0 { NON_PAGED_NX } else { NON_PAGED };
    plain(m, list, [allocate, free], kind | flags & !POOL_NX_ALLOCATION, size, tag)
}

#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn ExInitializePagedLookasideList(
    m: &mut Machine,
    list: Va,
    allocate: Va,
    free: Va,
    flags: u32,
    size: u64,
    tag: u32,
    _depth: u16,
) -> Outcome {
    plain(m, list, [allocate, free], PAGED | flags & !POOL_NX_ALLOCATION, size, tag)
}

fn plain(m: &mut Machine, list: Va, [allocate, free]: [Va; 2], kind: u32, size: u64, tag: u32) -> Outcome {
    let (allocate, free) = (or_own(m, allocate, "ExAllocatePoolWithTag"), or_own(m, free, "ExFreePool"));
    initialize(m, list, &NewList { size_of_list: npaged_lookaside_list::SIZEOF, allocate, free, kind, size, tag })?;
    Ok(Next::VOID)
}

#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn ExInitializeLookasideListEx(
    m: &mut Machine,
    list: Va,
    allocate: Va,
    free: Va,
    kind: u32,
    flags: u32,
    size: u64,
    tag: u32,
    _depth: u16,
) -> Outcome {
    /// EX_LOOKASIDE_LIST_EX_FLAGS_RAISE_ON_FAIL and _FAIL_NO_RAISE.
    const RAISE_ON_FAIL: u32 = 1;
    const FAIL_NO_RAISE: u32 = 2;
    if flags & !(RAISE_ON_FAIL | FAIL_NO_RAISE) != 0 || flags == RAISE_ON_FAIL | FAIL_NO_RAISE {
        return Ok(Next::status(NtStatus::INVALID_PARAMETER_5));
    }
    if flags != 0 {
        return Err(m.refuse("ExInitializeLookasideListEx", format!("`Flags` {flags:#x}")));
    }
    let allocate = or_own(m, allocate, "ExpLookasideAllocateEx");
    let free = or_own(m, free, "ExpLookasideFreeEx");
    initialize(m, list, &NewList { size_of_list: lookaside_list_ex::SIZEOF, allocate, free, kind, size, tag })?;
    Ok(Next::status(NtStatus::SUCCESS))
}

/// What an extended list allocates with where the driver names no routine.
fn ExpLookasideAllocateEx(
    m: &mut Machine,
    call: &crate::call::Call,
    kind: u32,
    bytes: u64,
    tag: u32,
    _list: Va,
) -> Outcome {
    super::pool::ExAllocatePoolWithTag(m, call, kind, bytes, tag)
}

fn ExpLookasideFreeEx(m: &mut Machine, call: &crate::call::Call, entry: Va, _list: Va) -> Outcome {
    super::pool::ExFreePool(m, call, entry)
}

fn ExDeleteNPagedLookasideList(m: &mut Machine, list: Va) -> Outcome {
    Emptying { list, extended: false }.run(m)
}

fn ExDeletePagedLookasideList(m: &mut Machine, list: Va) -> Outcome {
    Emptying { list, extended: false }.run(m)
}

fn ExDeleteLookasideListEx(m: &mut Machine, list: Va) -> Outcome {
    Emptying { list, extended: true }.run(m)
}

fn ExFlushLookasideListEx(m: &mut Machine, list: Va) -> Outcome {
    Emptying { list, extended: true }.run(m)
}
