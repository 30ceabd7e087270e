//! DMA adapters (ddi: IoGetDmaAdapter, DMA_OPERATIONS). Devices see physical memory as it is, so map registers are free and
//! a transfer is mapped page by page. No device of this machine transfers by itself: its driver would see nothing happen.

use nt_types::layout::{
    device_description as description, dma_adapter as adapter, dma_operations as operations, mdl,
    scatter_gather_element as element, scatter_gather_list as list,
};
use nt_types::{NtStatus, PAGE_SHIFT, PAGE_SIZE, Va};

use crate::call::{Call, Next, Outcome, Then, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Hal, HalGetAdapter(description: Va, registers: Va), PASSIVE),
    export!(Hal, HalpAllocateAdapterChannel(adapter: Va, device: Va, registers: u32, routine: Va, context: u64), DISPATCH),
    export!(Hal, HalpAllocateCommonBuffer(adapter: Va, length: u32, logical: Va, cached: bool), PASSIVE),
    export!(Hal, HalpCalculateScatterGatherList(adapter: Va, list: Va, address: Va, length: u32, size: Va, registers: Va), DISPATCH),
    export!(Hal, HalpFlushAdapterBuffers(adapter: Va, list: Va, base: Va, address: Va, length: u32, write: bool), DISPATCH),
    export!(Hal, HalpFreeAdapterChannel(adapter: Va), DISPATCH),
    export!(Hal, HalpFreeCommonBuffer(adapter: Va, length: u32, logical: u64, address: Va, cached: bool), PASSIVE),
    export!(Hal, HalpFreeMapRegisters(adapter: Va, base: Va, registers: u32), DISPATCH),
    export!(Hal, HalpGetDmaAlignment(adapter: Va), PASSIVE),
    export!(Hal, HalpGetScatterGatherList(adapter: Va, device: Va, list: Va, address: Va, length: u32, routine: Va, context: u64, write: bool), DISPATCH),
    export!(Hal, HalpMapTransfer(adapter: Va, list: Va, base: Va, address: Va, length: Va, write: bool), DISPATCH),
    export!(Hal, HalpPutDmaAdapter(adapter: Va), DISPATCH),
    export!(Hal, HalpPutScatterGatherList(adapter: Va, list: Va, write: bool), DISPATCH),
    export!(Hal, HalpReadDmaCounter(adapter: Va; ..), DISPATCH),
    export!(Ntoskrnl, IoGetDmaAdapter(device: Va, description: Va, registers: Va), PASSIVE),
];

/// The routines of version 1, in the order of DMA_OPERATIONS, and those of version 2 behind them.
const VERSION_1: [&str; 10] = [
    "HalpPutDmaAdapter",
    "HalpAllocateCommonBuffer",
    "HalpFreeCommonBuffer",
    "HalpAllocateAdapterChannel",
    "HalpFlushAdapterBuffers",
    "HalpFreeAdapterChannel",
    "HalpFreeMapRegisters",
    "HalpMapTransfer",
    "HalpGetDmaAlignment",
    "HalpReadDmaCounter",
];
const VERSION_2: [&str; 3] = ["HalpGetScatterGatherList", "HalpPutScatterGatherList", "HalpCalculateScatterGatherList"];
/// Ours behind the DMA_ADAPTER: the operations, then the highest address that the device reaches.
const OPERATIONS: u64 = adapter::SIZEOF;
const HIGHEST: u64 = OPERATIONS + operations::SIZEOF;
const ADAPTER_BYTES: u64 = HIGHEST + 8;
/// Map registers that one transfer may have: 1 MiB and a page.
const MAP_REGISTERS: u32 = 257;
const DEVICE_DESCRIPTION_VERSION2: u32 = 2;

fn IoGetDmaAdapter(m: &mut Machine, _device: Va, wanted: Va, registers: Va) -> Outcome {
    m.new_dma_adapter(wanted, registers)
}

/// Obsolete, with the same adapter.
fn HalGetAdapter(m: &mut Machine, wanted: Va, registers: Va) -> Outcome {
    m.new_dma_adapter(wanted, registers)
}

fn HalpPutDmaAdapter(m: &mut Machine, object: Va) -> Outcome {
    m.pool_free(object);
    Ok(Next::VOID)
}

