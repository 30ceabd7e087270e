//! What differs between two outcomes of one case.

use std::fmt::{self, Display, Formatter};

use engine::{Cpu, Rflags};
use iced_x86::{Code, Formatter as _, IntelFormatter, Mnemonic, OpKind, RflagsBits};

use super::arena::{BASE, LENGTH};
use super::case::{BREAKPOINT, Case, FLAGS, Outcome, Stop};

/// One value that the host and the interpreter disagree on.
pub(crate) struct Difference {
    what: String,
    host: String,
    guest: String,
}

impl Display for Difference {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "    {}: host {}, interpreter {}", self.what, self.host, self.guest)
    }
}

/// Everything that `guest` has different from `host`, undefined flags apart.
pub(crate) fn compare(case: &Case, host: &Outcome, guest: &Outcome) -> Vec<Difference> {
    let mut found = Vec::new();
    if !same_stop(case, host.stop, guest.stop) {
        found.push(difference("stop", format!("{:x?}", host.stop), format!("{:x?}", guest.stop)));
    }
    let relevant = FLAGS & !undefined_flags(case, host.stop);
    for ((name, host), (_, guest)) in values(&host.cpu, relevant).into_iter().zip(values(&guest.cpu, relevant)) {
        if host != guest {
            found.push(difference(&name, format!("{host:#x}"), format!("{guest:#x}")));
        }
    }
    let stop = host.stop;
    let (host, guest) = (host.arena.peek(BASE, LENGTH), guest.arena.peek(BASE, LENGTH));
    if host != guest && !may_have_written(case, stop) {
        found.extend(compare_memory(host, guest));
    }
    found
}

/// Where both the push of CALL and its target are refused, which is reported is the processor's choice.
fn same_stop(case: &Case, host: Stop, guest: Stop) -> bool {
    let both_fault = host != BREAKPOINT && guest != BREAKPOINT;
    host == guest || (both_fault && case.instruction.mnemonic() == Mnemonic::Call)
}

/// Processors may have written to memory when a later step of these instructions faults: CALL and ENTER push first, an
/// 80-bit number is stored in two pieces. The interpreter writes nothing then.
fn may_have_written(case: &Case, stop: Stop) -> bool {
    let in_steps = matches!(case.instruction.mnemonic(), Mnemonic::Call | Mnemonic::Enter)
        || case.instruction.code() == Code::Fstp_m80fp;
    in_steps && stop != BREAKPOINT
}

fn difference(what: &str, host: String, guest: String) -> Difference {
    Difference { what: what.to_owned(), host, guest }
}

/// Each compared register with its name.
fn values(cpu: &Cpu, flags: u64) -> Vec<(String, u128)> {
    let numbered = |name: &str, values: &[u128]| -> Vec<(String, u128)> {
        values.iter().enumerate().map(|(index, &value)| (format!("{name}[{index}]"), value)).collect()
    };
    let mut all = numbered("gpr", &cpu.gpr.map(u128::from));
    all.extend(numbered("xmm", &cpu.xmm));
    all.extend(numbered("x87.registers", &cpu.x87.registers));
    let single = |name: &str, value: u128| (name.to_owned(), value);
    all.push(single("rip", cpu.rip.into()));
    all.push(single("rflags", (cpu.rflags & flags).into()));
    all.push(single("mxcsr", cpu.mxcsr.into()));
    all.push(single("x87.control", cpu.x87.control.into()));
    all.push(single("x87.status", cpu.x87.status.into()));
    all.push(single("x87.tag", cpu.x87.tag.into()));
    // Processors differ in what they keep of the bits above a canonical address.
    all.push(single("x87.instruction", (cpu.x87.instruction & (u64::MAX >> 16)).into()));
    all
}

fn compare_memory(host: &[u8], guest: &[u8]) -> Vec<Difference> {
    (BASE..)
        .zip(host.iter().zip(guest))
        .filter(|(_, (host, guest))| host != guest)
        .map(|(address, (host, guest))| {
            difference(&format!("[{address:#x}]"), format!("{host:#x}"), format!("{guest:#x}"))
        })
        .take(20)
        .collect()
}

/// The bits of RFLAGS that the instruction leaves undefined. A repeated comparison that faults on the way goes on later and
/// sets them all, so processors and the interpreter may leave different ones.
fn undefined_flags(case: &Case, stop: Stop) -> u64 {
    if case.instruction.is_string_instruction() && stop != BREAKPOINT {
        return Rflags::ARITHMETIC;
    }
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

/// A failed case for people: the instruction, its input, what differs.
pub(crate) fn describe(case: &Case, differences: &[Difference]) -> String {
    let mut text = String::new();
    IntelFormatter::new().format(&case.instruction, &mut text);
    let bytes = case.arena.peek(case.cpu.rip, case.instruction.len());
    let mut lines = vec![format!("  {text}    ; {bytes:02x?} at {:#x}", case.cpu.rip)];
    for (name, value) in values(&case.cpu, FLAGS) {
        lines.push(format!("    with {name} = {value:#x}"));
    }
    if let Some(address) = memory_operand(case) {
        let length = case.instruction.memory_size().size().clamp(16, 64);
        let all = case.arena.peek(BASE, LENGTH);
        let bytes = all.get((address.wrapping_sub(BASE)) as usize..).and_then(|rest| rest.get(..length));
        lines.push(format!("    with [{address:#x}] = {bytes:02x?}"));
    }
    lines.extend(differences.iter().map(Difference::to_string));
    lines.join("\n")
}

fn memory_operand(case: &Case) -> Option<u64> {
    let operand = (0..case.instruction.op_count())
        .find(|&index| matches!(case.instruction.op_kind(index), OpKind::Memory | OpKind::MemorySegRSI))?;
    case.instruction.virtual_address(operand, 0, |register, _, _| {
        if register.is_segment_register() {
            return Some(0);
        }
        let number = register.full_register().number();
        let value = case.cpu.gpr.get(number)?;
        Some(match register.size() {
            1 => value & 0xff,
            4 => value & 0xffff_ffff,
            _ => *value,
        })
    })
}
