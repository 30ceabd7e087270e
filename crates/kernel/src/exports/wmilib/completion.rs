//! The end of WMI requests (ddi: WmiCompleteRequest), and events (ddi: WmiFireEvent).

use nt_types::layout::{
    guid, io_stack_location as sl, irp, offsetinstancedataandlength as entry, wnode_all_data as all,
    wnode_header as header, wnode_method_item as method, wnode_single_instance as single, wnode_too_small as too_small,
};
use nt_types::{NtStatus, Va, constants as c};

use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Wmilib, WmiCompleteRequest(device: Va, request: Va, status: NtStatus, used: u32, boost: u8), DISPATCH),
    export!(Wmilib, WmiFireEvent(device: Va, guid: Va, instance: u32, size: u32, data: Va), DISPATCH),
];

/// WNODE_FLAG_TOO_SMALL and WNODE_FLAG_STATIC_INSTANCE_NAMES (wmistr.h).
const TOO_SMALL: u32 = 0x20;
const STATIC_INSTANCE_NAMES: u32 = 0x80;

fn WmiCompleteRequest(m: &mut Machine, _device: Va, request: Va, status: NtStatus, used: u32, _boost: u8) -> Outcome {
    let stack = m.stack_location(request)?;
    let minor = u32::from(m.read_u8(sl::MINOR_FUNCTION.at(stack))?);
    let buffer = m.read_va(sl::PARAMETERS_WMI_BUFFER.at(stack))?;
    let size = m.read_u32(sl::PARAMETERS_WMI_BUFFER_SIZE.at(stack))?;
    let offset = match minor {
        c::IRP_MN_QUERY_ALL_DATA => Some(all::DATA_BLOCK_OFFSET),
        c::IRP_MN_QUERY_SINGLE_INSTANCE => Some(single::DATA_BLOCK_OFFSET),
        c::IRP_MN_EXECUTE_METHOD => Some(method::DATA_BLOCK_OFFSET),
        _ => None,
    };
    let (status, information) = match offset {
        Some(offset) if status == NtStatus::BUFFER_TOO_SMALL && u64::from(size) >= too_small::SIZEOF => {
            let needed = m.read_u32(offset.at(buffer))?.saturating_add(used);
            (NtStatus::SUCCESS, m.fill_too_small(buffer, needed)?)
        }
        Some(offset) if status.is_success() => {
            let total = m.read_u32(offset.at(buffer))?.saturating_add(used);
            m.fill_sizes(buffer, minor, used)?;
            let flags = m.read_u32(header::FLAGS.at(buffer))? | STATIC_INSTANCE_NAMES;
            (status, m.fill_header(buffer, total, flags)?)
        }
        _ => (status, 0),
    };
    m.write_u32(irp::IO_STATUS_STATUS.at(request), status.0)?;
    m.write_u64(irp::IO_STATUS_INFORMATION.at(request), information)?;
    m.complete_request(request, status)
}

/// Nobody has asked to be told, so that the event is not delivered; its data is freed all the same.
fn WmiFireEvent(m: &mut Machine, _device: Va, identification: Va, _instance: u32, _size: u32, data: Va) -> Outcome {
    m.read_bytes(identification, guid::SIZEOF)?;
    m.pool_free(data);
    Ok(Next::status(NtStatus::UNSUCCESSFUL))
}

impl Machine {
    /// Makes a WNODE_TOO_SMALL of a WNODE: the bytes of it.
    fn fill_too_small(&mut self, wnode: Va, needed: u32) -> Result<u64, Trap> {
        let flags = self.read_u32(header::FLAGS.at(wnode))? | TOO_SMALL;
        self.write_u32(too_small::SIZE_NEEDED.at(wnode), needed)?;
        self.fill_header(wnode, too_small::SIZEOF as u32, flags)
    }

    fn fill_header(&mut self, wnode: Va, bytes: u32, flags: u32) -> Result<u64, Trap> {
        let now = self.system_time();
        self.write_u32(header::BUFFER_SIZE.at(wnode), bytes)?;
        self.write_u64(header::TIME_STAMP.at(wnode), now)?;
        self.write_u32(header::FLAGS.at(wnode), flags)?;
        Ok(bytes.into())
    }

    /// Where the instances are and how long; the driver has stored lengths only, each instance begins at a multiple of 8.
    fn fill_sizes(&mut self, wnode: Va, minor: u32, used: u32) -> Result<(), Trap> {
        let field = match minor {
            c::IRP_MN_QUERY_SINGLE_INSTANCE => single::SIZE_DATA_BLOCK,
            c::IRP_MN_EXECUTE_METHOD => method::SIZE_DATA_BLOCK,
            _ => return self.fill_offsets(wnode),
        };
        self.write_u32(field.at(wnode), used)
    }

    fn fill_offsets(&mut self, wnode: Va) -> Result<(), Trap> {
        let list = all::OFFSET_INSTANCE_DATA_AND_LENGTH.at(wnode);
        let mut offset = self.read_u32(all::DATA_BLOCK_OFFSET.at(wnode))?;
        let fitting = offset.saturating_sub(all::OFFSET_INSTANCE_DATA_AND_LENGTH.offset) / entry::SIZEOF as u32;
        let count = self.read_u32(all::INSTANCE_COUNT.at(wnode))?.min(fitting);
        let lengths = self.read_bytes(list, 4 * u64::from(count))?;
        for (index, length) in lengths.chunks_exact(4).enumerate() {
            let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]);
            let at = list + index as u64 * entry::SIZEOF;
            self.write_u32(entry::OFFSET_INSTANCE_DATA.at(at), offset)?;
            self.write_u32(entry::LENGTH_INSTANCE_DATA.at(at), length)?;
            offset = offset.saturating_add(length).checked_next_multiple_of(8).unwrap_or(u32::MAX);
        }
        Ok(())
    }
}
