//! Memory descriptor lists: making, filling and freeing them (docs: kernel/using-mdls; ddi: IoAllocateMdl,
//! MmBuildMdlForNonPagedPool, IoBuildPartialMdl).

use memory::{Backing, Protection, Region};
use nt_types::constants as c;
use nt_types::layout::{irp, mdl};
use nt_types::{PAGE_SHIFT, PAGE_SIZE, Va};

use super::pool::{Block, PoolKind};
use crate::call::{Call, Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;
use crate::stop::{Limit, PageMisuse};

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoAllocateMdl(buffer: Va, length: u32, secondary: bool, quota: bool, request: Va; ..), DISPATCH),
    export!(Ntoskrnl, IoBuildPartialMdl(source: Va, target: Va, buffer: Va, length: u32; ..), DISPATCH),
    export!(Ntoskrnl, IoFreeMdl(list: Va; ..), DISPATCH),
    export!(Ntoskrnl, MmBuildMdlForNonPagedPool(list: Va; ..), DISPATCH),
    export!(Ntoskrnl, MmCreateMdl(list: Va, buffer: Va, length: u64; ..), DISPATCH),
    export!(Ntoskrnl, MmSizeOfMdl(buffer: Va, length: u64), HIGH),
];

/// Longest buffer of an MDL: its size must fit into the 16 bits of `Size`.
const MAX_PAGES: u64 = (u16::MAX as u64 - mdl::SIZEOF) / 8;

/// Pages that a buffer touches (ADDRESS_AND_SIZE_TO_SPAN_PAGES).
pub(super) fn pages_of(buffer: Va, length: u64) -> u64 {
    (buffer.page_offset() as u64).saturating_add(length).div_ceil(PAGE_SIZE)
}

fn size_of(buffer: Va, length: u64) -> u64 {
    mdl::SIZEOF + 8 * pages_of(buffer, length)
}

fn MmSizeOfMdl(_m: &mut Machine, buffer: Va, length: u64) -> Outcome {
    Ok(Next::Return(size_of(buffer, length)))
}

fn IoAllocateMdl(
    m: &mut Machine,
    call: &Call,
    buffer: Va,
    length: u32,
    secondary: bool,
    _quota: bool,
    request: Va,
) -> Outcome {
    let link = if request.is_null() { None } else { Some(m.mdl_link(request, secondary)?) };
    let list = m.new_mdl(buffer, length.into(), call.return_address)?.unwrap_or(Va::NULL);
    if let Some(link) = link.filter(|_| !list.is_null()) {
        m.write_u64(link, list.0)?;
    }
    Ok(Next::pointer(list))
}

fn MmCreateMdl(m: &mut Machine, call: &Call, list: Va, buffer: Va, length: u64) -> Outcome {
    if list.is_null() {
        return Ok(Next::pointer(m.new_mdl(buffer, length, call.return_address)?.unwrap_or(Va::NULL)));
    }
    m.initialize_mdl(list, buffer, length)?;
    Ok(Next::pointer(list))
}

fn IoFreeMdl(m: &mut Machine, call: &Call, list: Va) -> Outcome {
    let flags = m.mdl_flags(list)?;
    if flags & c::MDL_PARTIAL_HAS_BEEN_MAPPED != 0 {
        m.unmap_mdl(list, call.return_address)?;
    }
    m.check_beside(call.return_address, list)?;
    if m.pool_free(list).is_none() {
        return Err(m.refuse("IoFreeMdl", format!("`{list}`, which is no MDL from IoAllocateMdl")));
    }
    Ok(Next::VOID)
}

fn MmBuildMdlForNonPagedPool(m: &mut Machine, call: &Call, list: Va) -> Outcome {
    m.describe_nonpaged(list, call.return_address)?;
    Ok(Next::VOID)
}

