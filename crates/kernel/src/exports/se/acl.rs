//! Access control lists (ddi: RtlCreateAcl, RtlAddAccessAllowedAce).

use nt_types::{NtStatus, Va};

use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, RtlAddAccessAllowedAce(list: Va, revision: u32, mask: u32, sid: Va), APC),
    export!(Ntoskrnl, RtlAddAccessAllowedAceEx(list: Va, revision: u32, flags: u32, mask: u32, sid: Va), APC),
    export!(Ntoskrnl, RtlCreateAcl(list: Va, length: u32, revision: u32), APC),
];

/// ACL: revision, size at 2, number of entries at 4; entries from 8 on.
const SIZE: u64 = 2;
const COUNT: u64 = 4;
const HEADER: u64 = 8;
const OLDEST_REVISION: u32 = 2;
const NEWEST_REVISION: u32 = 4;
const ACCESS_ALLOWED: u8 = 0;

fn RtlCreateAcl(m: &mut Machine, list: Va, length: u32, revision: u32) -> Outcome {
    if u64::from(length) < HEADER {
        return Ok(Next::status(NtStatus::BUFFER_TOO_SMALL));
    }
    let Ok(size) = u16::try_from(length & !3) else { return Ok(Next::status(NtStatus::INVALID_PARAMETER)) };
    if !(OLDEST_REVISION..=NEWEST_REVISION).contains(&revision) {
        return Ok(Next::status(NtStatus::INVALID_PARAMETER));
    }
    m.write_u64(list, u64::from(revision) | u64::from(size) << 16)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

fn RtlAddAccessAllowedAce(m: &mut Machine, list: Va, revision: u32, mask: u32, sid: Va) -> Outcome {
    RtlAddAccessAllowedAceEx(m, list, revision, 0, mask, sid)
}

fn RtlAddAccessAllowedAceEx(m: &mut Machine, list: Va, revision: u32, flags: u32, mask: u32, sid: Va) -> Outcome {
    let sid = m.read_sid(sid)?;
    let own = u32::from(m.read_u8(list)?);
    if own > NEWEST_REVISION || revision > NEWEST_REVISION {
        return Ok(Next::status(NtStatus::REVISION_MISMATCH));
    }
    let Some(end) = m.end_of_entries(list)? else { return Ok(Next::status(NtStatus::INVALID_ACL)) };
    let (size, count) = (u64::from(m.read_u16(list + SIZE)?), m.read_u16(list + COUNT)?);
    let entry = HEADER + sid.len() as u64;
    if end + entry > size {
        return Ok(Next::status(NtStatus::ALLOTTED_SPACE_EXCEEDED));
    }
    let mut bytes = vec![ACCESS_ALLOWED, flags as u8];
    bytes.extend((entry as u16).to_le_bytes());
    bytes.extend(mask.to_le_bytes());
    bytes.extend(sid);
    m.write_bytes(list + end, &bytes)?;
    m.write_u8(list, own.max(revision) as u8)?;
    m.write_u16(list + COUNT, count.wrapping_add(1))?;
    Ok(Next::status(NtStatus::SUCCESS))
}

impl Machine {
    /// The bytes of an access control list.
    pub(super) fn read_acl(&mut self, list: Va) -> Result<Vec<u8>, Trap> {
        let size = self.read_u16(list + SIZE)?;
        self.read_bytes(list, size.into())
    }

    /// Offset of the first byte after the last entry; `None` where the entries leave the list.
    fn end_of_entries(&mut self, list: Va) -> Result<Option<u64>, Trap> {
        let (size, count) = (u64::from(self.read_u16(list + SIZE)?), self.read_u16(list + COUNT)?);
        let mut end = HEADER;
        for _ in 0..count {
            if end + 4 > size {
                return Ok(None);
            }
            end += u64::from(self.read_u16(list + end + 2)?.max(4));
        }
        Ok((end <= size).then_some(end))
    }
}
