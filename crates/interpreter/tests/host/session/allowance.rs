//! Where processors are free to differ from each other, and so from the interpreter.

use engine::{Gpr, Rflags};
use iced_x86::{Code, Mnemonic, OpKind, RflagsBits};

use super::arena::{BASE, LENGTH};
use super::case::{BREAKPOINT, Case, Outcome, Stop};
use super::features::is_amd;

/// x87: an exception that is not masked is pending.
const SUMMARY: u16 = 1 << 7;
/// MXCSR: misaligned operands of SSE instructions are allowed.
const MISALIGNED: u32 = 1 << 17;
/// Of an FXSAVE image: where the byte of MXCSR_MASK lies that says so.
const MISALIGNED_IN_MASK: u64 = 28 + 2;
/// A general protection fault.
const REFUSED: Stop = Stop::Exception { vector: 13, error: Some(0) };

/// Gives `guest` what `host` has wherever the architecture leaves the choice to the processor.
pub(crate) fn concede(case: &Case, host: &Outcome, guest: &mut Outcome) {
    if whole_outcome_is_open(case, host, guest) {
        *guest = Outcome { stop: host.stop, cpu: host.cpu.clone(), arena: host.arena.clone() };
        return;
    }
    let open = undefined_flags(case);
    guest.cpu.rflags = (guest.cpu.rflags & !open) | (host.cpu.rflags & open);
    concede_progress(case, host, guest);
    if is_amd() {
        concede_to_amd(case, host, guest);
    }
}

fn whole_outcome_is_open(case: &Case, host: &Outcome, guest: &Outcome) -> bool {
    exception_or_fault(case, host, guest)
        || is_amd() && (is_alignment_open(case, host, guest) || is_loaded(host, guest))
}

/// Intel's manual, volume 3, priority among concurrent events: floating-point exceptions and page faults of one
/// instruction are of one class, in which the order is the processor's. A store that an exception keeps from storing
/// may fault at its operand instead.
fn exception_or_fault(case: &Case, host: &Outcome, guest: &Outcome) -> bool {
    let raised = guest.cpu.x87.status & !case.cpu.x87.status & SUMMARY != 0;
    let stores = case.instruction.op0_kind() == OpKind::Memory && is_x87_store(case.instruction.mnemonic());
    stores && raised && guest.arena.peek(BASE, LENGTH) == case.arena.peek(BASE, LENGTH) && is_fault(host.stop)
}

/// Which of the two elements of CMPS is read first is the processor's choice, and so which fault is reported.
fn other_element(case: &Case, host: &Outcome, guest: &Outcome) -> bool {
    use Mnemonic as N;
    let compares = matches!(case.instruction.mnemonic(), N::Cmpsb | N::Cmpsw | N::Cmpsd | N::Cmpsq);
    let elements = [Gpr::Rsi, Gpr::Rdi].map(|register| guest.cpu.get(register));
    let explains = |&start: &u64| match host.stop {
        Stop::PageFault { address, .. } => address.wrapping_sub(start) < 8,
        Stop::Exception { vector: 13, .. } => !is_canonical(start) || !is_canonical(start.wrapping_add(7)),
        _ => false,
    };
    compares && elements.iter().any(explains) && is_fault(guest.stop) && guest.cpu.gpr == host.cpu.gpr
}

fn is_canonical(address: u64) -> bool {
    matches!(address as i64 >> 47, 0 | -1)
}

fn is_x87_store(mnemonic: Mnemonic) -> bool {
    matches!(mnemonic, Mnemonic::Fst | Mnemonic::Fstp | Mnemonic::Fist | Mnemonic::Fistp | Mnemonic::Fisttp)
}

fn is_fault(stop: Stop) -> bool {
    matches!(stop, Stop::PageFault { .. } | Stop::Exception { vector: 12 | 13, .. })
}

/// Intel's manual gives the SHA instructions exception class 4: their memory operand is aligned. AMD's processors do not
/// check that.
fn is_alignment_open(case: &Case, host: &Outcome, guest: &Outcome) -> bool {
    is_sha(case.instruction.mnemonic()) && guest.stop == REFUSED && host.stop != REFUSED
}

/// AMD64 manual, MXCSR: bit 17 can be set. On Intel's processors it is reserved.
fn is_loaded(host: &Outcome, guest: &Outcome) -> bool {
    host.cpu.mxcsr & MISALIGNED != 0 && guest.stop == REFUSED
}

