//! Requests of the WMI service, as the harness makes them (docs: kernel/wmi-minor-irps).

use nt_types::layout::Field;
use nt_types::layout::{
    guid, io_stack_location as sl, irp, offsetinstancedataandlength as entry, wmireginfow, wnode_all_data as all,
    wnode_header as header, wnode_method_item as method, wnode_single_instance as single, wnode_single_item as item,
};
use nt_types::{NtStatus, Va, constants as c};

use super::draft::{Draft, draft};
use super::irp::Owner;
use crate::call::Trap;
use crate::machine::Machine;
use crate::request::RequestId;

/// What is asked of a provider, about the block of a GUID.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum WmiRequest {
    /// All instances of a block: the answer's output is their data, one after the other.
    QueryAllData,
    /// One instance.
    QuerySingleInstance {
        /// Its index.
        instance: u32,
    },
    /// New data for an instance.
    ChangeSingleInstance {
        /// Its index.
        instance: u32,
        /// The data.
        data: Vec<u8>,
    },
    /// New data for an item of an instance.
    ChangeSingleItem {
        /// Its index.
        instance: u32,
        /// Number of the item.
        item: u32,
        /// The data.
        data: Vec<u8>,
    },
    /// A method: the answer's output is what it returns.
    ExecuteMethod {
        /// Index of the instance.
        instance: u32,
        /// Number of the method.
        method: u32,
        /// What it is given.
        data: Vec<u8>,
    },
    /// What the provider registers: the answer's output is a WMIREGINFO.
    RegInfo,
}

/// Flags of a WNODE_HEADER (wmistr.h).
const ALL_DATA: u32 = 0x1;
const SINGLE_INSTANCE: u32 = 0x2;
const SINGLE_ITEM: u32 = 0x4;
const TOO_SMALL: u32 = 0x20;
const STATIC_INSTANCE_NAMES: u32 = 0x80;
const METHOD_ITEM: u32 = 0x8000;

/// Where things are in the WNODE of a request.
struct Form<'a> {
    minor: u32,
    flags: u32,
    /// Members to fill in, and with what.
    members: Vec<(Field, u32)>,
    data: &'a [u8],
    /// Where the data begins.
    data_offset: u32,
}

impl WmiRequest {
    fn form(&self) -> Form<'_> {
        let of = |minor, flags, members: &[(Field, u32)], data, after: u32| Form {
            minor,
            flags: flags | STATIC_INSTANCE_NAMES,
            members: members.to_vec(),
            data,
            data_offset: after.next_multiple_of(8),
        };
        match self {
            WmiRequest::QueryAllData => of(c::IRP_MN_QUERY_ALL_DATA, ALL_DATA, &[], &[], all::SIZEOF as u32),
            WmiRequest::RegInfo => of(c::IRP_MN_REGINFO_EX, 0, &[], &[], wmireginfow::SIZEOF as u32),
            WmiRequest::QuerySingleInstance { instance } => {
                single_instance(of, c::IRP_MN_QUERY_SINGLE_INSTANCE, *instance, &[])
            }
            WmiRequest::ChangeSingleInstance { instance, data } => {
                single_instance(of, c::IRP_MN_CHANGE_SINGLE_INSTANCE, *instance, data)
            }
            WmiRequest::ChangeSingleItem { instance, item: number, data } => {
                let offset = item::VARIABLE_DATA.offset;
                let members = [
                    (item::INSTANCE_INDEX, *instance),
                    (item::ITEM_ID, *number),
                    (item::DATA_BLOCK_OFFSET, offset.next_multiple_of(8)),
                    (item::SIZE_DATA_ITEM, data.len() as u32),
                ];
                of(c::IRP_MN_CHANGE_SINGLE_ITEM, SINGLE_ITEM, &members, data, offset)
            }
            WmiRequest::ExecuteMethod { instance, method: number, data } => {
                let offset = method::VARIABLE_DATA.offset;
                let members = [
                    (method::INSTANCE_INDEX, *instance),
                    (method::METHOD_ID, *number),
                    (method::DATA_BLOCK_OFFSET, offset.next_multiple_of(8)),
                    (method::SIZE_DATA_BLOCK, data.len() as u32),
                ];
                of(c::IRP_MN_EXECUTE_METHOD, METHOD_ITEM, &members, data, offset)
            }
        }
    }
}

fn single_instance<'a>(
    of: impl Fn(u32, u32, &[(Field, u32)], &'a [u8], u32) -> Form<'a>,
    minor: u32,
    instance: u32,
    data: &'a [u8],
) -> Form<'a> {
    let offset = single::VARIABLE_DATA.offset;
    let members = [
        (single::INSTANCE_INDEX, instance),
        (single::DATA_BLOCK_OFFSET, offset.next_multiple_of(8)),
        (single::SIZE_DATA_BLOCK, data.len() as u32),
    ];
    of(minor, SINGLE_INSTANCE, &members, data, offset)
}

