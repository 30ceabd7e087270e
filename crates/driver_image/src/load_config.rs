//! The load configuration (PE format, "The Load Configuration Structure").

use core::mem::offset_of;

use nt_types::Rva;
use object::pe::ImageLoadConfigDirectory64 as Layout;

use crate::read::TableReader;
use crate::{DataDirectory, Directory, Image, ImageError};

/// Offsets of the pointers that came after the structure [`Layout`] knows.
const XFG_CHECK: usize = size_of::<Layout>() + 16;
const XFG_DISPATCH: usize = XFG_CHECK + 8;
const XFG_TABLE_DISPATCH: usize = XFG_DISPATCH + 8;

/// Places that a loader initialises, or that code calls through. Each place holds eight bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct LoadConfig {
    /// The stack cookie `__security_cookie`, which the loader sets to a random value.
    pub security_cookie: Option<Rva>,
    /// Pointer to the function that checks the target of an indirect call (`__guard_check_icall_fptr`).
    pub guard_check: Option<Rva>,
    /// Pointer to the function that checks a target and goes there (`__guard_dispatch_icall_fptr`).
    pub guard_dispatch: Option<Rva>,
    /// As [`guard_check`](LoadConfig::guard_check), for code that passes a hash of the function's type.
    pub guard_xfg_check: Option<Rva>,
    /// As [`guard_dispatch`](LoadConfig::guard_dispatch), for code that passes a hash of the function's type.
    pub guard_xfg_dispatch: Option<Rva>,
    /// The same for calls through tables.
    pub guard_xfg_table_dispatch: Option<Rva>,
    /// `GuardFlags`.
    pub guard_flags: u32,
}

impl LoadConfig {
    /// Decodes the load configuration of an image that was not relocated. Fields that the image's version of the
    /// structure does not have, and pointers out of the image, count as absent.
    pub(crate) fn read(image: &mut Image, table: DataDirectory) -> Result<LoadConfig, ImageError> {
        if table.is_absent() {
            return Ok(LoadConfig::default());
        }
        let (base, size_of_image) = (image.headers().preferred_base, image.headers().size_of_image);
        let mut reader = TableReader::new(image, Directory::LoadConfig);
        // The directory's own size is often that of an early version; the structure's first field holds the true one.
        let size = reader.u32(table.rva)? as usize;
        let mut bytes = [0; XFG_TABLE_DISPATCH + 8];
        let present = size.min(bytes.len());
        reader.bytes(table.rva, &mut bytes[..present])?;
        let place = |offset: usize| {
            let address = u64::from_le_bytes(*bytes[offset..].first_chunk()?);
            let rva = u32::try_from(address.checked_sub(base.0)?).ok()?;
            (rva <= size_of_image.checked_sub(8)?).then_some(Rva(rva))
        };
        let flags = bytes[offset_of!(Layout, guard_flags)..].first_chunk().copied().unwrap_or_default();
        Ok(LoadConfig {
            security_cookie: place(offset_of!(Layout, security_cookie)),
            guard_check: place(offset_of!(Layout, guard_cf_check_function_pointer)),
            guard_dispatch: place(offset_of!(Layout, guard_cf_dispatch_function_pointer)),
            guard_xfg_check: place(XFG_CHECK),
            guard_xfg_dispatch: place(XFG_DISPATCH),
            guard_xfg_table_dispatch: place(XFG_TABLE_DISPATCH),
            guard_flags: u32::from_le_bytes(flags),
        })
    }
}
