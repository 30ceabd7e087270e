//! Tokens (ddi: ZwOpenProcessTokenEx, ZwQueryInformationToken, SeQueryInformationToken). There is one: the local system.

use nt_types::{NtStatus, Va};

use crate::call::{Call, Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::exports::mm::pool::{Block, PoolKind};
use crate::exports::ob::{Object, ObjectType};
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, SeQueryInformationToken(token: Va, class: u32, information: Va; ..), PASSIVE),
    export!(Ntoskrnl, ZwOpenProcessToken(process: u64, access: u32, token: Va), PASSIVE),
    export!(Ntoskrnl, ZwOpenProcessTokenEx(process: u64, access: u32, attributes: u32, token: Va), PASSIVE),
    export!(Ntoskrnl, ZwOpenThreadTokenEx(thread: u64, access: u32, as_self: bool, attributes: u32, token: Va), PASSIVE),
    export!(Ntoskrnl, ZwQueryInformationToken(token: u64, class: u32, information: Va, length: u32, result: Va), PASSIVE),
];

/// `TokenUser` and `TokenSessionId` of `TOKEN_INFORMATION_CLASS`.
const TOKEN_USER: u32 = 1;
const TOKEN_SESSION_ID: u32 = 12;
/// S-1-5-18.
const LOCAL_SYSTEM: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0];
/// SID_AND_ATTRIBUTES; the SID follows.
const USER_HEADER: u64 = 16;

fn ZwOpenProcessTokenEx(m: &mut Machine, process: u64, _access: u32, attributes: u32, token: Va) -> Outcome {
    m.probe_write(token, 8)?;
    match m.object_of(process) {
        Some(Object::Body(ObjectType::Process, _)) => {}
        Some(_) => return Ok(Next::status(NtStatus::OBJECT_TYPE_MISMATCH)),
        None => return Ok(Next::status(NtStatus::INVALID_HANDLE)),
    }
    let body = m.system_token()?;
    let kernel = attributes & nt_types::constants::OBJ_KERNEL_HANDLE != 0;
    let status = m.give_handle(token, Object::Body(ObjectType::Token, body), kernel)?;
    m.ob.counted.reference(body);
    Ok(Next::status(status))
}

fn ZwOpenProcessToken(m: &mut Machine, process: u64, access: u32, token: Va) -> Outcome {
    ZwOpenProcessTokenEx(m, process, access, 0, token)
}

/// No thread impersonates anybody.
fn ZwOpenThreadTokenEx(
    m: &mut Machine,
    thread: u64,
    _access: u32,
    _as_self: bool,
    _attributes: u32,
    _token: Va,
) -> Outcome {
    Ok(Next::status(match m.object_of(thread) {
        Some(Object::Body(ObjectType::Thread, _)) => NtStatus::NO_TOKEN,
        Some(_) => NtStatus::OBJECT_TYPE_MISMATCH,
        None => NtStatus::INVALID_HANDLE,
    }))
}

/// What a class tells; the SID of a user lies behind its header at `at`.
fn describe(class: u32, at: Va) -> Option<Vec<u8>> {
    match class {
        TOKEN_USER => {
            let header = [(at + USER_HEADER).0, 0].into_iter().flat_map(u64::to_le_bytes);
            Some(header.chain(LOCAL_SYSTEM).collect())
        }
        TOKEN_SESSION_ID => Some(vec![0; 4]),
        _ => None,
    }
}

fn ZwQueryInformationToken(
    m: &mut Machine,
    token: u64,
    class: u32,
    information: Va,
    length: u32,
    result: Va,
) -> Outcome {
    match m.object_of(token) {
        Some(Object::Body(ObjectType::Token, _)) => {}
        Some(_) => return Ok(Next::status(NtStatus::OBJECT_TYPE_MISMATCH)),
        None => return Ok(Next::status(NtStatus::INVALID_HANDLE)),
    }
    let Some(bytes) = describe(class, information) else {
        return Err(m.refuse("ZwQueryInformationToken", format!("`TokenInformationClass` {class}")));
    };
    m.write_u32(result, bytes.len() as u32)?;
    if (length as usize) < bytes.len() {
        return Ok(Next::status(NtStatus::BUFFER_TOO_SMALL));
    }
    m.write_bytes(information, &bytes)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

/// A session identifier goes into the caller's variable itself; everything else into paged pool, which the caller frees.
fn SeQueryInformationToken(m: &mut Machine, call: &Call, token: Va, class: u32, information: Va) -> Outcome {
    if m.type_of_body(token)? != Some(ObjectType::Token) {
        return Err(m.refuse("SeQueryInformationToken", format!("`{token}`, which is no token")));
    }
    m.probe_write(information, 8)?;
    if class == TOKEN_SESSION_ID {
        return m.write_u32(information, 0).map(|()| Next::status(NtStatus::SUCCESS));
    }
    let Some(bytes) = describe(class, Va::NULL) else {
        return Err(m.refuse("SeQueryInformationToken", format!("`TokenInformationClass` {class}")));
    };
    let size = bytes.len() as u64;
    let block = Block { bytes: size, kind: PoolKind::Paged, tag: *b"SeTk", site: call.return_address };
    let Some(address) = m.pool_allocate_resident(block)? else {
        return Ok(Next::status(NtStatus::INSUFFICIENT_RESOURCES));
    };
    m.write_bytes(address, &describe(class, address).unwrap_or_default())?;
    m.write_u64(information, address.0)?;
    Ok(Next::status(NtStatus::SUCCESS))
}