/// A drafted request.
pub(super) struct Drafted {
    pub(super) draft: Draft,
    pub(super) minor: u32,
    /// Its WNODE, and the bytes of that.
    pub(super) buffer: (Va, u32),
    /// To be freed afterwards.
    pub(super) blocks: Vec<Va>,
}

impl Machine {
    /// The device in the stack of this one that has registered as a WMI provider.
    fn wmi_provider(&mut self, device: Va) -> Result<Option<Va>, Trap> {
        let stack = self.stack_from(device)?;
        Ok(stack.into_iter().find(|device| self.io.wmi_providers.contains(device)))
    }

    /// Drafts a request for the provider in a device's stack, with room for `output_length` bytes of data; `None` without a
    /// provider.
    pub(super) fn draft_wmi(
        &mut self,
        id: RequestId,
        device: Va,
        (block, request): (&[u8; 16], &WmiRequest),
        output_length: u32,
    ) -> Result<Option<Drafted>, Trap> {
        let Some(provider) = self.wmi_provider(device)? else { return Ok(None) };
        let form = request.form();
        let size = form.data_offset.saturating_add(output_length.max(form.data.len() as u32));
        let identification = self.kernel_object(guid::SIZEOF, *b"WmiG");
        let buffer = self.kernel_object(size.into(), *b"WmiB");
        let (Some(identification), Some(buffer)) = (identification, buffer) else { return Err(self.no_pool()) };
        let draft = draft(self, Owner::Harness(id), device, Va::NULL, c::IRP_MJ_SYSTEM_CONTROL, form.minor as u8)?;
        self.write_bytes(identification, block)?;
        self.write_u32(header::BUFFER_SIZE.at(buffer), size)?;
        self.write_bytes(header::GUID.at(buffer), block)?;
        self.write_u32(header::FLAGS.at(buffer), form.flags)?;
        for (field, value) in &form.members {
            self.write_u32(field.at(buffer), *value)?;
        }
        self.write_bytes(buffer + u64::from(form.data_offset), form.data)?;
        self.write_u32(irp::IO_STATUS_STATUS.at(draft.request), NtStatus::NOT_SUPPORTED.0)?;
        self.write_u64(sl::PARAMETERS_WMI_PROVIDER_ID.at(draft.stack), provider.0)?;
        // WMIREGISTER is 0.
        let path = if *request == WmiRequest::RegInfo { Va::NULL } else { identification };
        self.write_u64(sl::PARAMETERS_WMI_DATA_PATH.at(draft.stack), path.0)?;
        self.write_u32(sl::PARAMETERS_WMI_BUFFER_SIZE.at(draft.stack), size)?;
        self.write_u64(sl::PARAMETERS_WMI_BUFFER.at(draft.stack), buffer.0)?;
        Ok(Some(Drafted { draft, minor: form.minor, buffer: (buffer, size), blocks: vec![buffer, identification] }))
    }

    /// What an answered request of this minor function brings: the data of the WNODE, or the whole WMIREGINFO.
    pub(super) fn wmi_output(&mut self, minor: u32, buffer: Va, information: u64) -> Result<Vec<u8>, Trap> {
        if minor == c::IRP_MN_REGINFO_EX {
            return self.read_bytes(buffer, information);
        }
        let flags = self.read_u32(header::FLAGS.at(buffer))?;
        if information < header::SIZEOF || flags & TOO_SMALL != 0 {
            return Ok(Vec::new());
        }
        match minor {
            c::IRP_MN_QUERY_ALL_DATA => self.all_instances(buffer, information),
            c::IRP_MN_QUERY_SINGLE_INSTANCE => self.piece(
                buffer,
                information,
                single::DATA_BLOCK_OFFSET.at(buffer),
                single::SIZE_DATA_BLOCK.at(buffer),
            ),
            c::IRP_MN_EXECUTE_METHOD => self.piece(
                buffer,
                information,
                method::DATA_BLOCK_OFFSET.at(buffer),
                method::SIZE_DATA_BLOCK.at(buffer),
            ),
            _ => Ok(Vec::new()),
        }
    }

    fn all_instances(&mut self, buffer: Va, total: u64) -> Result<Vec<u8>, Trap> {
        let list = all::OFFSET_INSTANCE_DATA_AND_LENGTH.at(buffer);
        let count = u64::from(self.read_u32(all::INSTANCE_COUNT.at(buffer))?).min(total / entry::SIZEOF);
        let mut data = Vec::new();
        for index in 0..count {
            let at = list + index * entry::SIZEOF;
            let (offset, length) = (entry::OFFSET_INSTANCE_DATA.at(at), entry::LENGTH_INSTANCE_DATA.at(at));
            data.extend(self.piece(buffer, total, offset, length)?);
        }
        Ok(data)
    }

    /// The bytes that an offset and a length in guest memory name, as far as they lie in the buffer.
    fn piece(&mut self, buffer: Va, total: u64, offset: Va, length: Va) -> Result<Vec<u8>, Trap> {
        let (offset, length) = (u64::from(self.read_u32(offset)?), u64::from(self.read_u32(length)?));
        self.read_bytes(buffer + offset.min(total), length.min(total.saturating_sub(offset)))
    }
}
