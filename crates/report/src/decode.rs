//! Instructions of a window, decoded as if the image lay at address 0: addresses are RVAs.

use iced_x86::{Decoder, DecoderOptions, Instruction};
use nt_types::Rva;

/// The instructions from `start` on, up to the first bytes that are none.
pub(crate) fn instructions(start: Rva, bytes: &[u8]) -> Vec<Instruction> {
    let decoder = Decoder::with_ip(64, bytes, u64::from(start.0), DecoderOptions::NONE);
    decoder.into_iter().take_while(|instruction| !instruction.is_invalid()).collect()
}

/// The place in the image that an instruction names: a call or jump target, or data relative to the instruction.
pub(crate) fn referred(instruction: &Instruction) -> Option<u64> {
    if instruction.is_ip_rel_memory_operand() {
        return Some(instruction.ip_rel_memory_address());
    }
    let is_branch =
        instruction.is_call_near() || instruction.is_jmp_short_or_near() || instruction.is_jcc_short_or_near();
    is_branch.then(|| instruction.near_branch_target())
}