fn IoBuildPartialMdl(m: &mut Machine, call: &Call, source: Va, target: Va, buffer: Va, length: u32) -> Outcome {
    let whole = m.mdl_extent(source)?;
    let offset = buffer - whole.buffer();
    let length = if length == 0 { whole.bytes.wrapping_sub(offset) } else { u64::from(length) };
    if offset.checked_add(length).is_none_or(|end| end > whole.bytes) {
        let misuse = PageMisuse::PartOutside { source, target, address: buffer, bytes: length };
        return Err(m.page_misuse(call.return_address, misuse));
    }
    let pages = pages_of(buffer, length);
    if mdl::SIZEOF + 8 * pages > u64::from(m.read_u16(mdl::SIZE.at(target))?) {
        let misuse = PageMisuse::PartTooLarge { target, pages };
        return Err(m.page_misuse(call.return_address, misuse));
    }
    let frames = m.mdl_frames(source)?;
    let first = (buffer.page_down() - whole.start) / PAGE_SIZE;
    let part: Vec<u64> = frames.iter().skip(first as usize).take(pages as usize).copied().collect();
    let (flags, old) = (m.mdl_flags(source)?, m.mdl_flags(target)?);
    let mapped = m.read_u64(mdl::MAPPED_SYSTEM_VA.at(source))?;
    let is_mapped = flags & (c::MDL_MAPPED_TO_SYSTEM_VA | c::MDL_SOURCE_IS_NONPAGED_POOL) != 0;
    let inherited = flags & (c::MDL_SOURCE_IS_NONPAGED_POOL | c::MDL_IO_SPACE | c::MDL_WRITE_OPERATION);
    let parent = if flags & c::MDL_MAPPED_TO_SYSTEM_VA != 0 { c::MDL_PARENT_MAPPED_SYSTEM_VA } else { 0 };
    let mapped = if is_mapped { mapped.wrapping_add(offset) } else { 0 };
    m.initialize_mdl_part(target, buffer, length)?;
    m.write_mdl_frames(target, &part)?;
    m.write_u64(mdl::MAPPED_SYSTEM_VA.at(target), mapped)?;
    m.set_mdl_flags(target, old & c::MDL_ALLOCATED_FIXED_SIZE | c::MDL_PARTIAL | inherited | parent)?;
    Ok(Next::VOID)
}

/// The buffer that an MDL describes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// First page.
    pub(crate) start: Va,
    /// Offset of the first byte in it.
    pub(crate) offset: u64,
    /// Bytes.
    pub(crate) bytes: u64,
}

impl Extent {
    /// First byte.
    pub(crate) fn buffer(&self) -> Va {
        self.start + self.offset
    }

    /// Pages.
    pub(crate) fn pages(&self) -> u64 {
        (self.offset + self.bytes).div_ceil(PAGE_SIZE)
    }
}

impl Machine {
    /// Where the address of the next MDL of a request goes.
    fn mdl_link(&mut self, request: Va, secondary: bool) -> Result<Va, Trap> {
        const MAX_LISTS: usize = 4096;
        let mut link = irp::MDL_ADDRESS.at(request);
        if secondary {
            for _ in 0..MAX_LISTS {
                match self.read_va(link)? {
                    Va::NULL => break,
                    next => link = mdl::NEXT.at(next),
                }
            }
        }
        Ok(link)
    }

    pub(crate) fn new_mdl(&mut self, buffer: Va, length: u64, site: Va) -> Result<Option<Va>, Trap> {
        if pages_of(buffer, length) > MAX_PAGES {
            return Ok(None);
        }
        let block = Block { bytes: size_of(buffer, length), kind: PoolKind::NonPaged, tag: *b"Mdl ", site };
        let Some(list) = self.pool_allocate(block) else { return Ok(None) };
        self.initialize_mdl(list, buffer, length)?;
        Ok(Some(list))
    }

    /// What the macro MmInitializeMdl does.
    fn initialize_mdl(&mut self, list: Va, buffer: Va, length: u64) -> Result<(), Trap> {
        self.fill_bytes(list, 0, mdl::SIZEOF)?;
        self.write_u16(mdl::SIZE.at(list), size_of(buffer, length) as u16)?;
        self.initialize_mdl_part(list, buffer, length)
    }