fn HalpAllocateCommonBuffer(m: &mut Machine, object: Va, length: u32, logical: Va, _cached: bool) -> Outcome {
    let highest = m.read_u64(object + HIGHEST)?;
    m.probe_write(logical, 8)?;
    let Some(buffer) = m.contiguous(length.into(), highest) else { return Ok(Next::pointer(Va::NULL)) };
    let physical = m.memory.physical(buffer).unwrap_or(0);
    m.write_u64(logical, physical)?;
    Ok(Next::pointer(buffer))
}

fn HalpFreeCommonBuffer(
    m: &mut Machine,
    _object: Va,
    _length: u32,
    _logical: u64,
    address: Va,
    _cached: bool,
) -> Outcome {
    match m.take_pages_back(address) {
        true => Ok(Next::VOID),
        false => Err(m.refuse("FreeCommonBuffer", format!("`{address}`, which is no common buffer"))),
    }
}

/// The routine gets the device's current request and a base of map registers; a bus master keeps those only.
fn HalpAllocateAdapterChannel(
    m: &mut Machine,
    object: Va,
    device: Va,
    registers: u32,
    routine: Va,
    context: u64,
) -> Outcome {
    if registers > MAP_REGISTERS {
        return Ok(Next::status(NtStatus::INSUFFICIENT_RESOURCES));
    }
    let request = m.read_u64(nt_types::layout::device_object::CURRENT_IRP.at(device))?;
    Ok(Next::call(routine, &[device.0, request, object.0, context], Then::Value(0)))
}

fn HalpFreeAdapterChannel(_m: &mut Machine, _object: Va) -> Outcome {
    Ok(Next::VOID)
}

fn HalpFreeMapRegisters(_m: &mut Machine, _object: Va, _base: Va, _registers: u32) -> Outcome {
    Ok(Next::VOID)
}

/// Nothing is held in between: TRUE.
fn HalpFlushAdapterBuffers(
    _m: &mut Machine,
    _object: Va,
    _list: Va,
    _base: Va,
    _address: Va,
    _length: u32,
    _write: bool,
) -> Outcome {
    Ok(Next::Return(1))
}

/// The physical address of the transfer's next part, and how much of it is contiguous.
fn HalpMapTransfer(
    m: &mut Machine,
    _object: Va,
    pages: Va,
    _base: Va,
    address: Va,
    length: Va,
    _write: bool,
) -> Outcome {
    let wanted = m.read_u32(length)?;
    let parts = m.physical_parts(pages, address, wanted)?;
    let (physical, bytes) = parts.first().copied().unwrap_or((0, 0));
    m.write_u32(length, bytes as u32)?;
    Ok(Next::Return(physical))
}

fn HalpGetDmaAlignment(_m: &mut Machine, _object: Va) -> Outcome {
    Ok(Next::Return(1))
}

fn HalpReadDmaCounter(m: &mut Machine, _call: &Call, _object: Va) -> Outcome {
    Err(m.refuse("ReadDmaCounter", "a bus master, which has no counter"))
}

fn HalpCalculateScatterGatherList(
    m: &mut Machine,
    _object: Va,
    _pages: Va,
    address: Va,
    length: u32,
    size: Va,
    registers: Va,
) -> Outcome {
    let pages = (address.page_offset() as u64 + u64::from(length)).div_ceil(PAGE_SIZE);
    m.write_u32(size, (u64::from(list::ELEMENTS.offset) + element::SIZEOF * pages) as u32)?;
    if !registers.is_null() {
        m.write_u32(registers, pages as u32)?;
    }
    Ok(Next::status(NtStatus::SUCCESS))
}

