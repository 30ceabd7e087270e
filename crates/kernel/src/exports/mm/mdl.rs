//! Memory descriptor lists and user buffers.

use memory::{Backing, Protection, Region};
use nt_types::layout::mdl;
use nt_types::{PAGE_SIZE, Va};

use crate::call::Trap;
use crate::machine::Machine;
use crate::stop::Limit;

/// `MdlFlags`.
const MDL_SOURCE_IS_NONPAGED_POOL: u16 = 0x4;

impl Machine {
    /// An MDL that describes a nonpaged buffer (what IoAllocateMdl and MmBuildMdlForNonPagedPool make).
    pub(crate) fn new_nonpaged_mdl(&mut self, buffer: Va, length: u32) -> Result<Option<Va>, Trap> {
        let pages = (buffer.page_offset() as u64 + u64::from(length)).div_ceil(PAGE_SIZE);
        let size = mdl::SIZEOF + 8 * pages;
        let Some(list) = self.kernel_object(size, *b"Mdl ") else { return Ok(None) };
        self.write_u16(mdl::SIZE.at(list), size as u16)?;
        self.write_u16(mdl::MDL_FLAGS.at(list), MDL_SOURCE_IS_NONPAGED_POOL)?;
        self.write_u64(mdl::MAPPED_SYSTEM_VA.at(list), buffer.0)?;
        self.write_u64(mdl::START_VA.at(list), buffer.page_down().0)?;
        self.write_u32(mdl::BYTE_COUNT.at(list), length)?;
        self.write_u32(mdl::BYTE_OFFSET.at(list), buffer.page_offset() as u32)?;
        for page in 0..pages {
            let frame = self.memory.physical(buffer.page_down() + page * PAGE_SIZE).unwrap_or(0) / PAGE_SIZE;
            self.write_u64(list + mdl::SIZEOF + 8 * page, frame)?;
        }
        Ok(Some(list))
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
