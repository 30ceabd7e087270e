//! One instruction.

use iced_x86::{ConditionCode, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register};

use super::calls::Calls;
use super::computed::Form;
use super::event::{Access, EventKind};
use super::facts::Facts;
use super::flags::Flags;
use super::irql::IrqlSet;
use super::levels::{self, computed, has_no_sign, is_set_by_condition};
use super::operand::{self, Place};
use super::state::{Compared, State};
use super::value::{CREATED, Value};
use crate::ddi::Role;

/// `DEVICE_OBJECT.Flags`, in bytes from its start, and the number of a bit of it (wdm.h).
const DEVICE_FLAGS: i32 = 0x30;
const DO_POWER_PAGABLE: u64 = 13;

/// Interprets instructions and, if asked to, records what they do.
pub(super) struct Stepper<'s, 'p> {
    pub(super) calls: Calls<'s, 'p>,
    pub(super) info: &'s mut InstructionInfoFactory,
    /// The level that a table of `switch` was last read by, and how.
    pub(super) switched: Option<(IrqlSet, Form)>,
}

impl Stepper<'_, '_> {
    /// The state after an instruction. Jumps out of the function are calls; `leaves` says whether this one is.
    pub(super) fn step(&mut self, state: &mut State, instruction: &Instruction, leaves: bool) {
        self.calls.begin(state, instruction);
        if instruction.op_count() > 0 && uses_memory(instruction) {
            self.touch(state, instruction);
        }
        match instruction.flow_control() {
            FlowControl::Call | FlowControl::IndirectCall => self.calls.call(state, instruction),
            FlowControl::UnconditionalBranch | FlowControl::IndirectBranch | FlowControl::ConditionalBranch
                if leaves =>
            {
                self.calls.call(state, instruction);
            }
            FlowControl::Next => self.ordinary(state, instruction),
            FlowControl::Interrupt if instruction.immediate8() == 0x2c => {
                self.calls.record(EventKind::AssertionFails);
            }
            _ => {}
        }
    }

    fn ordinary(&mut self, state: &mut State, instruction: &Instruction) {
        match instruction.mnemonic() {
            Mnemonic::Mov | Mnemonic::Movzx => self.mov(state, instruction),
            Mnemonic::Lea => self.lea(state, instruction),
            Mnemonic::Push => push(state, self.operand(state, instruction, 0)),
            Mnemonic::Pop => pop(state, instruction),
            Mnemonic::Add | Mnemonic::Sub | Mnemonic::Inc | Mnemonic::Dec => self.add(state, instruction),
            Mnemonic::Movsx | Mnemonic::Movsxd => self.extend(state, instruction),
            Mnemonic::Cdqe | Mnemonic::Cwde if has_no_sign(state.get(Register::RAX)) => {}
            Mnemonic::Shr | Mnemonic::Bt if self.looks_at_level(state, instruction) => self.bits(state, instruction),
            _ if is_set_by_condition(instruction) => self.set_by_condition(state, instruction),
            Mnemonic::Xor | Mnemonic::And | Mnemonic::Or => self.logic(state, instruction),
            Mnemonic::Xadd => self.xadd(state, instruction),
            Mnemonic::Xchg => self.xchg(state, instruction),
            Mnemonic::Cmp | Mnemonic::Test => self.compare(state, instruction),
            Mnemonic::Bts | Mnemonic::Btr => {
                self.device_flags(state, instruction);
                self.other(state, instruction);
            }
            Mnemonic::Stosq => self.fill(state, instruction),
            _ => self.other(state, instruction),
        }
    }

    pub(super) fn operand(&self, state: &State, instruction: &Instruction, index: u32) -> Value {
        operand::operand(self.calls.program, state, instruction, index)
    }

    fn mov(&mut self, state: &mut State, instruction: &Instruction) {
        if instruction.op1_kind() == OpKind::Register && instruction.op1_register() == Register::CR8 {
            return state.set(instruction.op0_register(), Value::Irql(state.irql));
        }
        let value = self.operand(state, instruction, 1);
        if instruction.op0_kind() == OpKind::Register && instruction.op0_register() == Register::CR8 {
            return self.calls.write_cr8(state, value);
        }
        let value = match instruction.op1_kind() {
            OpKind::Register => value.truncated(instruction.op1_register().size()),
            OpKind::Memory => self.of_table(state, instruction).unwrap_or(value),
            _ => value,
        };
        self.assign(state, instruction, value);
    }

