//! The device control codes that a driver compares against, read from its code.
//!
//! Compilers turn `switch` into comparisons with the codes themselves, or into subtractions whose constants add up to
//! them; both are followed within a straight run of instructions.

use std::collections::BTreeSet;

use driver_image::{Image, SectionFlags};
use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};
use nt_types::ControlCode;

/// Codes in ascending order.
pub fn ioctl_codes(image: &Image) -> Vec<u32> {
    let mut codes = BTreeSet::new();
    for section in image.sections().iter().filter(|section| section.flags.has(SectionFlags::EXECUTE)) {
        let start = section.raw_offset as usize;
        let length = section.raw_size.min(section.virtual_size.max(1)) as usize;
        if let Some(code) = image.file().get(start..start + length) {
            scan(code, u64::from(section.rva.0), &mut codes);
        }
    }
    codes.into_iter().collect()
}

fn scan(code: &[u8], rva: u64, codes: &mut BTreeSet<u32>) {
    let mut subtracted: Option<(Register, u32)> = None;
    for instruction in Decoder::with_ip(64, code, rva, DecoderOptions::NONE) {
        if let Some(code) = compared_in_memory(&instruction).filter(|code| is_plausible(*code)) {
            codes.insert(code);
        }
        let Some((register, constant)) = register_and_constant(&instruction) else {
            if instruction.mnemonic() == Mnemonic::Call {
                subtracted = None;
            }
            continue;
        };
        let before = match subtracted {
            Some((known, total)) if known == register => total,
            _ => 0,
        };
        let total = before.wrapping_add(constant);
        match instruction.mnemonic() {
            Mnemonic::Sub => subtracted = Some((register, total)),
            Mnemonic::Add => subtracted = Some((register, before.wrapping_sub(constant))),
            Mnemonic::Cmp => {}
            _ => continue,
        }
        let total = if instruction.mnemonic() == Mnemonic::Add { before.wrapping_sub(constant) } else { total };
        if is_plausible(total) {
            codes.insert(total);
        }
    }
}

fn register_and_constant(instruction: &Instruction) -> Option<(Register, u32)> {
    let is_register = instruction.op_count() == 2 && instruction.op0_kind() == OpKind::Register;
    let constant = constant(instruction).filter(|_| is_register)?;
    Some((instruction.op0_register(), constant))
}

/// A driver with one code compares it where it lies, in the stack location.
fn compared_in_memory(instruction: &Instruction) -> Option<u32> {
    let is_memory = instruction.mnemonic() == Mnemonic::Cmp && instruction.op0_kind() == OpKind::Memory;
    constant(instruction).filter(|_| is_memory)
}

fn constant(instruction: &Instruction) -> Option<u32> {
    let is_constant = matches!(instruction.op1_kind(), OpKind::Immediate32 | OpKind::Immediate8to32);
    is_constant.then(|| instruction.immediate(1) as u32)
}

/// What comparisons with a status look like: an error of the system itself.
const STATUS_ERROR: u16 = 0xC000;

/// A code has a device type, and a function that is not the whole word.
fn is_plausible(value: u32) -> bool {
    let code = ControlCode(value);
    let device = code.device_type();
    (1..0xF000).contains(&device) && device != STATUS_ERROR && value & 0xFFFF != 0 && code.function() < 0x1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(bytes: &[u8]) -> Vec<u32> {
        let mut codes = BTreeSet::new();
        scan(bytes, 0x1000, &mut codes);
        codes.into_iter().collect()
    }

    #[test]
    fn registers_and_memory_are_compared() {
        // cmp eax, 222004h; cmp dword ptr [rax+18h], 222000h
        let code = [0x3D, 0x04, 0x20, 0x22, 0, 0x81, 0x78, 0x18, 0, 0x20, 0x22, 0];
        assert_eq!(codes(&code), [0x22_2000, 0x22_2004]);
    }

    #[test]
    fn a_status_is_no_control_code() {
        // cmp eax, C0000010h
        assert!(codes(&[0x3D, 0x10, 0, 0, 0xC0]).is_empty());
    }
}
