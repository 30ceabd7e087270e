//! Access checks (ddi: SeAccessCheck, SeValidSecurityDescriptor, IoGetFileObjectGenericMapping).

use nt_types::{NtStatus, Va, constants as c};

use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoGetFileObjectGenericMapping(), PASSIVE),
    export!(Ntoskrnl, SeAccessCheck(descriptor: Va, context: Va, locked: bool, desired: u32, granted_before: u32, privileges: Va, mapping: Va, mode: u8, granted: Va, status: Va), PASSIVE),
    export!(Ntoskrnl, SeValidSecurityDescriptor(length: u32, descriptor: Va), APC),
];

/// GENERIC_MAPPING of a file: read, write, execute, all.
const FILE_MAPPING: [u32; 4] = [0x0012_0089, 0x0012_0116, 0x0012_00A0, 0x001F_01FF];
const MAXIMUM_ALLOWED: u32 = 0x0200_0000;
/// GENERIC_READ to GENERIC_ALL, in the order of the mapping.
const GENERIC: [u32; 4] = [0x8000_0000, 0x4000_0000, 0x2000_0000, 0x1000_0000];

/// Kernel mode is granted everything. Who would ask in user mode is a program, and there is none.
#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn SeAccessCheck(
    m: &mut Machine,
    _descriptor: Va,
    _context: Va,
    _locked: bool,
    desired: u32,
    granted_before: u32,
    privileges: Va,
    mapping: Va,
    mode: u8,
    granted: Va,
    status: Va,
) -> Outcome {
    if mode != c::KERNEL_MODE as u8 {
        return Err(m.refuse("SeAccessCheck", "`AccessMode` UserMode"));
    }
    let mut access = desired & !GENERIC.iter().fold(MAXIMUM_ALLOWED, |all, bit| all | bit) | granted_before;
    for (index, bit) in (0..).zip(GENERIC) {
        if desired & bit != 0 || (bit == GENERIC[3] && desired & MAXIMUM_ALLOWED != 0) {
            access |= m.read_u32(mapping + 4 * index)?;
        }
    }
    if !privileges.is_null() {
        m.write_u64(privileges, 0)?;
    }
    m.write_u32(granted, access)?;
    m.write_u32(status, NtStatus::SUCCESS.0)?;
    Ok(Next::Return(1))
}

/// For a self-relative descriptor of this many bytes.
fn SeValidSecurityDescriptor(m: &mut Machine, length: u32, descriptor: Va) -> Outcome {
    const RELATIVE_BYTES: u32 = 20;
    const SELF_RELATIVE: u16 = 0x8000;
    if length < RELATIVE_BYTES || m.read_u8(descriptor)? != 1 || m.read_u16(descriptor + 2)? & SELF_RELATIVE == 0 {
        return Ok(Next::Return(0));
    }
    for part in 0..4 {
        if m.read_u32(descriptor + 4 + 4 * part)? >= length {
            return Ok(Next::Return(0));
        }
    }
    Ok(Next::Return(1))
}

/// One table for all callers.
fn IoGetFileObjectGenericMapping(m: &mut Machine) -> Outcome {
    if let Some(known) = m.io.file_mapping {
        return Ok(Next::pointer(known));
    }
    let Some(table) = m.kernel_object(16, *b"GMap") else { return Err(m.no_pool()) };
    let bytes: Vec<u8> = FILE_MAPPING.iter().flat_map(|mask| mask.to_le_bytes()).collect();
    m.write_bytes(table, &bytes)?;
    m.io.file_mapping = Some(table);
    Ok(Next::pointer(table))
}