    /// Puts a value into the first operand.
    pub(super) fn assign(&mut self, state: &mut State, instruction: &Instruction, value: Value) {
        if instruction.op0_kind() == OpKind::Register {
            let register = instruction.op0_register();
            let value = match value {
                // The rest of the register stays: only levels and small numbers are looked at in this width.
                Value::Irql(_) | Value::Computed(..) | Value::Major(_) => value.truncated(register.size()),
                Value::Number(number) if register.size() <= 2 => Value::Number(number & 0xff),
                _ if register.size() <= 2 => Value::Unknown,
                Value::Number(number) if register.size() == 4 => Value::Number(number & 0xffff_ffff),
                _ => value,
            };
            if matches!(value, Value::Number(number) if is_failure(number)) {
                self.calls.fails(register.full_register() == Register::RAX);
            }
            return state.set(register, value);
        }
        self.store(state, instruction, value);
    }

    fn store(&mut self, state: &mut State, instruction: &Instruction, value: Value) {
        let Place::At { base, indexed } = operand::place(state, instruction) else { return };
        match (base, indexed) {
            (Value::Stack(at), false) => {
                state.set_slot(at, value);
                if matches!(value, Value::Handle(_)) && state.slot(at) != value {
                    self.calls.keeps_somewhere(state);
                }
            }
            (base, indexed) => {
                if matches!(base, Value::Parameter(n, at) if state.sync == Some((n, at))) {
                    state.sync = None;
                }
                self.calls.keeps_at(state, base, indexed, value);
                self.calls.stored(base, indexed, value);
            }
        }
        if let Value::Unknown | Value::Parameter(..) = base
            && instruction.memory_displacement64() == 0x68
            && instruction.mnemonic() == Mnemonic::Xchg
        {
            self.calls.cancel_routine(value);
        }
    }

    fn lea(&mut self, state: &mut State, instruction: &Instruction) {
        let value = match operand::place(state, instruction) {
            Place::At { base, indexed: false } => base,
            _ => Value::Unknown,
        };
        state.set(instruction.op0_register(), value.truncated(instruction.op0_register().size()));
    }

    fn add(&mut self, state: &mut State, instruction: &Instruction) {
        let one = self.operand(state, instruction, 0);
        let (other, adds) = match instruction.mnemonic() {
            Mnemonic::Inc => (Value::Number(1), true),
            Mnemonic::Dec => (Value::Number(1), false),
            mnemonic => (self.operand(state, instruction, 1), mnemonic == Mnemonic::Add),
        };
        let value = match other.number() {
            Some(number) if adds => one.plus(number as i64),
            Some(number) => one.plus((number as i64).wrapping_neg()),
            None => computed(instruction, one, other),
        };
        state.compared = match value {
            Value::Major(less) => comes_at_passive(less),
            _ if let Some(level) = self.level(state, instruction, one, other) => Some(level),
            _ => one.is_memory().then_some(Compared::Memory(one)),
        };
        self.assign(state, instruction, value);
    }

    fn logic(&mut self, state: &mut State, instruction: &Instruction) {
        let same = instruction.op0_kind() == OpKind::Register
            && instruction.op1_kind() == OpKind::Register
            && instruction.op0_register() == instruction.op1_register();
        let (one, other) = (self.operand(state, instruction, 0), self.operand(state, instruction, 1));
        let value = match (instruction.mnemonic(), one, other) {
            (Mnemonic::Xor, ..) if same => Value::Number(0),
            (Mnemonic::And | Mnemonic::Or, one, _) if same => one,
            // Alignment of the stack pointer.
            (Mnemonic::And, Value::Stack(at), Value::Number(mask)) => Value::Stack(at & mask as i32),
            (Mnemonic::And, Value::Number(one), Value::Number(other)) => Value::Number(one & other),
            (Mnemonic::And, _, Value::Number(0)) => Value::Number(0),
            (Mnemonic::Or, Value::Number(one), Value::Number(other)) => Value::Number(one | other),
            (Mnemonic::Or, _, Value::Number(number)) if is_all_ones(instruction, number) => Value::Number(number),
            // The flags of a device that was just created stay what they are, whatever else is set in them.
            (Mnemonic::And | Mnemonic::Or, flags @ Value::Field(CREATED, DEVICE_FLAGS, 0), Value::Number(_))
            | (Mnemonic::And | Mnemonic::Or, Value::Number(_), flags @ Value::Field(CREATED, DEVICE_FLAGS, 0)) => flags,
            _ => computed(instruction, one, other),
        };
        self.device_flags(state, instruction);
        let level = self.level(state, instruction, one, other);
        self.assign(state, instruction, value);
        state.compared = level.or(one.is_memory().then_some(Compared::Memory(one)));
    }

