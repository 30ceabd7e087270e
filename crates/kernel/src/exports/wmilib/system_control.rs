//! WMI requests, handed to the driver's routines (ddi: WmiSystemControl).

use nt_types::layout::{
    guid, io_stack_location as sl, irp, offsetinstancedataandlength as entry, wmiguidreginfo,
    wmilib_context as context, wnode_all_data as all, wnode_method_item as method, wnode_single_instance as single,
    wnode_single_item as item, wnode_too_small as too_small,
};
use nt_types::{NtStatus, Va, constants as c};

use super::registration;
use crate::call::{Next, Outcome, Then, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Wmilib, WmiSystemControl(info: Va, device: Va, request: Va, disposition: Va), PASSIVE),
];

// SYSCTL_IRP_DISPOSITION.
const IRP_PROCESSED: u32 = 0;
const IRP_NOT_COMPLETED: u32 = 1;
const IRP_NOT_WMI: u32 = 2;
const IRP_FORWARD: u32 = 3;

/// More blocks than a driver has.
pub(super) const MAX_BLOCKS: u32 = 4096;

// WMIENABLEDISABLECONTROL.
const EVENT_CONTROL: u64 = 0;
const DATA_BLOCK_CONTROL: u64 = 1;

/// A request for one of the driver's blocks.
#[derive(Clone, Copy, Hash, Debug)]
pub(super) struct Control {
    /// WMILIB_CONTEXT.
    pub(super) info: Va,
    pub(super) device: Va,
    pub(super) request: Va,
    pub(super) disposition: Va,
    /// The buffer that comes with the request, a WNODE or a WMIREGINFO, and its size.
    pub(super) buffer: Va,
    pub(super) size: u32,
}

/// What a request asks of one of the driver's routines, or why none is asked.
enum Ask {
    Routine(Va, Vec<u64>),
    Not(NtStatus),
}

fn WmiSystemControl(m: &mut Machine, info: Va, device: Va, request: Va, disposition: Va) -> Outcome {
    m.probe_write(disposition, 4)?;
    let stack = m.stack_location(request)?;
    let minor = u32::from(m.read_u8(sl::MINOR_FUNCTION.at(stack))?);
    if !matches!(minor, c::IRP_MN_QUERY_ALL_DATA..=c::IRP_MN_EXECUTE_METHOD | c::IRP_MN_REGINFO_EX) {
        m.write_u32(disposition, IRP_NOT_WMI)?;
        return Ok(Next::status(NtStatus::SUCCESS));
    }
    if m.read_va(sl::PARAMETERS_WMI_PROVIDER_ID.at(stack))? != device {
        m.write_u32(disposition, IRP_FORWARD)?;
        return Ok(Next::status(NtStatus::SUCCESS));
    }
    let buffer = m.read_va(sl::PARAMETERS_WMI_BUFFER.at(stack))?;
    let size = m.read_u32(sl::PARAMETERS_WMI_BUFFER_SIZE.at(stack))?;
    let control = Control { info, device, request, disposition, buffer, size };
    if matches!(minor, c::IRP_MN_REGINFO | c::IRP_MN_REGINFO_EX) {
        return registration::ask(m, control);
    }
    let identification = m.read_va(sl::PARAMETERS_WMI_DATA_PATH.at(stack))?;
    let ask = match control.block_of(m, identification)? {
        Some((index, instances)) => control.ask(m, minor, index, instances)?,
        None => Ask::Not(NtStatus::WMI_GUID_NOT_FOUND),
    };
    match ask {
        Ask::Not(status) => control.not_completed(m, status, 0),
        Ask::Routine(routine, arguments) => {
            m.write_u32(disposition, IRP_PROCESSED)?;
            Ok(Next::call(routine, &[&[device.0, request.0], arguments.as_slice()].concat(), Then::Return))
        }
    }
}

impl Control {
    /// The request is the caller's to complete, with this status.
    pub(super) fn not_completed(&self, m: &mut Machine, status: NtStatus, information: u64) -> Outcome {
        m.write_u32(irp::IO_STATUS_STATUS.at(self.request), status.0)?;
        m.write_u64(irp::IO_STATUS_INFORMATION.at(self.request), information)?;
        m.write_u32(self.disposition, IRP_NOT_COMPLETED)?;
        Ok(Next::status(status))
    }

    /// The index of the registered block with this GUID, and how many instances it has.
    fn block_of(&self, m: &mut Machine, identification: Va) -> Result<Option<(u32, u32)>, Trap> {
        let wanted = m.read_bytes(identification, guid::SIZEOF)?;
        let count = m.read_u32(context::GUID_COUNT.at(self.info))?.min(MAX_BLOCKS);
        let list = m.read_va(context::GUID_LIST.at(self.info))?;
        for index in 0..count {
            let block = list + u64::from(index) * wmiguidreginfo::SIZEOF;
            let known = m.read_va(wmiguidreginfo::GUID.at(block))?;
            if m.read_bytes(known, guid::SIZEOF)? == wanted {
                return Ok(Some((index, m.read_u32(wmiguidreginfo::INSTANCE_COUNT.at(block))?)));
            }
        }
        Ok(None)
    }

