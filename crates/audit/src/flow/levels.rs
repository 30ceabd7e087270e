//! Instructions that look at the current level, or at numbers that follow from it.

use iced_x86::{ConditionCode, Instruction, InstructionInfo, Mnemonic, OpAccess, OpKind, UsedRegister};

use super::computed::Form;
use super::event::EventKind;
use super::flags::Flags;
use super::irql::{IrqlSet, Levels};
use super::operand;
use super::state::{Compared, State};
use super::step::Stepper;
use super::value::Value;

impl Stepper<'_, '_> {
    /// What an instruction says of the current level if it looks at that.
    pub(super) fn level(
        &mut self,
        state: &State,
        instruction: &Instruction,
        one: Value,
        other: Value,
    ) -> Option<Compared> {
        if !is_current(state, one) && !is_current(state, other) {
            return None;
        }
        let at = |value: Value, level| match value {
            Value::Number(number) => Some(number),
            value => value.of_level().filter(|_| is_current(state, value))?.1.at(level),
        };
        let operands = |level| Some((at(one, level)?, at(other, level)?));
        let flags = Flags::after(instruction.mnemonic(), operand::bytes(instruction), operands);
        if flags.tell_above_apc() {
            self.calls.record(EventKind::ComparesWithApc);
        }
        Some(Compared::Irql(state.irql, flags))
    }

    pub(super) fn looks_at_level(&self, state: &State, instruction: &Instruction) -> bool {
        (0..2).any(|index| self.operand(state, instruction, index).of_level().is_some())
    }

    /// `movsx`, also from a table: as `mov` does, a number that has no sign.
    pub(super) fn extend(&mut self, state: &mut State, instruction: &Instruction) {
        let number = match instruction.op1_kind() {
            OpKind::Register => Some(state.get(instruction.op1_register())).filter(|value| has_no_sign(*value)),
            _ => self.of_table(state, instruction),
        };
        match number {
            Some(number) => self.assign(state, instruction, number),
            None => self.other(state, instruction),
        }
    }

    /// `shr` or `bt` of a level, or of a constant by a level.
    pub(super) fn bits(&mut self, state: &mut State, instruction: &Instruction) {
        let (one, other) = (self.operand(state, instruction, 0), self.operand(state, instruction, 1));
        state.compared = self.level(state, instruction, one, other);
        if instruction.mnemonic() == Mnemonic::Shr {
            self.assign(state, instruction, computed(instruction, one, other));
        }
    }

    /// `setcc`: where the flags follow from the level, so does the result.
    pub(super) fn set_by_condition(&mut self, state: &mut State, instruction: &Instruction) {
        match state.compared {
            Some(Compared::Irql(level, flags)) => {
                let form = flags.met_at(instruction.condition_code()).map_or(Form::Somehow, Form::Is);
                self.assign(state, instruction, Value::Computed(level, form));
            }
            _ => self.other(state, instruction),
        }
    }

    /// What a table holds by level: one of `switch`, which is remembered, or another one.
    pub(super) fn of_table(&mut self, state: &State, instruction: &Instruction) -> Option<Value> {
        let (level, form) = state.get(instruction.memory_index()).of_level()?;
        if instruction.memory_index_scale() == 4 {
            self.switched = Some((level, form));
        }
        (instruction.memory_size().size() <= 4).then_some(Value::Computed(level, Form::Somehow))
    }
}

/// The level that an instruction which is not followed takes, by a register or by the flags.
pub(super) fn taken_level(state: &State, instruction: &Instruction, info: &InstructionInfo) -> Option<IrqlSet> {
    let reads = |used: &&UsedRegister| !matches!(used.access(), OpAccess::Write | OpAccess::CondWrite);
    let by_register = || {
        let mut levels = info.used_registers().iter().filter(reads).map(|used| state.get(used.register()).of_level());
        levels.find_map(|level| level.map(|(level, _)| level))
    };
    match state.compared {
        Some(Compared::Irql(level, _)) if instruction.rflags_read() != 0 => Some(level),
        _ => by_register(),
    }
}

/// What an instruction makes of two numbers, if one follows from a level.
pub(super) fn computed(instruction: &Instruction, one: Value, other: Value) -> Value {
    match (one.of_level(), other) {
        (Some((level, form)), Value::Number(number)) => {
            Value::computed(level, form.with(instruction.mnemonic(), number))
        }
        (level, other) => {
            let level = level.or(other.of_level());
            level.map_or(Value::Unknown, |(level, _)| Value::Computed(level, Form::Somehow))
        }
    }
}

/// Does a value follow from the current level?
pub(super) fn is_current(state: &State, value: Value) -> bool {
    value.of_level().is_some_and(|(level, _)| level == state.irql)
}

/// Does a value follow from a level, and is it the same number whether it has a sign or not?
pub(super) fn has_no_sign(value: Value) -> bool {
    value.of_level().is_some_and(|(level, form)| form.has_no_sign(level.levels()))
}

pub(super) fn is_set_by_condition(instruction: &Instruction) -> bool {
    instruction.condition_code() != ConditionCode::None && instruction.op_count() == 1
}

/// What is known where a table of `switch` that was read by a level leads to one of its targets.
pub(super) fn choose(state: &mut State, form: Form, leads_there: impl Fn(u64) -> bool) {
    match form {
        Form::Somehow => state.doubt(),
        form => state.narrow(Levels::with(|level| form.at(level).is_some_and(&leads_there))),
    }
}