    /// `DEVICE_OBJECT.Flags`: is DO_POWER_PAGABLE set in a device that was just created, or cleared in another one?
    fn device_flags(&mut self, state: &State, instruction: &Instruction) {
        let (one, other) = (self.operand(state, instruction, 0), self.operand(state, instruction, 1));
        let (Value::Field(device, DEVICE_FLAGS, 0), Value::Number(number)) = (one, other) else { return };
        let sets = match instruction.mnemonic() {
            Mnemonic::Or => number >> DO_POWER_PAGABLE & 1 != 0,
            Mnemonic::Bts => number == DO_POWER_PAGABLE,
            _ => false,
        };
        let clears = match instruction.mnemonic() {
            Mnemonic::And => number >> DO_POWER_PAGABLE & 1 == 0,
            Mnemonic::Btr => number == DO_POWER_PAGABLE,
            _ => false,
        };
        if sets && device == CREATED || clears && device != CREATED {
            self.calls.record(EventKind::PowerPagable { sets });
        }
    }

    fn xchg(&mut self, state: &mut State, instruction: &Instruction) {
        let (one, other) = (self.operand(state, instruction, 0), self.operand(state, instruction, 1));
        self.assign(state, instruction, other);
        if instruction.op1_kind() == OpKind::Register {
            state.set(instruction.op1_register(), one);
        }
    }

    /// Remembers what a comparison looks at.
    fn compare(&mut self, state: &mut State, instruction: &Instruction) {
        let (one, other) = (self.operand(state, instruction, 0), self.operand(state, instruction, 1));
        state.compared = self.level(state, instruction, one, other).or_else(|| match (one, other) {
            (Value::Major(less), Value::Number(number)) if instruction.mnemonic() == Mnemonic::Cmp => {
                comes_at_passive(less.wrapping_add(number as u8))
            }
            (Value::Major(less), Value::Major(_)) => comes_at_passive(less),
            (Value::Handle(section), Value::Handle(_) | Value::Number(0)) => Some(Compared::Handle(section)),
            (place, Value::Number(0)) if let Some((_, section)) = state.kept.filter(|(kept, _)| *kept == place) => {
                Some(Compared::Handle(section))
            }
            (Value::Result(call), other) if other == one || other == Value::Number(0) => {
                (operand::bytes(instruction) == 4).then_some(Compared::Result(call))
            }
            (one, _) if one.is_memory() => Some(Compared::Memory(one)),
            (_, other) if other.is_memory() => Some(Compared::Memory(other)),
            _ => None,
        });
    }

    /// `rep stosq`: an array is filled with one value.
    fn fill(&mut self, state: &mut State, instruction: &Instruction) {
        let (target, value) = (state.get(Register::RDI), state.get(Register::RAX));
        self.calls.stored(target, instruction.has_rep_prefix(), value);
        if let Value::Stack(at) = target {
            state.forget_slots(at, if instruction.has_rep_prefix() { 0x1000 } else { 8 });
        }
        state.set(Register::RDI, Value::Unknown);
        state.set(Register::RCX, Value::Number(0));
    }

    /// Every other instruction: what it writes is unknown.
    pub(super) fn other(&mut self, state: &mut State, instruction: &Instruction) {
        if self.calls.handles.any && uses_handle(state, instruction) {
            self.calls.keeps_somewhere(state);
        }
        let info = self.info.info(instruction);
        let writes = |access: OpAccess| !matches!(access, OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess);
        let level = levels::taken_level(state, instruction, info);
        let result = level.map_or(Value::Unknown, |level| Value::Computed(level, Form::Somehow));
        for used in info.used_registers() {
            if writes(used.access()) && used.register() != Register::RSP {
                state.set(used.register(), result);
            }
        }
        let stores = info.used_memory().iter().any(|memory| writes(memory.access()));
        if stores && let Place::At { base: Value::Stack(at), .. } = operand::place(state, instruction) {
            state.forget_slots(at, 16);
        }
        let place = match operand::place(state, instruction) {
            Place::At { base, indexed: false } if uses_memory(instruction) => base,
            _ => Value::Unknown,
        };
        if stores {
            self.calls.sets(place);
        }
        if instruction.rflags_modified() != 0 {
            let memory = Some(place.pointee()).filter(|place| place.is_memory()).map(Compared::Memory);
            state.compared = level.map(|level| Compared::Irql(level, Flags::UNKNOWN)).or(memory);
        }
    }