fn is_sha(mnemonic: Mnemonic) -> bool {
    use Mnemonic as N;
    matches!(
        mnemonic,
        N::Sha1msg1 | N::Sha1msg2 | N::Sha1nexte | N::Sha1rnds4 | N::Sha256msg1 | N::Sha256msg2 | N::Sha256rnds2
    )
}

/// What an instruction that ends in a fault may have done before it.
fn concede_progress(case: &Case, host: &Outcome, guest: &mut Outcome) {
    if host.stop == BREAKPOINT {
        return;
    }
    let mnemonic = case.instruction.mnemonic();
    // Where both the push of CALL and its target are refused, which is reported is the processor's choice.
    if mnemonic == Mnemonic::Call && guest.stop != BREAKPOINT {
        guest.stop = host.stop;
    }
    if other_element(case, host, guest) {
        guest.stop = host.stop;
    }
    // A gather may keep what it has loaded; the interpreter starts over.
    if mnemonic == Mnemonic::Vpgatherdd {
        (guest.cpu.xmm, guest.cpu.ymm_high) = (host.cpu.xmm, host.cpu.ymm_high);
    }
    // CALL and ENTER push first, an 80-bit number is stored in two pieces. The interpreter writes nothing then.
    if matches!(mnemonic, Mnemonic::Call | Mnemonic::Enter) || case.instruction.code() == Code::Fstp_m80fp {
        guest.arena = host.arena.clone();
    }
}

/// What AMD's processors do otherwise than Intel's; the interpreter does what Intel's do.
fn concede_to_amd(case: &Case, host: &Outcome, guest: &mut Outcome) {
    // AMD64 manual, FXSAVE and XSAVE: the pointers of the last x87 instruction are saved only while an exception is
    // pending. The host's are known from the XSAVE area of a signal frame.
    if host.cpu.x87.status & SUMMARY == 0 {
        guest.cpu.x87.instruction = host.cpu.x87.instruction;
    }
    match case.instruction.mnemonic() {
        // AMD64 manual, MXCSR_MASK: says that MXCSR has bit 17.
        Mnemonic::Fxsave | Mnemonic::Fxsave64 if host.stop == BREAKPOINT => concede_mask(case, guest),
        // AMD64 manual, secure virtual machine: the hypervisor that intercepts #DB finds RIP at INT1, not behind it, and
        // hands it on so.
        Mnemonic::Int1 if host.cpu.rip == case.cpu.rip => guest.cpu.rip = host.cpu.rip,
        _ => {}
    }
}

fn concede_mask(case: &Case, guest: &mut Outcome) {
    let Some(address) = case.memory_operand().map(|image| image + MISALIGNED_IN_MASK) else { return };
    let byte = guest.arena.peek(address, 1)[0];
    guest.arena.poke(address, &[byte | (MISALIGNED >> 16) as u8]);
}

/// A suspended REPE or REPNE comparison, cut down to the comparisons that the host completed.
///
/// Intel's manual, REP: a fault restores the flags from before the instruction. AMD's manual does not say so, and
/// flags as the last completed comparison left them are seen.
pub(crate) fn completed_comparisons(case: &Case, host: &Outcome) -> Option<Case> {
    let repeats = case.instruction.has_rep_prefix() || case.instruction.has_repne_prefix();
    let compares = case.instruction.rflags_modified() & RflagsBits::CF != 0;
    let completed = case.cpu.get(Gpr::Rcx).wrapping_sub(host.cpu.get(Gpr::Rcx));
    if !(is_amd() && case.instruction.is_string_instruction() && repeats && compares && completed > 0) {
        return None;
    }
    let mut cpu = case.cpu.clone();
    cpu.set(Gpr::Rcx, completed);
    is_fault(host.stop).then(|| Case { instruction: case.instruction, cpu, arena: case.arena.clone() })
}

/// Intel's manual, RCL and RCR: OF is defined for rotations by one bit only. `rflags_undefined` takes the count modulo the
/// bits that rotate, the manual does not.
fn rotated_overflow(case: &Case) -> u64 {
    let rotates = matches!(case.instruction.mnemonic(), Mnemonic::Rcl | Mnemonic::Rcr);
    let counts = rotates && case.instruction.op1_kind() == OpKind::Immediate8;
    if counts && case.instruction.immediate8() & 0x1f > 1 { Rflags::OF } else { 0 }
}

/// The bits of RFLAGS that the instruction leaves undefined.
fn undefined_flags(case: &Case) -> u64 {
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
    NAMES.iter().filter(|(bit, _)| undefined & bit != 0).fold(rotated_overflow(case), |all, (_, flag)| all | flag)
}
