//! A failed case for people.

use iced_x86::{Formatter, IntelFormatter};

use super::arena::{BASE, LENGTH};
use super::case::Case;
use super::compare::{Difference, values};

/// The instruction, its input, what differs.
pub(crate) fn describe(case: &Case, differences: &[Difference]) -> String {
    let mut text = String::new();
    IntelFormatter::new().format(&case.instruction, &mut text);
    let bytes = case.arena.peek(case.cpu.rip, case.instruction.len());
    let mut lines = vec![format!("  {text}    ; {bytes:02x?} at {:#x}", case.cpu.rip)];
    for (name, value) in values(&case.cpu) {
        lines.push(format!("    with {name} = {value:#x}"));
    }
    if let Some(address) = case.memory_operand() {
        let length = case.instruction.memory_size().size().clamp(16, 64);
        let all = case.arena.peek(BASE, LENGTH);
        let bytes = all.get((address.wrapping_sub(BASE)) as usize..).and_then(|rest| rest.get(..length));
        lines.push(format!("    with [{address:#x}] = {bytes:02x?}"));
    }
    lines.extend(differences.iter().map(Difference::to_string));
    lines.join("\n")
}
