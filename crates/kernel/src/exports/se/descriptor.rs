//! Security descriptors (ddi: RtlCreateSecurityDescriptor, RtlSetDaclSecurityDescriptor, RtlAbsoluteToSelfRelativeSD).

use nt_types::{NtStatus, Va};

use crate::call::{Call, Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::exports::mm::pool::{Block, PoolKind};
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, RtlAbsoluteToSelfRelativeSD(absolute: Va, relative: Va, length: Va), APC),
    export!(Ntoskrnl, RtlCreateSecurityDescriptor(descriptor: Va, revision: u32), APC),
    export!(Ntoskrnl, RtlGetDaclSecurityDescriptor(descriptor: Va, present: Va, list: Va, defaulted: Va), APC),
    export!(Ntoskrnl, RtlGetGroupSecurityDescriptor(descriptor: Va, group: Va, defaulted: Va), APC),
    export!(Ntoskrnl, RtlGetOwnerSecurityDescriptor(descriptor: Va, owner: Va, defaulted: Va), APC),
    export!(Ntoskrnl, RtlGetSaclSecurityDescriptor(descriptor: Va, present: Va, list: Va, defaulted: Va), APC),
    export!(Ntoskrnl, RtlLengthSecurityDescriptor(descriptor: Va), APC),
    export!(Ntoskrnl, RtlSetDaclSecurityDescriptor(descriptor: Va, present: bool, list: Va, defaulted: bool), APC),
    export!(Ntoskrnl, RtlSetGroupSecurityDescriptor(descriptor: Va, group: Va, defaulted: bool), APC),
    export!(Ntoskrnl, RtlSetOwnerSecurityDescriptor(descriptor: Va, owner: Va, defaulted: bool), APC),
    export!(Ntoskrnl, RtlValidSecurityDescriptor(descriptor: Va), APC),
    export!(Ntoskrnl, SeCaptureSecurityDescriptor(descriptor: Va, mode: u8, pool: u32, capture: bool, captured: Va; ..), PASSIVE),
    export!(Ntoskrnl, SeReleaseSecurityDescriptor(descriptor: Va, mode: u8, captured: bool), PASSIVE),
];

const REVISION: u8 = 1;
const CONTROL: u64 = 2;
/// Control bits: defaulted and present for each part, and the form.
const SELF_RELATIVE: u16 = 0x8000;
/// SECURITY_DESCRIPTOR has pointers from 8 on, SECURITY_DESCRIPTOR_RELATIVE offsets from 4 on.
const ABSOLUTE_SIZE: u64 = 40;
const RELATIVE_SIZE: u64 = 20;

/// A part of a descriptor, in the order in which both forms have them.
#[derive(Clone, Copy)]
struct Part {
    index: u64,
    defaulted: u16,
    /// 0 for parts that are present wherever they are not null.
    present: u16,
    is_list: bool,
}

const OWNER: Part = Part { index: 0, defaulted: 0x01, present: 0, is_list: false };
const GROUP: Part = Part { index: 1, defaulted: 0x02, present: 0, is_list: false };
const SACL: Part = Part { index: 2, defaulted: 0x20, present: 0x10, is_list: true };
const DACL: Part = Part { index: 3, defaulted: 0x08, present: 0x04, is_list: true };
const PARTS: [Part; 4] = [OWNER, GROUP, SACL, DACL];

