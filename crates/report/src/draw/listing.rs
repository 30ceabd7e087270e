//! Instructions of a span, decoded and named.

use iced_x86::{Formatter, Instruction, IntelFormatter, MemorySizeOptions, SymbolResolver, SymbolResult};
use nt_types::Rva;

use crate::decode;
use crate::span::{Span, Window};

/// A label under an instruction.
pub(super) struct Mark {
    pub(super) rva: Rva,
    pub(super) label: String,
}

/// One instruction.
pub(super) struct Line {
    pub(super) rva: Rva,
    pub(super) bytes: String,
    pub(super) text: String,
}

/// The instructions from the place on, up to `further` after the last mark. Ends early where bytes do not decode.
pub(super) fn lines(span: &Span, marks: &[Mark], further: usize) -> Vec<Line> {
    let Some(window) = &span.code else { return Vec::new() };
    let instructions = decode::instructions(span.place.rva, &window.bytes);
    let rva_of = |instruction: &Instruction| Rva(instruction.ip() as u32);
    let last_mark = instructions.iter().rposition(|one| marks.iter().any(|mark| mark.rva == rva_of(one))).unwrap_or(0);
    let mut formatter = formatter(window);
    let count = last_mark + 1 + further;
    instructions.iter().take(count).map(|one| line(span.place.rva, window, one, &mut formatter)).collect()
}

/// True where an instruction of the span starts at `rva`.
pub(super) fn shows(span: &Span, rva: Rva) -> bool {
    let instructions =
        span.code.as_ref().map(|window| decode::instructions(span.place.rva, &window.bytes)).unwrap_or_default();
    instructions.iter().any(|instruction| instruction.ip() == u64::from(rva.0))
}

/// The highest RVA that drawing the span may show.
pub(super) fn last_rva(span: &Span) -> u32 {
    let bytes = span.code.as_ref().map_or(0, |window| window.bytes.len());
    span.place.rva.0.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX))
}

fn line(start: Rva, window: &Window, instruction: &Instruction, formatter: &mut IntelFormatter) -> Line {
    let offset = (instruction.ip() - u64::from(start.0)) as usize;
    let bytes = window.bytes.get(offset..offset + instruction.len()).unwrap_or_default();
    // An indirect call has one size only; elsewhere the size is shown where registers do not tell it.
    let indirect = instruction.is_call_near_indirect() || instruction.is_jmp_near_indirect();
    let sizes = if indirect { MemorySizeOptions::Never } else { MemorySizeOptions::Minimal };
    formatter.options_mut().set_memory_size_options(sizes);
    let (mut mnemonic, mut operands) = (String::new(), String::new());
    formatter.format_mnemonic(instruction, &mut mnemonic);
    formatter.format_all_operands(instruction, &mut operands);
    Line {
        rva: Rva(instruction.ip() as u32),
        bytes: bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "),
        text: format!("{mnemonic:<5} {operands}").trim_end().to_owned(),
    }
}

fn formatter(window: &Window) -> IntelFormatter {
    let mut formatter = IntelFormatter::with_options(Some(Box::new(Names(window.names.clone()))), None);
    let options = formatter.options_mut();
    options.set_uppercase_hex(false);
    options.set_space_after_operand_separator(true);
    options.set_show_branch_size(false);
    options.set_branch_leading_zeros(false);
    formatter
}

struct Names(Vec<(Rva, String)>);

impl SymbolResolver for Names {
    fn symbol(
        &mut self,
        instruction: &Instruction,
        _operand: u32,
        _instruction_operand: Option<u32>,
        address: u64,
        _address_size: u32,
    ) -> Option<SymbolResult<'_>> {
        if decode::referred(instruction) != Some(address) {
            return None;
        }
        let (_, name) = self.0.iter().find(|(rva, _)| u64::from(rva.0) == address)?;
        Some(SymbolResult::with_str(address, name))
    }
}
