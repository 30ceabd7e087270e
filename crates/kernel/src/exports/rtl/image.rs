//! Parts of images in memory (ddi: RtlImageNtHeader, RtlImageDirectoryEntryToData, RtlFindExportedRoutineByName).

use nt_types::Va;

use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, RtlImageDirectoryEntryToData(base: Va, mapped: bool, entry: u16, size: Va), PASSIVE),
    export!(Ntoskrnl, RtlImageNtHeader(base: Va), PASSIVE),
];

/// `IMAGE_DOS_HEADER.e_lfanew`, and the signatures of both headers.
const LFANEW: u64 = 0x3C;
const DOS_SIGNATURE: u16 = 0x5A4D;
const NT_SIGNATURE: u32 = 0x4550;
const PE32_PLUS: u16 = 0x20B;
/// From the NT headers: magic number, number of directories, first directory.
const MAGIC: u64 = 0x18;
const DIRECTORY_COUNT: u64 = 0x84;
const DIRECTORIES: u64 = 0x88;
/// Headers lie in the first pages.
const MAX_LFANEW: u32 = 0x1000_0000;

fn RtlImageNtHeader(m: &mut Machine, base: Va) -> Outcome {
    Ok(Next::pointer(m.nt_headers(base)?.unwrap_or(Va::NULL)))
}

/// NULL and size 0 for a directory that the image does not have. Only images as they are mapped are modelled: a file as it
/// lies on the disk has its sections elsewhere.
fn RtlImageDirectoryEntryToData(m: &mut Machine, base: Va, mapped: bool, entry: u16, size: Va) -> Outcome {
    m.write_u32(size, 0)?;
    // The low bits of a base mark a mapping as a file, which the parameter then says too.
    if !mapped || base.0 & 3 != 0 {
        return Err(m.refuse("RtlImageDirectoryEntryToData", "`MappedAsImage` FALSE"));
    }
    let Some(headers) = m.nt_headers(base)? else { return Ok(Next::pointer(Va::NULL)) };
    if m.read_u16(headers + MAGIC)? != PE32_PLUS || u32::from(entry) >= m.read_u32(headers + DIRECTORY_COUNT)? {
        return Ok(Next::pointer(Va::NULL));
    }
    let directory = headers + DIRECTORIES + 8 * u64::from(entry);
    let (rva, bytes) = (m.read_u32(directory)?, m.read_u32(directory + 4)?);
    if rva == 0 {
        return Ok(Next::pointer(Va::NULL));
    }
    m.write_u32(size, bytes)?;
    Ok(Next::pointer(base + u64::from(rva)))
}

impl Machine {
    fn nt_headers(&mut self, base: Va) -> Result<Option<Va>, Trap> {
        if base.is_null() || self.read_u16(base)? != DOS_SIGNATURE {
            return Ok(None);
        }
        let offset = self.read_u32(base + LFANEW)?;
        if offset >= MAX_LFANEW {
            return Ok(None);
        }
        let headers = base + u64::from(offset);
        Ok((self.read_u32(headers)? == NT_SIGNATURE).then_some(headers))
    }
}