    /// The routine for this minor function, and its arguments after device and request.
    fn ask(&self, m: &mut Machine, minor: u32, index: u32, instances: u32) -> Result<Ask, Trap> {
        let (field, if_absent) = match minor {
            c::IRP_MN_QUERY_ALL_DATA | c::IRP_MN_QUERY_SINGLE_INSTANCE => {
                (context::QUERY_WMI_DATA_BLOCK, NtStatus::INVALID_DEVICE_REQUEST)
            }
            c::IRP_MN_CHANGE_SINGLE_INSTANCE => (context::SET_WMI_DATA_BLOCK, NtStatus::WMI_READ_ONLY),
            c::IRP_MN_CHANGE_SINGLE_ITEM => (context::SET_WMI_DATA_ITEM, NtStatus::WMI_READ_ONLY),
            c::IRP_MN_EXECUTE_METHOD => (context::EXECUTE_WMI_METHOD, NtStatus::INVALID_DEVICE_REQUEST),
            // Without a routine, switching is done by doing nothing.
            _ => (context::WMI_FUNCTION_CONTROL, NtStatus::SUCCESS),
        };
        let routine = m.read_va(field.at(self.info))?;
        if routine.is_null() {
            return Ok(Ask::Not(if_absent));
        }
        let arguments = match minor {
            c::IRP_MN_QUERY_ALL_DATA => self.all_data(m, instances)?,
            c::IRP_MN_ENABLE_EVENTS => vec![EVENT_CONTROL, 1],
            c::IRP_MN_DISABLE_EVENTS => vec![EVENT_CONTROL, 0],
            c::IRP_MN_ENABLE_COLLECTION => vec![DATA_BLOCK_CONTROL, 1],
            c::IRP_MN_DISABLE_COLLECTION => vec![DATA_BLOCK_CONTROL, 0],
            _ => match self.one_instance(m, minor, instances)? {
                Ok(arguments) => arguments,
                Err(status) => return Ok(Ask::Not(status)),
            },
        };
        Ok(Ask::Routine(routine, [&[index.into()], arguments.as_slice()].concat()))
    }

    /// All instances: the lengths that the driver stores lie where offsets and lengths will be, the data after that.
    fn all_data(&self, m: &mut Machine, instances: u32) -> Result<Vec<u64>, Trap> {
        let lengths = all::OFFSET_INSTANCE_DATA_AND_LENGTH.offset;
        let data = (u64::from(lengths) + u64::from(instances) * entry::SIZEOF).next_multiple_of(8);
        let room = u64::from(self.size).saturating_sub(data);
        if u64::from(self.size) >= too_small::SIZEOF {
            m.write_u32(all::DATA_BLOCK_OFFSET.at(self.buffer), data.min(u64::from(u32::MAX)) as u32)?;
        }
        if u64::from(self.size) >= all::SIZEOF {
            m.write_u32(all::INSTANCE_COUNT.at(self.buffer), instances)?;
            m.write_u32(all::OFFSET_INSTANCE_NAME_OFFSETS.at(self.buffer), 0)?;
        }
        let at = |offset: u64| if room == 0 { 0 } else { self.buffer.0.wrapping_add(offset) };
        Ok(vec![0, instances.into(), at(lengths.into()), room, at(data)])
    }

    /// One instance, as the WNODE that comes with the request has it.
    fn one_instance(&self, m: &mut Machine, minor: u32, instances: u32) -> Result<Result<Vec<u64>, NtStatus>, Trap> {
        let (instance, offset, bytes, least) = match minor {
            c::IRP_MN_CHANGE_SINGLE_ITEM => {
                (item::INSTANCE_INDEX, item::DATA_BLOCK_OFFSET, item::SIZE_DATA_ITEM, item::VARIABLE_DATA)
            }
            c::IRP_MN_EXECUTE_METHOD => {
                (method::INSTANCE_INDEX, method::DATA_BLOCK_OFFSET, method::SIZE_DATA_BLOCK, method::VARIABLE_DATA)
            }
            _ => (single::INSTANCE_INDEX, single::DATA_BLOCK_OFFSET, single::SIZE_DATA_BLOCK, single::VARIABLE_DATA),
        };
        if self.size < least.offset {
            return Ok(Err(NtStatus::BUFFER_TOO_SMALL));
        }
        let index = m.read_u32(instance.at(self.buffer))?;
        let (offset, length) = (m.read_u32(offset.at(self.buffer))?, m.read_u32(bytes.at(self.buffer))?);
        if index >= instances {
            return Ok(Err(NtStatus::WMI_INSTANCE_NOT_FOUND));
        }
        let (room, data) = (self.size.saturating_sub(offset), self.buffer.0.wrapping_add(offset.into()));
        let index = u64::from(index);
        if minor == c::IRP_MN_QUERY_SINGLE_INSTANCE {
            return Ok(Ok(vec![index, 1, bytes.at(self.buffer).0, room.into(), data]));
        }
        if length > room {
            return Ok(Err(NtStatus::WMI_SET_FAILURE));
        }
        Ok(Ok(match minor {
            c::IRP_MN_CHANGE_SINGLE_INSTANCE => vec![index, length.into(), data],
            c::IRP_MN_CHANGE_SINGLE_ITEM => {
                vec![index, m.read_u32(item::ITEM_ID.at(self.buffer))?.into(), length.into(), data]
            }
            _ => vec![index, m.read_u32(method::METHOD_ID.at(self.buffer))?.into(), length.into(), room.into(), data],
        }))
    }
}
