//! What a general protection fault was about. The processor does not say which address it refused; the instruction does.

use engine::{Access, Gpr, PageFault};
use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, OpAccess, OpKind, Register, UsedMemory,
};
use nt_types::Va;

use crate::machine::Machine;

/// Longest instruction, in bytes.
const MAX_BYTES: usize = 15;

impl Machine {
    /// The access of `instruction` to an address that is not canonical, if that is why the processor refused it.
    pub(super) fn non_canonical_access(&mut self, instruction: Va) -> Option<PageFault> {
        let refused = |address: u64, access| PageFault { address, access, protection: false };
        if !instruction.is_canonical() {
            return Some(refused(instruction.0, Access::Execute));
        }
        let bytes = self.readable_bytes(instruction);
        let decoded = Decoder::with_ip(64, &bytes, instruction.0, DecoderOptions::NONE).decode();
        let mut factory = InstructionInfoFactory::new();
        let used = factory.info(&decoded).used_memory();
        let operand = used.iter().find_map(|memory| {
            let address = self.address_of(memory)?;
            let last = address.wrapping_add(memory.memory_size().size().saturating_sub(1) as u64);
            let outside = [address, last].into_iter().find(|byte| !Va(*byte).is_canonical())?;
            Some(refused(outside, access_of(memory)))
        });
        operand.or_else(|| {
            let target = self.branch_target(&decoded, used)?;
            (!Va(target).is_canonical()).then(|| refused(target, Access::Execute))
        })
    }

    /// Where an indirect call or jump, or a return, would go.
    fn branch_target(&self, branch: &Instruction, used: &[UsedMemory]) -> Option<u64> {
        match branch.flow_control() {
            FlowControl::IndirectBranch | FlowControl::IndirectCall if branch.op0_kind() == OpKind::Register => {
                self.processors[self.active].cpu.gpr.get(branch.op0_register().number()).copied()
            }
            FlowControl::IndirectBranch | FlowControl::IndirectCall | FlowControl::Return => {
                let source = used.iter().find(|memory| access_of(memory) == Access::Read)?;
                let mut target = [0; 8];
                self.memory.peek(Va(self.address_of(source)?), &mut target).ok()?;
                Some(u64::from_le_bytes(target))
            }
            _ => None,
        }
    }

    /// Up to the bytes of the longest instruction; fewer at the end of what is mapped.
    fn readable_bytes(&mut self, start: Va) -> Vec<u8> {
        let read = |count: &usize| {
            let mut bytes = vec![0; *count];
            self.memory.peek(start, &mut bytes).ok().map(|()| bytes)
        };
        (1..=MAX_BYTES).rev().find_map(|count| read(&count)).unwrap_or_default()
    }

    fn address_of(&self, memory: &UsedMemory) -> Option<u64> {
        let cpu = &self.processors[self.active].cpu;
        memory.virtual_address(0, |register, _, _| match register {
            Register::GS => Some(cpu.gs_base),
            Register::FS => Some(cpu.fs_base),
            Register::CS | Register::DS | Register::ES | Register::SS => Some(0),
            _ if register.is_gpr64() => cpu.gpr.get(register.number()).copied(),
            _ if register.is_gpr32() => cpu.gpr.get(register.number()).map(|value| value & 0xFFFF_FFFF),
            _ => None,
        })
    }
}

fn access_of(memory: &UsedMemory) -> Access {
    match memory.access() {
        OpAccess::Write | OpAccess::CondWrite => Access::Write,
        _ => Access::Read,
    }
}

const _: () = assert!(Gpr::Rax as usize == 0 && Gpr::R15 as usize == 15, "numbered as the decoder does");
