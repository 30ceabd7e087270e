//! The state of the unit during one instruction: register stack, exceptions, rounding.

use super::operand::Operand;
use crate::context::Context;
use crate::float::{
    Answer, EXTENDED, Exact, Float, Format, Kind, Mode, Rounded, pack_extended, round, round_unbounded, unpack_extended,
};
use crate::op::{Flow, Op, Outcome, Stop};
use crate::ops::exceptions::{DENORMAL, DIVIDE_BY_ZERO, INVALID, OVERFLOW, PRECISION, UNDERFLOW};
use engine::{Mmu, X87};

/// Bits of the status word, beside the exception flags.
const STACK_FAULT: u16 = 1 << 6;
const SUMMARY: u16 = 1 << 7;
pub(super) const C0: u16 = 1 << 8;
pub(super) const C1: u16 = 1 << 9;
pub(super) const C2: u16 = 1 << 10;
const TOP_SHIFT: u16 = 11;
pub(super) const C3: u16 = 1 << 14;
const BUSY: u16 = 1 << 15;

/// The exception flags and their masks, in the status and control words.
const EXCEPTIONS: u16 = 0x3f;
/// #MF.
const FLOATING_POINT_ERROR: u8 = 16;
/// What is added to or taken from the exponent of a result that is out of range, for the handler.
const EXPONENT_BIAS: i32 = 24576;

/// Works on a copy of the state, so that an instruction whose memory access faults changes nothing.
pub(super) struct Unit {
    state: X87,
}

/// An exception that is not masked was raised: the instruction has no result.
#[derive(Clone, Copy)]
pub(super) struct NoResult;

pub(super) type Computed<T> = Result<T, NoResult>;

impl Unit {
    /// #MF where an earlier instruction left an exception that is not masked.
    pub(super) fn wait<M: Mmu>(context: &mut Context<'_, M>) -> Result<Unit, Stop> {
        if context.cpu.x87.status & SUMMARY != 0 {
            return Err(context.exception(FLOATING_POINT_ERROR));
        }
        Ok(Unit::with(context.cpu.x87.clone()))
    }

    pub(super) fn with(state: X87) -> Unit {
        Unit { state }
    }

    /// Begins an instruction that is not a control instruction: it waits, and its address is kept.
    pub(super) fn begin<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Result<Unit, Stop> {
        let mut unit = Unit::wait(context)?;
        unit.state.instruction = op.address;
        Ok(unit)
    }

    /// Commits the instruction.
    pub(super) fn finish<M>(mut self, context: &mut Context<'_, M>, flow: Flow) -> Outcome {
        self.summarise();
        context.cpu.x87 = self.state;
        Ok(flow)
    }

    /// Error summary and busy follow from the exceptions and their masks.
    fn summarise(&mut self) {
        let pending = self.state.status & !self.state.control & EXCEPTIONS != 0;
        self.state.status &= !(SUMMARY | BUSY);
        if pending {
            self.state.status |= SUMMARY | BUSY;
        }
    }

    pub(super) fn mode(&self) -> Mode {
        Mode::from_bits(u32::from(self.state.control) >> 10)
    }

    /// The format of results: the control word can limit the precision.
    pub(super) fn format(&self) -> Format {
        let precision = match self.state.control >> 8 & 3 {
            0 => 24,
            2 => 53,
            _ => 64,
        };
        Format { precision, ..EXTENDED }
    }

    fn is_masked(&self, flag: u32) -> bool {
        u32::from(self.state.control) & flag != 0
    }

    /// Sets an exception flag. Without its mask there is no result.
    pub(super) fn raise(&mut self, flag: u32) -> Computed<()> {
        self.state.status |= flag as u16;
        if self.is_masked(flag) { Ok(()) } else { Err(NoResult) }
    }

    pub(super) fn set_condition(&mut self, bit: u16, value: bool) {
        self.state.status = if value { self.state.status | bit } else { self.state.status & !bit };
    }

    /// The masked answer to an invalid operation.
    pub(super) fn invalid(&mut self) -> Computed<Float> {
        self.raise(INVALID).map(|()| Float::INDEFINITE)
    }

    /// The masked answer to a read of an empty register, or (`overflow`) a push onto a full stack.
    pub(super) fn stack_fault(&mut self, overflow: bool) -> Computed<Float> {
        self.state.status |= STACK_FAULT;
        self.set_condition(C1, overflow);
        self.invalid()
    }

    fn top(&self) -> u16 {
        self.state.status >> TOP_SHIFT & 7
    }

    pub(super) fn rotate(&mut self, by: u16) {
        let top = (self.top() + by) & 7;
        self.state.status = (self.state.status & !(7 << TOP_SHIFT)) | (top << TOP_SHIFT);
    }

    /// The physical number of ST(`index`).
    fn physical(&self, index: u8) -> usize {
        usize::from((self.top() + u16::from(index)) & 7)
    }

    pub(super) fn is_empty(&self, index: u8) -> bool {
        self.state.tag >> self.physical(index) & 1 == 0
    }

    /// The bits of ST(`index`), whether or not it is empty.
    pub(super) fn bits(&self, index: u8) -> u128 {
        self.state.registers[self.physical(index)]
    }

    pub(super) fn register(&self, index: u8) -> Operand {
        if self.is_empty(index) {
            return Operand::Empty;
        }
        match unpack_extended(self.bits(index)) {
            Some(value) => Operand::Number { value, denormal: is_denormal(self.bits(index)) },
            None => Operand::Unsupported,
        }
    }

    pub(super) fn set_bits(&mut self, index: u8, bits: u128) {
        let physical = self.physical(index);
        self.state.registers[physical] = bits;
        self.state.tag |= 1 << physical;
    }

