//! What a driver registers (docs: kernel/irp-mn-reginfo-ex).

use nt_types::layout::{
    unicode_string, wmiguidreginfo, wmilib_context as context, wmiregguidw as block, wmireginfow as info,
};
use nt_types::{NtStatus, Va};

use super::system_control::{Control, MAX_BLOCKS};
use crate::call::{Next, Outcome, Trap};
use crate::exports::wmilib;
use crate::machine::Machine;

/// WMIREG_FLAG_INSTANCE_BASENAME and WMIREG_FLAG_INSTANCE_PDO (wmistr.h).
const BASENAME: u32 = 0x8;
const PDO: u32 = 0x20;

/// QueryWmiRegInfo is under way.
#[derive(Clone, Copy, Hash, Debug)]
pub struct Registration {
    control: Control,
    /// What the driver's routine stores into.
    answer: Va,
}

// Where each of its parameters is in that block.
const FLAGS: u64 = 0x0;
const INSTANCE_NAME: u64 = 0x8;
const REGISTRY_PATH: u64 = 0x18;
const MOF_RESOURCE_NAME: u64 = 0x20;
const PHYSICAL: u64 = 0x30;
const ANSWER_BYTES: u64 = 0x38;

/// Asks the driver for its registration.
pub(super) fn ask(m: &mut Machine, control: Control) -> Outcome {
    let routine = m.read_va(context::QUERY_WMI_REG_INFO.at(control.info))?;
    if routine.is_null() {
        return control.not_completed(m, NtStatus::INVALID_DEVICE_REQUEST, 0);
    }
    let Some(answer) = m.kernel_object(ANSWER_BYTES, *b"WmiR") else { return Err(m.no_pool()) };
    let places = [FLAGS, INSTANCE_NAME, REGISTRY_PATH, MOF_RESOURCE_NAME, PHYSICAL].map(|offset| (answer + offset).0);
    let then = wmilib::Then::Registered(Registration { control, answer });
    Ok(Next::call(routine, &[&[control.device.0][..], &places].concat(), crate::call::Then::Wmilib(then)))
}

/// A WMIREGINFO that grows: its bytes, and the strings behind the list of blocks.
struct Draft {
    bytes: Vec<u8>,
}

impl Draft {
    fn put(&mut self, at: usize, value: &[u8]) {
        if let Some(slot) = self.bytes.get_mut(at..at + value.len()) {
            slot.copy_from_slice(value);
        }
    }

    /// Adds a counted string at the end: its offset.
    fn add(&mut self, units: &[u16]) -> u32 {
        let offset = self.bytes.len() as u32;
        self.bytes.extend((2 * units.len() as u16).to_le_bytes());
        self.bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
        offset
    }
}

impl Registration {
    pub(super) fn run(self, m: &mut Machine) -> Outcome {
        let control = self.control;
        let draft = self.draft(m)?;
        let needed = draft.bytes.len() as u32;
        let (status, answer) = if needed <= control.size {
            (NtStatus::SUCCESS, draft.bytes)
        } else if control.size >= 4 {
            (NtStatus::BUFFER_TOO_SMALL, needed.to_le_bytes().to_vec())
        } else {
            (NtStatus::BUFFER_TOO_SMALL, Vec::new())
        };
        m.write_bytes(control.buffer, &answer)?;
        let name = m.read_va(unicode_string::BUFFER.at(self.answer + INSTANCE_NAME))?;
        m.pool_free(name);
        m.pool_free(self.answer);
        control.not_completed(m, status, answer.len() as u64)
    }

    fn draft(&self, m: &mut Machine) -> Result<Draft, Trap> {
        let list = m.read_va(context::GUID_LIST.at(self.control.info))?;
        let count = m.read_u32(context::GUID_COUNT.at(self.control.info))?.min(MAX_BLOCKS);
        let flags = m.read_u32(self.answer + FLAGS)?;
        let first = info::WMI_REG_GUID.offset as usize;
        let mut draft = Draft { bytes: vec![0; first + count as usize * block::SIZEOF as usize] };
        let path = m.read_va(self.answer + REGISTRY_PATH)?;
        let path = if path.is_null() { Vec::new() } else { m.read_unicode_string(path)? };
        let path = draft.add(&path);
        draft.put(info::REGISTRY_PATH.offset as usize, &path.to_le_bytes());
        let mof = m.read_unicode_string(self.answer + MOF_RESOURCE_NAME)?;
        let mof = draft.add(&mof);
        draft.put(info::MOF_RESOURCE_NAME.offset as usize, &mof.to_le_bytes());
        let base = if flags & BASENAME == 0 { Vec::new() } else { m.read_unicode_string(self.answer + INSTANCE_NAME)? };
        let base = if base.is_empty() { 0 } else { draft.add(&base) };
        for index in 0..count {
            let at = first + index as usize * block::SIZEOF as usize;
            self.block(m, &mut draft, at, list + u64::from(index) * wmiguidreginfo::SIZEOF, (flags, base))?;
        }
        let bytes = draft.bytes.len() as u32;
        draft.put(info::BUFFER_SIZE.offset as usize, &bytes.to_le_bytes());
        draft.put(info::GUID_COUNT.offset as usize, &count.to_le_bytes());
        Ok(draft)
    }

    /// One block: the flags of all apply to each.
    fn block(
        &self,
        m: &mut Machine,
        draft: &mut Draft,
        at: usize,
        known: Va,
        (flags, base): (u32, u32),
    ) -> Result<(), Trap> {
        let identification = m.read_va(wmiguidreginfo::GUID.at(known))?;
        let identification = m.read_bytes(identification, block::GUID.size.into())?;
        let flags = flags | m.read_u32(wmiguidreginfo::FLAGS.at(known))?;
        let instances = m.read_u32(wmiguidreginfo::INSTANCE_COUNT.at(known))?;
        draft.put(at + block::GUID.offset as usize, &identification);
        draft.put(at + block::FLAGS.offset as usize, &flags.to_le_bytes());
        draft.put(at + block::INSTANCE_COUNT.offset as usize, &instances.to_le_bytes());
        if flags & BASENAME != 0 {
            draft.put(at + block::BASE_NAME_OFFSET.offset as usize, &base.to_le_bytes());
        }
        if flags & PDO != 0 {
            let physical = m.read_va(self.answer + PHYSICAL)?;
            draft.put(at + block::PDO.offset as usize, &physical.0.to_le_bytes());
        }
        Ok(())
    }
}