    fn initialize_mdl_part(&mut self, list: Va, buffer: Va, length: u64) -> Result<(), Trap> {
        self.write_u64(mdl::START_VA.at(list), buffer.page_down().0)?;
        self.write_u32(mdl::BYTE_OFFSET.at(list), buffer.page_offset() as u32)?;
        self.write_u32(mdl::BYTE_COUNT.at(list), length as u32)
    }

    pub(crate) fn mdl_extent(&mut self, list: Va) -> Result<Extent, Trap> {
        let start = self.read_va(mdl::START_VA.at(list))?;
        let offset = u64::from(self.read_u32(mdl::BYTE_OFFSET.at(list))?);
        let bytes = u64::from(self.read_u32(mdl::BYTE_COUNT.at(list))?);
        Ok(Extent { start, offset, bytes })
    }

    pub(crate) fn mdl_flags(&mut self, list: Va) -> Result<u32, Trap> {
        self.read_u16(mdl::MDL_FLAGS.at(list)).map(u32::from)
    }

    pub(crate) fn set_mdl_flags(&mut self, list: Va, flags: u32) -> Result<(), Trap> {
        self.write_u16(mdl::MDL_FLAGS.at(list), flags as u16)
    }

    /// The page frame numbers behind an MDL.
    pub(crate) fn mdl_frames(&mut self, list: Va) -> Result<Vec<u64>, Trap> {
        let pages = self.mdl_extent(list)?.pages();
        let bytes = self.read_bytes(list + mdl::SIZEOF, 8 * pages)?;
        let (numbers, _) = bytes.as_chunks::<8>();
        Ok(numbers.iter().map(|number| u64::from_le_bytes(*number)).collect())
    }

    pub(crate) fn write_mdl_frames(&mut self, list: Va, frames: &[u64]) -> Result<(), Trap> {
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.to_le_bytes()).collect();
        self.write_bytes(list + mdl::SIZEOF, &bytes)
    }

    /// An MDL that describes a nonpaged buffer (what IoAllocateMdl and MmBuildMdlForNonPagedPool make).
    pub(crate) fn new_nonpaged_mdl(&mut self, buffer: Va, length: u32) -> Result<Option<Va>, Trap> {
        let Some(list) = self.new_mdl(buffer, length.into(), Va::NULL)? else { return Ok(None) };
        self.describe_nonpaged(list, Va::NULL)?;
        Ok(Some(list))
    }

    /// What MmBuildMdlForNonPagedPool does. It brings nothing in: what is not resident is no nonpaged memory.
    fn describe_nonpaged(&mut self, list: Va, caller: Va) -> Result<(), Trap> {
        let (extent, flags) = (self.mdl_extent(list)?, self.mdl_flags(list)?);
        let mut frames = Vec::new();
        for page in (0..extent.pages()).map(|page| extent.start + page * PAGE_SIZE) {
            let Some(physical) = self.memory.physical(page) else {
                let misuse = PageMisuse::NotResident { list, page };
                return Err(self.page_misuse(caller, misuse));
            };
            frames.push(physical >> PAGE_SHIFT);
        }
        self.write_mdl_frames(list, &frames)?;
        self.write_u64(mdl::MAPPED_SYSTEM_VA.at(list), extent.buffer().0)?;
        self.write_u64(mdl::PROCESS.at(list), 0)?;
        let device = frames.iter().any(|frame| !self.memory.is_ram(frame << PAGE_SHIFT));
        let io_space = if device { c::MDL_IO_SPACE } else { 0 };
        self.set_mdl_flags(list, flags | c::MDL_SOURCE_IS_NONPAGED_POOL | io_space)
    }

    /// A buffer in the lower half, as a program would pass it.
    pub(crate) fn user_buffer(&mut self, data: &[u8], length: u32) -> Result<Va, Trap> {
        let size = u64::from(length).max(data.len() as u64);
        if size == 0 {
            return Ok(Va::NULL);
        }
        let pages = size.div_ceil(PAGE_SIZE);
        let buffer = self.memory.allocate(Region::User, pages, Backing::Resident, Protection::READ_WRITE);
        let Ok(buffer) = buffer else { return Err(self.limit_stop(Limit::Resource("frames for a user buffer"))) };
        self.write_bytes(buffer, data)?;
        Ok(buffer)
    }
}
