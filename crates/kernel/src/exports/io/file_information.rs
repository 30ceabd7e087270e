//! Information about files, by class (ddi: ZwQueryInformationFile, ZwSetInformationFile, ZwQueryVolumeInformationFile). Some
//! classes the I/O manager answers itself; the others are requests for the driver.

use nt_types::layout::{device_object, file_object, io_stack_location as sl, io_status_block, irp};
use nt_types::{NtStatus, Va, constants as c};

use super::file_io::Common;
use crate::call::{Call, Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, NtQueryInformationFile = ZwQueryInformationFile(file: u64, status: Va, information: Va, length: u32, class: u32; ..), PASSIVE),
    export!(Ntoskrnl, NtSetInformationFile = ZwSetInformationFile(file: u64, status: Va, information: Va, length: u32, class: u32; ..), PASSIVE),
    export!(Ntoskrnl, ZwQueryInformationFile(file: u64, status: Va, information: Va, length: u32, class: u32; ..), PASSIVE),
    export!(Ntoskrnl, ZwQueryVolumeInformationFile(file: u64, status: Va, information: Va, length: u32, class: u32; ..), PASSIVE),
    export!(Ntoskrnl, ZwSetInformationFile(file: u64, status: Va, information: Va, length: u32, class: u32; ..), PASSIVE),
];

/// `FilePositionInformation`, which the I/O manager answers itself, and `FileFsDeviceInformation`.
const FILE_POSITION_INFORMATION: u32 = 14;
const FILE_FS_DEVICE_INFORMATION: u32 = 4;

fn ZwQueryInformationFile(
    m: &mut Machine,
    _call: &Call,
    file: u64,
    status: Va,
    information: Va,
    length: u32,
    class: u32,
) -> Outcome {
    let common = Common::plain("ZwQueryInformationFile", file, status);
    ask(m, common, c::IRP_MJ_QUERY_INFORMATION, (information, length), class)
}

fn ZwSetInformationFile(
    m: &mut Machine,
    _call: &Call,
    file: u64,
    status: Va,
    information: Va,
    length: u32,
    class: u32,
) -> Outcome {
    let common = Common::plain("ZwSetInformationFile", file, status);
    ask(m, common, c::IRP_MJ_SET_INFORMATION, (information, length), class)
}

fn ZwQueryVolumeInformationFile(
    m: &mut Machine,
    _call: &Call,
    file: u64,
    status: Va,
    information: Va,
    length: u32,
    class: u32,
) -> Outcome {
    let common = Common::plain("ZwQueryVolumeInformationFile", file, status);
    ask(m, common, c::IRP_MJ_QUERY_VOLUME_INFORMATION, (information, length), class)
}

/// Information about a file, through a system buffer. Some classes the I/O manager knows itself.
fn ask(m: &mut Machine, common: Common, major: u32, (information, length): (Va, u32), class: u32) -> Outcome {
    let (file, back) = match common.resolve(m)? {
        Ok(resolved) => resolved,
        Err(status) => return Ok(Next::status(status)),
    };
    let sets = major == c::IRP_MJ_SET_INFORMATION;
    let data = if sets { m.read_bytes(information, length.into())? } else { Vec::new() };
    if let Some(status) = own_answer(m, file, major, class, (information, length))? {
        m.write_u32(common.status, status.0)?;
        m.write_u64(io_status_block::INFORMATION.at(common.status), if sets { 0 } else { 8 })?;
        return Ok(Next::status(status));
    }
    let device = m.device_of_file(file)?;
    let (request, stack) = m.built_request(device, major, &back)?;
    m.write_u32(sl::PARAMETERS_QUERY_FILE_LENGTH.at(stack), length)?;
    m.write_u32(sl::PARAMETERS_QUERY_FILE_FILE_INFORMATION_CLASS.at(stack), class)?;
    m.write_u64(irp::USER_BUFFER.at(request), information.0)?;
    m.give_system_buffer(request, &data, length, if sets { 0 } else { c::IRP_INPUT_OPERATION })?;
    common.send(m, file, request, None)
}

fn own_answer(
    m: &mut Machine,
    file: Va,
    major: u32,
    class: u32,
    (information, length): (Va, u32),
) -> Result<Option<NtStatus>, Trap> {
    let position = file_object::CURRENT_BYTE_OFFSET.at(file);
    let known = match (major, class) {
        (c::IRP_MJ_QUERY_VOLUME_INFORMATION, FILE_FS_DEVICE_INFORMATION) => true,
        (c::IRP_MJ_QUERY_INFORMATION | c::IRP_MJ_SET_INFORMATION, FILE_POSITION_INFORMATION) => {
            m.is_synchronous_file(file)?
        }
        _ => false,
    };
    if known && length < 8 {
        return Ok(Some(NtStatus::INFO_LENGTH_MISMATCH));
    }
    match (known, major) {
        (false, _) => return Ok(None),
        (true, c::IRP_MJ_QUERY_INFORMATION) => {
            let offset = m.read_u64(position)?;
            m.write_u64(information, offset)?;
        }
        (true, c::IRP_MJ_SET_INFORMATION) => {
            let offset = m.read_u64(information)?;
            m.write_u64(position, offset)?;
        }
        (true, _) => {
            let device = m.read_va(file_object::DEVICE_OBJECT.at(file))?;
            let kind = m.read_u32(device_object::DEVICE_TYPE.at(device))?;
            let characteristics = m.read_u32(device_object::CHARACTERISTICS.at(device))?;
            m.write_u32(information, kind)?;
            m.write_u32(information + 4, characteristics)?;
        }
    }
    Ok(Some(NtStatus::SUCCESS))
}
