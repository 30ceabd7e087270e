//! Where processors are free to differ from each other, and so from the interpreter.

use engine::Rflags;
use iced_x86::{Code, Mnemonic, RflagsBits};

use super::case::{BREAKPOINT, Case, Stop};

/// Processors may keep what a gather has loaded before a fault; the interpreter starts over.
pub(crate) fn may_keep_progress(case: &Case, stop: Stop) -> bool {
    case.instruction.mnemonic() == Mnemonic::Vpgatherdd && stop != BREAKPOINT
}

/// Where both the push of CALL and its target are refused, which is reported is the processor's choice.
pub(crate) fn same_stop(case: &Case, host: Stop, guest: Stop) -> bool {
    let both_fault = host != BREAKPOINT && guest != BREAKPOINT;
    host == guest || (both_fault && case.instruction.mnemonic() == Mnemonic::Call)
}

/// Processors may have written to memory when a later step of these instructions faults: CALL and ENTER push first, an
/// 80-bit number is stored in two pieces. The interpreter writes nothing then.
pub(crate) fn may_have_written(case: &Case, stop: Stop) -> bool {
    let in_steps = matches!(case.instruction.mnemonic(), Mnemonic::Call | Mnemonic::Enter)
        || case.instruction.code() == Code::Fstp_m80fp;
    in_steps && stop != BREAKPOINT
}

/// The bits of RFLAGS that the instruction leaves undefined.
pub(crate) fn undefined_flags(case: &Case) -> u64 {
    const NAMES: [(u32, u64); 7] = [
        (RflagsBits::CF, Rflags::CF),
        (RflagsBits::PF, Rflags::PF),
        (RflagsBits::AF, Rflags::AF),
        (RflagsBits::ZF, Rflags::ZF),
        (RflagsBits::SF, Rflags::SF),
        (RflagsBits::OF, Rflags::OF),
        (RflagsBits::DF, Rflags::DF),
    ];
    let undefined = case.instruction.rflags_undefined();
    NAMES.iter().filter(|(bit, _)| undefined & bit != 0).fold(0, |all, (_, flag)| all | flag)
}