/// Calls the routine with the device's current request and a list of the parts, which HalpPutScatterGatherList frees.
#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn HalpGetScatterGatherList(
    m: &mut Machine,
    _object: Va,
    device: Va,
    pages: Va,
    address: Va,
    length: u32,
    routine: Va,
    context: u64,
    _write: bool,
) -> Outcome {
    let parts = m.physical_parts(pages, address, length)?;
    let bytes = u64::from(list::ELEMENTS.offset) + element::SIZEOF * parts.len() as u64;
    let Some(table) = m.kernel_object(bytes, *b"SgLi") else {
        return Ok(Next::status(NtStatus::INSUFFICIENT_RESOURCES));
    };
    m.write_u32(table, parts.len() as u32)?;
    for (index, (physical, bytes)) in (0..).zip(parts) {
        let at = list::ELEMENTS.at(table) + element::SIZEOF * index;
        m.write_u64(element::ADDRESS.at(at), physical)?;
        m.write_u32(element::LENGTH.at(at), bytes as u32)?;
    }
    let request = m.read_u64(nt_types::layout::device_object::CURRENT_IRP.at(device))?;
    Ok(Next::call(routine, &[device.0, request, table.0, context], Then::Value(0)))
}

fn HalpPutScatterGatherList(m: &mut Machine, _object: Va, table: Va, _write: bool) -> Outcome {
    match m.pool_free(table) {
        Some(_) => Ok(Next::VOID),
        None => Err(m.refuse("PutScatterGatherList", format!("`{table}`, which is no such list"))),
    }
}

impl Machine {
    /// A DMA_ADAPTER for a bus master; NULL for the versions of the routines that there are not, and for a device that would
    /// need a DMA controller of the system, which there is none of.
    pub(crate) fn new_dma_adapter(&mut self, wanted: Va, registers: Va) -> Outcome {
        let version = self.read_u32(description::VERSION.at(wanted))?;
        let is_master = self.read_u8(description::MASTER.at(wanted))? != 0;
        if version > DEVICE_DESCRIPTION_VERSION2 || !is_master {
            return Ok(Next::pointer(Va::NULL));
        }
        let wide = self.read_u8(description::DMA64_BIT_ADDRESSES.at(wanted))? != 0;
        self.write_u32(registers, MAP_REGISTERS)?;
        let Some(object) = self.kernel_object(ADAPTER_BYTES, *b"DmaA") else { return Ok(Next::pointer(Va::NULL)) };
        self.write_u16(adapter::VERSION.at(object), 1)?;
        self.write_u16(adapter::SIZE.at(object), ADAPTER_BYTES as u16)?;
        self.write_u64(adapter::DMA_OPERATIONS.at(object), (object + OPERATIONS).0)?;
        self.write_u64(object + HIGHEST, if wide { u64::MAX } else { u32::MAX.into() })?;
        self.write_dma_operations(object + OPERATIONS, version == DEVICE_DESCRIPTION_VERSION2)?;
        Ok(Next::pointer(object))
    }

    /// The table of routines of version 1 or 2.
    fn write_dma_operations(&mut self, table: Va, second: bool) -> Result<(), Trap> {
        let size = if second { operations::SIZEOF } else { 8 * (1 + VERSION_1.len() as u64) };
        self.write_u32(table, size as u32)?;
        let more: &[&str] = if second { &VERSION_2 } else { &[] };
        for (index, name) in (1..).zip(VERSION_1.iter().chain(more)) {
            let routine = self.kernel_images.export("hal.dll", name).unwrap_or(Va::NULL);
            self.write_u64(table + 8 * index, routine.0)?;
        }
        Ok(())
    }

    /// The contiguous pieces of physical memory behind a part of an MDL, from `address` in the buffer it describes.
    fn physical_parts(&mut self, pages: Va, address: Va, length: u32) -> Result<Vec<(u64, u64)>, Trap> {
        let start = self.read_va(mdl::START_VA.at(pages))?;
        let frames = self.mdl_frames(pages)?;
        let mut parts: Vec<(u64, u64)> = Vec::new();
        let (mut at, mut left) = (address - start, u64::from(length));
        while left > 0 {
            let Some(frame) = frames.get((at / PAGE_SIZE) as usize) else { break };
            let bytes = left.min(PAGE_SIZE - at % PAGE_SIZE);
            let physical = (frame << PAGE_SHIFT) + at % PAGE_SIZE;
            match parts.last_mut() {
                Some((first, length)) if *first + *length == physical => *length += bytes,
                _ => parts.push((physical, bytes)),
            }
            (at, left) = (at + bytes, left - bytes);
        }
        Ok(parts)
    }
}