    pub(super) fn set(&mut self, index: u8, value: Float) {
        self.set_bits(index, pack_extended(value));
    }

    pub(super) fn free(&mut self, index: u8) {
        self.state.tag &= !(1 << self.physical(index));
    }

    /// Frees all registers.
    pub(super) fn empty(&mut self) {
        self.state.tag = 0;
        self.state.status &= !(7 << TOP_SHIFT);
    }

    pub(super) fn set_control(&mut self, word: u16) {
        self.state.control = word;
    }

    pub(super) fn pop(&mut self) {
        self.free(0);
        self.rotate(1);
    }

    /// What `value` computes, or the default NaN where there is no room to push it.
    pub(super) fn if_room(&mut self, value: impl FnOnce(&mut Unit) -> Computed<u128>) -> Computed<u128> {
        self.set_condition(C1, false);
        if self.is_empty(7) { value(self) } else { self.stack_fault(true).map(pack_extended) }
    }

    pub(super) fn push(&mut self, bits: u128) {
        self.rotate(7);
        self.set_bits(0, bits);
    }

    /// The values of the operands, or the result that exceptional ones lead to.
    pub(super) fn values<const N: usize>(&mut self, operands: [Operand; N]) -> Computed<Result<[Float; N], Float>> {
        self.set_condition(C1, false);
        if operands.iter().any(|operand| matches!(operand, Operand::Empty)) {
            return self.stack_fault(false).map(Err);
        }
        if operands.iter().any(|operand| matches!(operand, Operand::Unsupported)) {
            return self.invalid().map(Err);
        }
        let values = operands.map(|operand| operand.value());
        if values.iter().any(|value| value.is_signalling()) {
            self.raise(INVALID)?;
        }
        Ok(propagated_nan(&values).map_or(Ok(values), Err))
    }

    pub(super) fn note_denormal(&mut self, operands: &[Operand]) -> Computed<()> {
        let denormal = operands.iter().any(|operand| matches!(operand, Operand::Number { denormal: true, .. }));
        if denormal { self.raise(DENORMAL) } else { Ok(()) }
    }

    /// `f` of the operands, rounded for a register.
    pub(super) fn compute<const N: usize>(
        &mut self,
        operands: [Operand; N],
        f: impl Fn([Float; N], Mode) -> Answer,
    ) -> Computed<Float> {
        let values = match self.values(operands)? {
            Ok(values) => values,
            Err(result) => return Ok(result),
        };
        let answer = f(values, self.mode());
        if !matches!(answer, Answer::Invalid | Answer::Pole(_)) {
            self.note_denormal(&operands)?;
        }
        self.deliver(answer)
    }

    fn deliver(&mut self, answer: Answer) -> Computed<Float> {
        match answer {
            Answer::Special(value) => Ok(value),
            Answer::Finite(exact) => Ok(self.round_for_register(exact)),
            Answer::Pole(negative) => self.raise(DIVIDE_BY_ZERO).map(|()| Float::infinity(negative)),
            Answer::Invalid => self.invalid(),
        }
    }

    /// A result for a register is delivered even where an overflow or underflow is not masked: then with another
    /// exponent, for the handler.
    fn round_for_register(&mut self, exact: Exact) -> Float {
        let (format, mode) = (self.format(), self.mode());
        let rounded = round(exact, format, mode);
        let unmasked = (rounded.overflow && !self.is_masked(OVERFLOW)) || (rounded.tiny && !self.is_masked(UNDERFLOW));
        if !unmasked {
            self.note_rounding(&rounded);
            return rounded.value;
        }
        let biased = round_unbounded(exact, format.precision, mode);
        self.note_rounding(&Rounded { overflow: rounded.overflow, tiny: rounded.tiny, ..biased });
        match biased.value.kind {
            Kind::Finite { exponent, significand } => {
                let exponent = exponent + if rounded.overflow { -EXPONENT_BIAS } else { EXPONENT_BIAS };
                Float { kind: Kind::Finite { exponent, significand }, ..biased.value }
            }
            _ => biased.value,
        }
    }

    /// A result for memory: none where an overflow or underflow is not masked.
    pub(super) fn round_for_memory(&mut self, exact: Exact, format: Format) -> Computed<Float> {
        let rounded = round(exact, format, self.mode());
        if rounded.overflow {
            self.raise(OVERFLOW)?;
        }
        if rounded.tiny && !self.is_masked(UNDERFLOW) {
            self.raise(UNDERFLOW)?;
        }
        self.note_rounding(&rounded);
        Ok(rounded.value)
    }

    /// Sets the flags that a rounded result leads to.
    fn note_rounding(&mut self, rounded: &Rounded) {
        let underflow = rounded.tiny && (rounded.inexact || !self.is_masked(UNDERFLOW));
        for (raised, flag) in [(rounded.overflow, OVERFLOW), (underflow, UNDERFLOW), (rounded.inexact, PRECISION)] {
            self.state.status |= if raised { flag as u16 } else { 0 };
        }
        self.set_condition(C1, rounded.up);
    }
}

/// An exponent field of zero and anything in the significand.
fn is_denormal(bits: u128) -> bool {
    bits >> 64 & 0x7fff == 0 && bits as u64 != 0
}

/// The NaN that results from these operands: a quiet one before a signalling one, then the one with the greater
/// significand, then the positive one.
fn propagated_nan(values: &[Float]) -> Option<Float> {
    let rank = |nan: &Float| match nan.kind {
        Kind::Nan(fraction) => (!nan.is_signalling(), fraction, !nan.negative),
        _ => (false, 0, false),
    };
    values.iter().filter(|value| value.is_nan()).max_by_key(|nan| rank(nan)).map(|nan| nan.quieted())
}
