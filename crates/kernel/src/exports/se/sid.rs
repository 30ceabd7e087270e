//! Security identifiers (ddi: RtlLengthSid, RtlInitializeSid, RtlEqualSid), and those that `SeExports` names.

use nt_types::{NtStatus, Va};

use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, RtlCopySid(room: u32, destination: Va, source: Va), APC),
    export!(Ntoskrnl, RtlEqualSid(first: Va, second: Va), HIGH),
    export!(Ntoskrnl, RtlInitializeSid(sid: Va, authority: Va, count: u8), APC),
    export!(Ntoskrnl, RtlLengthRequiredSid(count: u32), APC),
    export!(Ntoskrnl, RtlLengthSid(sid: Va), APC),
    export!(Ntoskrnl, RtlSubAuthorityCountSid(sid: Va), APC),
    export!(Ntoskrnl, RtlSubAuthoritySid(sid: Va, index: u32), APC),
    export!(Ntoskrnl, RtlValidSid(sid: Va), APC),
];

/// SID: revision, number of sub-authorities, six bytes of authority, sub-authorities of four bytes each.
const COUNT: u64 = 1;
const AUTHORITY: u64 = 2;
const SUB_AUTHORITIES: u64 = 8;
const REVISION: u8 = 1;
const MAX_SUB_AUTHORITIES: u8 = 15;

/// Bytes of a SID with this many sub-authorities.
pub(super) fn length_of(count: u8) -> u64 {
    SUB_AUTHORITIES + 4 * u64::from(count)
}

fn RtlLengthSid(m: &mut Machine, sid: Va) -> Outcome {
    Ok(Next::Return(length_of(m.read_u8(sid + COUNT)?)))
}

fn RtlLengthRequiredSid(_m: &mut Machine, count: u32) -> Outcome {
    Ok(Next::Return(SUB_AUTHORITIES + 4 * u64::from(count)))
}

fn RtlInitializeSid(m: &mut Machine, sid: Va, authority: Va, count: u8) -> Outcome {
    let authority = m.read_bytes(authority, 6)?;
    if count > MAX_SUB_AUTHORITIES {
        return Ok(Next::status(NtStatus::INVALID_PARAMETER));
    }
    m.write_u8(sid, REVISION)?;
    m.write_u8(sid + COUNT, count)?;
    m.write_bytes(sid + AUTHORITY, &authority)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

fn RtlSubAuthoritySid(_m: &mut Machine, sid: Va, index: u32) -> Outcome {
    Ok(Next::pointer(sid + SUB_AUTHORITIES + 4 * u64::from(index)))
}

fn RtlSubAuthorityCountSid(_m: &mut Machine, sid: Va) -> Outcome {
    Ok(Next::pointer(sid + COUNT))
}

fn RtlValidSid(m: &mut Machine, sid: Va) -> Outcome {
    let valid = m.read_u8(sid)? == REVISION && m.read_u8(sid + COUNT)? <= MAX_SUB_AUTHORITIES;
    Ok(Next::Return(valid.into()))
}

fn RtlEqualSid(m: &mut Machine, first: Va, second: Va) -> Outcome {
    let equal = m.read_sid(first)? == m.read_sid(second)?;
    Ok(Next::Return(equal.into()))
}

fn RtlCopySid(m: &mut Machine, room: u32, destination: Va, source: Va) -> Outcome {
    let sid = m.read_sid(source)?;
    if sid.len() as u64 > u64::from(room) {
        return Ok(Next::status(NtStatus::BUFFER_TOO_SMALL));
    }
    m.write_bytes(destination, &sid)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

/// A member of SE_EXPORTS, in its order.
enum Member {
    /// The LUID of a privilege.
    Privilege(u32),
    /// A SID: authority, sub-authorities.
    Sid(u8, &'static [u32]),
}

use Member::{Privilege as P, Sid as S};

/// SE_EXPORTS (ddi: ntifs SE_EXPORTS; values: docs Well-known SIDs, Privilege constants).
const SE_EXPORTS: &[Member] = &[
    P(2),
    P(3),
    P(4),
    P(5),
    P(6),
    P(7),
    P(8),
    P(9),
    P(10),
    P(15),
    P(14),
    P(11),
    P(12),
    P(13),
    P(16),
    P(17),
    P(18),
    P(19),
    P(20),
    P(21),
    P(22),
    P(23),
    P(24),
    S(0, &[0]),
    S(1, &[0]),
    S(2, &[0]),
    S(3, &[0]),
    S(3, &[1]),
    S(5, &[]),
    S(5, &[1]),
    S(5, &[2]),
    S(5, &[3]),
    S(5, &[4]),
    S(5, &[18]),
    S(5, &[32, 544]),
    S(5, &[32, 545]),
    S(5, &[32, 546]),
    S(5, &[32, 547]),
    S(5, &[32, 548]),
    S(5, &[32, 549]),
    S(5, &[32, 550]),
    S(5, &[32, 551]),
    S(5, &[11]),
    S(5, &[12]),
    S(5, &[7]),
    P(25),
    P(26),
    P(27),
    S(5, &[19]),
    S(5, &[20]),
    P(28),
    P(29),
    P(30),
    P(31),
    P(32),
    P(33),
    P(34),
    P(35),
    S(5, &[17]),
    S(16, &[0]),
    S(16, &[4096]),
    S(16, &[8192]),
    S(16, &[12288]),
    S(16, &[16384]),
    S(3, &[4]),
];

impl Machine {
    /// The bytes of a SID.
    pub(super) fn read_sid(&mut self, sid: Va) -> Result<Vec<u8>, Trap> {
        let count = self.read_u8(sid + COUNT)?;
        self.read_bytes(sid, length_of(count))
    }

    /// Makes what the variable `SeExports` points at.
    pub(crate) fn make_security_exports(&mut self) -> Result<(), Trap> {
        let mut table = Vec::new();
        for member in SE_EXPORTS {
            let value = match member {
                Member::Privilege(luid) => u64::from(*luid),
                Member::Sid(authority, rest) => self.new_sid(*authority, rest)?.0,
            };
            table.extend(value.to_le_bytes());
        }
        let Some(exports) = self.kernel_object(table.len() as u64, *b"SeEx") else { return Err(self.no_pool()) };
        self.write_bytes(exports, &table)?;
        self.set_variable("SeExports", exports)
    }

    fn new_sid(&mut self, authority: u8, rest: &[u32]) -> Result<Va, Trap> {
        let mut bytes = vec![REVISION, rest.len() as u8, 0, 0, 0, 0, 0, authority];
        bytes.extend(rest.iter().flat_map(|part| part.to_le_bytes()));
        let Some(sid) = self.kernel_object(bytes.len() as u64, *b"SeSi") else { return Err(self.no_pool()) };
        self.write_bytes(sid, &bytes)?;
        Ok(sid)
    }
}