fn RtlCreateSecurityDescriptor(m: &mut Machine, descriptor: Va, revision: u32) -> Outcome {
    if revision != REVISION.into() {
        return Ok(Next::status(NtStatus::UNKNOWN_REVISION));
    }
    m.fill_bytes(descriptor, 0, ABSOLUTE_SIZE)?;
    m.write_u8(descriptor, REVISION)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

fn RtlValidSecurityDescriptor(m: &mut Machine, descriptor: Va) -> Outcome {
    Ok(Next::Return((m.read_u8(descriptor)? == REVISION).into()))
}

fn RtlSetDaclSecurityDescriptor(m: &mut Machine, descriptor: Va, present: bool, list: Va, defaulted: bool) -> Outcome {
    let list = if present { list } else { Va::NULL };
    set(m, DACL, descriptor, present, list, defaulted)
}

fn RtlSetOwnerSecurityDescriptor(m: &mut Machine, descriptor: Va, owner: Va, defaulted: bool) -> Outcome {
    set(m, OWNER, descriptor, true, owner, defaulted)
}

fn RtlSetGroupSecurityDescriptor(m: &mut Machine, descriptor: Va, group: Va, defaulted: bool) -> Outcome {
    set(m, GROUP, descriptor, true, group, defaulted)
}

fn set(m: &mut Machine, part: Part, descriptor: Va, present: bool, value: Va, defaulted: bool) -> Outcome {
    let control = m.read_u16(descriptor + CONTROL)?;
    if control & SELF_RELATIVE != 0 {
        return Ok(Next::status(NtStatus::INVALID_SECURITY_DESCR));
    }
    let bits = if present { part.present } else { 0 } | if defaulted { part.defaulted } else { 0 };
    m.write_u16(descriptor + CONTROL, control & !(part.present | part.defaulted) | bits)?;
    m.write_u64(descriptor + 8 + 8 * part.index, value.0)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

fn RtlGetDaclSecurityDescriptor(m: &mut Machine, descriptor: Va, present: Va, list: Va, defaulted: Va) -> Outcome {
    get_list(m, DACL, descriptor, present, list, defaulted)
}

fn RtlGetSaclSecurityDescriptor(m: &mut Machine, descriptor: Va, present: Va, list: Va, defaulted: Va) -> Outcome {
    get_list(m, SACL, descriptor, present, list, defaulted)
}

/// List and `defaulted` are stored only where the list is present, as documented.
fn get_list(m: &mut Machine, part: Part, descriptor: Va, present: Va, list: Va, defaulted: Va) -> Outcome {
    let control = m.read_u16(descriptor + CONTROL)?;
    let is_present = control & part.present != 0;
    m.write_u8(present, is_present.into())?;
    if is_present {
        let value = m.part_of(descriptor, part)?;
        m.write_u64(list, value.0)?;
        m.write_u8(defaulted, (control & part.defaulted != 0).into())?;
    }
    Ok(Next::status(NtStatus::SUCCESS))
}

fn RtlGetOwnerSecurityDescriptor(m: &mut Machine, descriptor: Va, owner: Va, defaulted: Va) -> Outcome {
    get_sid(m, OWNER, descriptor, owner, defaulted)
}

fn RtlGetGroupSecurityDescriptor(m: &mut Machine, descriptor: Va, group: Va, defaulted: Va) -> Outcome {
    get_sid(m, GROUP, descriptor, group, defaulted)
}

fn get_sid(m: &mut Machine, part: Part, descriptor: Va, sid: Va, defaulted: Va) -> Outcome {
    let control = m.read_u16(descriptor + CONTROL)?;
    let value = m.part_of(descriptor, part)?;
    m.write_u64(sid, value.0)?;
    m.write_u8(defaulted, (control & part.defaulted != 0).into())?;
    Ok(Next::status(NtStatus::SUCCESS))
}

fn RtlLengthSecurityDescriptor(m: &mut Machine, descriptor: Va) -> Outcome {
    let control = m.read_u16(descriptor + CONTROL)?;
    let header = if control & SELF_RELATIVE != 0 { RELATIVE_SIZE } else { ABSOLUTE_SIZE };
    let mut length = header;
    for part in PARTS {
        length += m.bytes_of(descriptor, part)?.len().next_multiple_of(4) as u64;
    }
    Ok(Next::Return(length))
}

fn RtlAbsoluteToSelfRelativeSD(m: &mut Machine, absolute: Va, relative: Va, length: Va) -> Outcome {
    if m.read_u16(absolute + CONTROL)? & SELF_RELATIVE != 0 {
        return Ok(Next::status(NtStatus::BAD_DESCRIPTOR_FORMAT));
    }
    let bytes = m.self_relative(absolute)?;
    let room = m.read_u32(length)?;
    if (room as usize) < bytes.len() {
        m.write_u32(length, bytes.len() as u32)?;
        return Ok(Next::status(NtStatus::BUFFER_TOO_SMALL));
    }
    m.write_bytes(relative, &bytes)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

/// A copy in pool, which SeReleaseSecurityDescriptor or ExFreePool frees; kernel callers may ask to keep the original.
fn SeCaptureSecurityDescriptor(
    m: &mut Machine,
    call: &Call,
    descriptor: Va,
    mode: u8,
    _pool: u32,
    capture: bool,
    captured: Va,
) -> Outcome {
    m.probe_write(captured, 8)?;
    if descriptor.is_null() || (mode == 0 && !capture) {
        m.write_u64(captured, descriptor.0)?;
        return Ok(Next::status(NtStatus::SUCCESS));
    }
    if m.read_u8(descriptor)? != REVISION {
        return Ok(Next::status(NtStatus::UNKNOWN_REVISION));
    }
    let bytes = m.self_relative(descriptor)?;
    let block = Block { bytes: bytes.len() as u64, kind: PoolKind::Paged, tag: *b"Se  ", site: call.return_address };
    let Some(copy) = m.pool_allocate_resident(block)? else {
        return Ok(Next::status(NtStatus::INSUFFICIENT_RESOURCES));
    };
    m.write_bytes(copy, &bytes)?;
    m.write_u64(captured, copy.0)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

fn SeReleaseSecurityDescriptor(m: &mut Machine, descriptor: Va, mode: u8, captured: bool) -> Outcome {
    if !descriptor.is_null() && (mode != 0 || captured) {
        m.pool_free(descriptor);
    }
    Ok(Next::status(NtStatus::SUCCESS))
}

impl Machine {
    /// Address of a part; null where there is none.
    fn part_of(&mut self, descriptor: Va, part: Part) -> Result<Va, Trap> {
        let control = self.read_u16(descriptor + CONTROL)?;
        if control & SELF_RELATIVE == 0 {
            return self.read_va(descriptor + 8 + 8 * part.index);
        }
        let offset = self.read_u32(descriptor + 4 + 4 * part.index)?;
        Ok(if offset == 0 { Va::NULL } else { descriptor + u64::from(offset) })
    }

    fn bytes_of(&mut self, descriptor: Va, part: Part) -> Result<Vec<u8>, Trap> {
        match self.part_of(descriptor, part)? {
            Va::NULL => Ok(Vec::new()),
            list if part.is_list => self.read_acl(list),
            sid => self.read_sid(sid),
        }
    }

    /// The same descriptor in self-relative form.
    fn self_relative(&mut self, descriptor: Va) -> Result<Vec<u8>, Trap> {
        let control = self.read_u16(descriptor + CONTROL)? | SELF_RELATIVE;
        let mut bytes = vec![0; RELATIVE_SIZE as usize];
        bytes[0] = REVISION;
        bytes[2..4].copy_from_slice(&control.to_le_bytes());
        for part in PARTS {
            let content = self.bytes_of(descriptor, part)?;
            if !content.is_empty() {
                let (offset, slot) = (bytes.len() as u32, 4 + 4 * part.index as usize);
                bytes[slot..slot + 4].copy_from_slice(&offset.to_le_bytes());
                bytes.extend(content);
                bytes.resize(bytes.len().next_multiple_of(4), 0);
            }
        }
        Ok(bytes)
    }
}