    /// `xadd`: the register gets what lay in memory.
    fn xadd(&mut self, state: &mut State, instruction: &Instruction) {
        let before = self.operand(state, instruction, 0);
        self.other(state, instruction);
        state.set(instruction.op1_register(), before);
    }

    /// Data of the image that an instruction uses.
    fn touch(&mut self, state: &State, instruction: &Instruction) {
        if instruction.mnemonic() == Mnemonic::Lea || instruction.mnemonic() == Mnemonic::Nop {
            return;
        }
        match operand::place(state, instruction) {
            Place::At { base: Value::Image(rva), .. } => {
                let writes = instruction.op0_kind() == OpKind::Memory
                    && !matches!(
                        instruction.mnemonic(),
                        Mnemonic::Cmp | Mnemonic::Test | Mnemonic::Push | Mnemonic::Call | Mnemonic::Jmp
                    );
                let access = if writes { Access::Write } else { Access::Read };
                self.calls.touch(rva, access);
            }
            Place::At { base: Value::Handle(_), .. } => self.calls.record(EventKind::Dereference),
            _ => {}
        }
    }
}

/// What is known on the way that a conditional jump takes, or on the way past it.
pub(super) fn refine(state: &mut State, jump: &Instruction, taken: bool) {
    match state.compared {
        Some(Compared::Irql(level, flags)) if level == state.irql => match flags.met_at(jump.condition_code()) {
            Some(met) => {
                state.narrow(if taken { met } else { met.others() });
                state.compared = Some(Compared::Irql(state.irql, flags));
            }
            None => state.doubt(),
        },
        Some(Compared::Handle(section)) if jump.condition_code() == equal_condition(taken) => {
            let sections = section.map_or(Facts::ALL_SECTIONS, |section| Facts::section(usize::from(section)));
            state.held.undo(sections);
            state.balance.undo(sections);
        }
        Some(Compared::Result(call)) if is_negative(jump, taken) => state.fail(call),
        Some(Compared::Memory(place)) => state.tested = Some(place),
        Some(Compared::PassiveMajor) if jump.condition_code() == equal_condition(taken) => {
            state.held.gain(Facts::PASSIVE_REQUEST);
        }
        _ => {}
    }
}

/// What is known of a request whose major function is compared with one that comes at PASSIVE_LEVEL only.
fn comes_at_passive(major: u8) -> Option<Compared> {
    (Role::Dispatch(Some(major)).irql().high == 0).then_some(Compared::PassiveMajor)
}

/// Is a number negative that was compared with zero, if the jump is taken or not?
pub(super) fn is_negative(jump: &Instruction, taken: bool) -> bool {
    match jump.condition_code() {
        ConditionCode::s | ConditionCode::l => taken,
        ConditionCode::ns | ConditionCode::ge => !taken,
        _ => false,
    }
}

/// The condition of a jump after which what was compared is equal.
fn equal_condition(taken: bool) -> ConditionCode {
    if taken { ConditionCode::e } else { ConditionCode::ne }
}

fn uses_memory(instruction: &Instruction) -> bool {
    (0..instruction.op_count()).any(|index| instruction.op_kind(index) == OpKind::Memory)
}

/// Does an instruction that is not followed take a handle from a register or from the stack?
fn uses_handle(state: &State, instruction: &Instruction) -> bool {
    (0..instruction.op_count()).any(|index| match instruction.op_kind(index) {
        OpKind::Register => matches!(state.get(instruction.op_register(index)), Value::Handle(_)),
        OpKind::Memory => match operand::place(state, instruction) {
            Place::At { base: Value::Stack(at), .. } => state.handles(at, 32).next().is_some(),
            _ => false,
        },
        _ => false,
    })
}

fn push(state: &mut State, value: Value) {
    let top = state.get(Register::RSP).plus(-8);
    state.set(Register::RSP, top);
    if let Value::Stack(at) = top {
        state.set_slot(at, value);
    }
}

fn pop(state: &mut State, instruction: &Instruction) {
    let top = state.get(Register::RSP);
    if instruction.op0_kind() == OpKind::Register {
        let value = if let Value::Stack(at) = top { state.slot(at) } else { Value::Unknown };
        state.set(instruction.op0_register(), value);
    }
    state.set(Register::RSP, top.plus(8));
}

/// An NTSTATUS of severity error, as it stands in eax.
pub(super) fn is_failure(number: u64) -> bool {
    (0xc000_0000..0xc100_0000).contains(&number)
}

fn is_all_ones(instruction: &Instruction, number: u64) -> bool {
    number as u32 == u32::MAX && instruction.op0_kind() == OpKind::Register
}
