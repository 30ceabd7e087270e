//! What key and value queries return: structures with a fixed part and what follows it.

use nt_types::layout::{
    key_basic_information as basic, key_full_information as full, key_node_information as node,
    key_value_basic_information as value_basic, key_value_full_information as value_full,
    key_value_partial_information as partial,
};
use nt_types::{NtStatus, Va};

use crate::call::{Next, Outcome};
use crate::machine::Machine;
use crate::registry::{KeyId, Registry, Value};

/// The bytes of an answer, and how many of them a buffer must hold at least.
pub(super) struct Information {
    bytes: Vec<u8>,
    fixed: usize,
}

fn units(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Last write time of every key: the machine keeps none.
const NO_TIME: u64 = 0;

impl Information {
    /// A structure whose variable part begins at `fixed`.
    fn new(fixed: u32) -> Information {
        Information { bytes: vec![0; fixed as usize], fixed: fixed as usize }
    }

    fn put(mut self, field: nt_types::layout::Field, value: u64) -> Information {
        let (start, size) = (field.offset as usize, field.size as usize);
        self.bytes[start..start + size].copy_from_slice(&value.to_le_bytes()[..size]);
        self
    }

    fn append(mut self, bytes: &[u8]) -> Information {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub(super) fn key_basic(registry: &Registry, key: KeyId) -> Information {
        let name = units(registry.name(key));
        Information::new(basic::NAME.offset)
            .put(basic::LAST_WRITE_TIME, NO_TIME)
            .put(basic::NAME_LENGTH, name.len() as u64)
            .append(&name)
    }

    /// Keys have no class here.
    pub(super) fn key_node(registry: &Registry, key: KeyId) -> Information {
        let name = units(registry.name(key));
        Information::new(node::NAME.offset)
            .put(node::LAST_WRITE_TIME, NO_TIME)
            .put(node::CLASS_OFFSET, u32::MAX.into())
            .put(node::NAME_LENGTH, name.len() as u64)
            .append(&name)
    }

    pub(super) fn key_full(registry: &Registry, key: KeyId) -> Information {
        let longest_key = registry.children(key).map(|child| units(registry.name(child)).len()).max().unwrap_or(0);
        let values = registry.values(key);
        let longest_name = values.iter().map(|value| units(&value.name).len()).max().unwrap_or(0);
        let longest_data = values.iter().map(|value| value.data.len()).max().unwrap_or(0);
        Information::new(full::CLASS.offset)
            .put(full::LAST_WRITE_TIME, NO_TIME)
            .put(full::CLASS_OFFSET, u32::MAX.into())
            .put(full::SUB_KEYS, registry.children(key).len() as u64)
            .put(full::MAX_NAME_LEN, longest_key as u64)
            .put(full::VALUES, values.len() as u64)
            .put(full::MAX_VALUE_NAME_LEN, longest_name as u64)
            .put(full::MAX_VALUE_DATA_LEN, longest_data as u64)
    }

    /// KEY_NAME_INFORMATION: length, then the full path.
    pub(super) fn key_name(registry: &Registry, key: KeyId) -> Information {
        let name = units(&registry.path(key));
        Information { bytes: (name.len() as u32).to_le_bytes().to_vec(), fixed: 4 }.append(&name)
    }

    pub(super) fn value_basic(value: &Value) -> Information {
        let name = units(&value.name);
        Information::new(value_basic::NAME.offset)
            .put(value_basic::TYPE, value.kind.into())
            .put(value_basic::NAME_LENGTH, name.len() as u64)
            .append(&name)
    }

    /// The data begins on the next multiple of `alignment` after the name.
    pub(super) fn value_full(value: &Value, alignment: usize) -> Information {
        let name = units(&value.name);
        let data = (value_full::NAME.offset as usize + name.len()).next_multiple_of(alignment);
        let padding = data - value_full::NAME.offset as usize - name.len();
        Information::new(value_full::NAME.offset)
            .put(value_full::TYPE, value.kind.into())
            .put(value_full::DATA_OFFSET, data as u64)
            .put(value_full::DATA_LENGTH, value.data.len() as u64)
            .put(value_full::NAME_LENGTH, name.len() as u64)
            .append(&name)
            .append(&vec![0; padding])
            .append(&value.data)
    }

    pub(super) fn value_partial(value: &Value) -> Information {
        Information::new(partial::DATA.offset)
            .put(partial::TYPE, value.kind.into())
            .put(partial::DATA_LENGTH, value.data.len() as u64)
            .append(&value.data)
    }

    /// KEY_VALUE_PARTIAL_INFORMATION_ALIGN64 has no title index.
    pub(super) fn value_partial_align64(value: &Value) -> Information {
        let fixed = [value.kind.to_le_bytes(), (value.data.len() as u32).to_le_bytes()].concat();
        Information { bytes: fixed, fixed: 8 }.append(&value.data)
    }
}

/// Stores an answer: all of it, or as much as fits with `STATUS_BUFFER_OVERFLOW`, or nothing with
/// `STATUS_BUFFER_TOO_SMALL`. The length needed is stored in each case.
pub(super) fn store(m: &mut Machine, information: &Information, buffer: Va, length: u32, result: Va) -> Outcome {
    let (bytes, length) = (&information.bytes, length as usize);
    m.write_u32(result, bytes.len() as u32)?;
    let status = match length {
        _ if length >= bytes.len() => NtStatus::SUCCESS,
        _ if length >= information.fixed => NtStatus::BUFFER_OVERFLOW,
        _ => NtStatus::BUFFER_TOO_SMALL,
    };
    if status != NtStatus::BUFFER_TOO_SMALL {
        m.write_bytes(buffer, &bytes[..length.min(bytes.len())])?;
    }
    Ok(Next::status(status))
}
