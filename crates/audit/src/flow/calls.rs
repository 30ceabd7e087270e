//! Calls: what is called with what, and what that does.

use iced_x86::{FlowControl, Instruction, OpKind, Register};

use super::computed::Form;
use super::event::{Access, Event, EventKind, Target};
use super::events::Events;
use super::facts::{Facts, Held};
use super::handles::Handles;
use super::irql::{IrqlSet, Range};
use super::registers::Registers;
use super::state::State;
use super::summary::Summary;
use super::value::{CREATED, Value};
use crate::code::{Functions, ImportId, Program};
use crate::ddi::{Parameter, Role};

/// Parameters looked at.
const PARAMETERS: Parameter = 8;
/// Bytes of a caller's variable that a callee may have written through its address.
pub(super) const WRITTEN: i32 = 0x80;

/// Interprets calls and records events, where that is wanted.
pub(super) struct Calls<'s, 'p> {
    pub(super) program: &'p Program<'p>,
    pub(super) functions: &'p Functions,
    pub(super) summaries: &'s [Summary],
    pub(super) handles: &'s Handles,
    /// Events, while they are recorded.
    pub(super) events: Option<Events>,
    /// Parameters that the function hands to the system as routines.
    pub(super) registers: Vec<(u8, Role)>,
    /// The parameter that says where the address of a device object goes that the function creates.
    pub(super) created: Option<u8>,
    /// Sections that the function locks.
    pub(super) locks: Facts,
    /// Sections were unlocked since this was last reset.
    pub(super) unlocked: bool,
    /// The handle of a lock was kept since this was last reset.
    pub(super) kept: bool,
    /// What the instruction at hand calls through the table of a DMA adapter.
    pub(super) of_adapter: Option<ImportId>,
    /// The last call does not return.
    pub(super) stopped: bool,
    pub(super) here: Here,
}

/// The instruction at hand and the state before it.
#[derive(Clone, Copy)]
pub(super) struct Here {
    pub(super) at: u32,
    length: u8,
    irql: IrqlSet,
    pub(super) held: Held,
}

impl<'s, 'p> Calls<'s, 'p> {
    pub(super) fn new(
        program: &'p Program<'p>,
        functions: &'p Functions,
        summaries: &'s [Summary],
        handles: &'s Handles,
    ) -> Calls<'s, 'p> {
        let here = Here { at: 0, length: 0, irql: IrqlSet::ENTRY, held: Held::default() };
        let (events, registers, locks, created) = (None, Vec::new(), Facts::NONE, None);
        Calls {
            program,
            functions,
            summaries,
            handles,
            events,
            registers,
            created,
            locks,
            unlocked: false,
            kept: false,
            of_adapter: None,
            stopped: false,
            here,
        }
    }

    pub(super) fn begin(&mut self, state: &State, instruction: &Instruction) {
        let (at, length) = (instruction.ip() as u32, instruction.len() as u8);
        self.here = Here { at, length, irql: state.irql, held: state.held };
        self.stopped = false;
    }

    pub(super) fn record(&mut self, kind: EventKind) {
        let Here { at, length, irql, held } = self.here;
        if let Some(events) = &mut self.events {
            events.push(Event { at, length, kind, irql, held });
        }
    }

    /// Data of the image that are used; those that stay in memory do not matter.
    pub(super) fn touch(&mut self, rva: u32, access: Access) {
        if self.events.is_some() && self.program.class(rva).section().is_some() {
            self.record(EventKind::Touch { rva, access });
        }
    }

    /// A store that is not to the stack.
    pub(super) fn stored(&mut self, base: Value, indexed: bool, value: Value) {
        match (base, value) {
            (_, Value::Unknown | Value::Result(_)) => {}
            (_, Value::Among(_)) => self.escape(value),
            (Value::Image(rva), value) => self.record(EventKind::StoreGlobal { rva, value }),
            (Value::Parameter(parameter, offset), Value::Image(code)) => {
                self.record(EventKind::StoreParameter { parameter, offset, code, indexed });
            }
            (Value::Field(parameter, field, offset), Value::Image(code)) => {
                self.record(EventKind::StoreField { parameter, field, offset, code });
            }
            // IoSetCompletionRoutine: CompletionRoutine of the location below the current one.
            (Value::StackLocation(-0x10), value) => self.register(Role::Completion, value),
            (_, value) => self.escape(value),
        }
    }

    /// The addresses of code in a value go where they are not followed.
    fn escape(&mut self, value: Value) {
        for code in value.addresses().filter(|code| self.program.is_executable(*code)) {
            self.record(EventKind::Escapes { code });
        }
    }

    /// IoSetCancelRoutine: an exchange with `Irp->CancelRoutine`.
    pub(super) fn cancel_routine(&mut self, value: Value) {
        self.register(Role::Cancel, value);
    }

    pub(super) fn write_cr8(&mut self, state: &mut State, value: Value) {
        match value {
            Value::Number(level) if level & 15 >= 1 && state.saved.is_none() => {
                let level = (level & 15) as u8;
                let to = IrqlSet::absolute(Range::new(level, level));
                self.record(EventKind::Raise { by: None, to });
                state.raise(to);
            }
            value => state.restore(value),
        }
    }

    pub(super) fn call(&mut self, state: &mut State, instruction: &Instruction) {
        let jump = !matches!(instruction.flow_control(), FlowControl::Call | FlowControl::IndirectCall);
        let Some(target) = self.target(state, instruction) else { return };
        let arguments = arguments(state, jump);
        self.hands_over(state, target, &arguments);
        if self.events.is_some() {
            let handed = arguments.iter().flat_map(|argument| match argument {
                Value::Stack(at) => state.within(*at, WRITTEN),
                _ => &[],
            });
            let values = arguments.iter().copied().chain(handed.map(|(_, value)| *value));
            values.for_each(|value| self.escape(value));
        }
        match target {
            Target::Import(id) => self.import(state, id, &arguments),
            Target::Function(index) => self.function(state, index, &arguments),
            other => self.unknown(state, other, &arguments),
        }
        if self.handles.any && state.get(Register::RAX) == Value::Unknown {
            state.set(Register::RAX, Value::Result(self.here.at));
        }
        forget_handed(state);
    }

    /// What is called; `None` for a check by control-flow guard, which does nothing.
    fn target(&self, state: &State, instruction: &Instruction) -> Option<Target> {
        if let Some(id) = self.of_adapter {
            return Some(Target::Import(id));
        }
        let value = match instruction.op0_kind() {
            OpKind::NearBranch64 => Value::Image(instruction.near_branch_target() as u32),
            OpKind::Register => state.get(instruction.op0_register()),
            OpKind::Memory if instruction.is_ip_rel_memory_operand() => {
                let place = instruction.ip_rel_memory_address() as u32;
                if self.program.is_guard_check(place) {
                    return None;
                }
                if self.program.is_guard_dispatch(place) { state.get(Register::RAX) } else { self.at_place(place) }
            }
            OpKind::Memory => super::operand::operand(self.program, state, instruction, 0),
            _ => Value::Unknown,
        };
        Some(match value {
            Value::Import(id) => Target::Import(id),
            Value::Image(rva) => match (self.program.thunk(rva), self.functions.at(rva)) {
                (Some(id), _) => Target::Import(id),
                (None, Some(index)) => Target::Function(index as u32),
                (None, None) => Target::Unknown,
            },
            Value::Global(rva) => Target::Place { rva, table: false },
            Value::Entry(rva) => Target::Place { rva, table: true },
            Value::Field(_, _, 0) | Value::Inner(_, _, _, 0) | Value::Deep(..) => Target::Loaded(value),
            _ => Target::Unknown,
        })
    }

    fn at_place(&self, place: u32) -> Value {
        match (self.program.import_at(place), self.program.pointer_at(place)) {
            (Some(id), _) => Value::Import(id),
            (None, Some(code)) if !self.program.is_writable(place) => Value::Image(code),
            _ => Value::Global(place),
        }
    }

    pub(super) fn record_call(&mut self, target: Target, arguments: &[Value]) {
        if let Some(events) = &mut self.events {
            let is_known = |value: &Value| !matches!(value, Value::Unknown | Value::Result(_));
            let used = arguments.iter().rposition(is_known).map_or(0, |last| last + 1);
            let arguments = events.keep_arguments(&arguments[..used]);
            self.record(EventKind::Call { target, arguments });
        }
    }

    fn unknown(&mut self, state: &mut State, target: Target, arguments: &[Value]) {
        self.record_call(target, arguments);
        state.sync = None;
        forget_written(state, arguments);
        state.forget_volatile(Registers::default());
    }

    fn function(&mut self, state: &mut State, index: u32, arguments: &[Value]) {
        self.record_call(Target::Function(index), arguments);
        let summaries = self.summaries;
        let summary = &summaries[index as usize];
        let before = state.irql;
        state.irql = summary.irql.seen_by_caller(before, state.saved);
        if summary.irql == IrqlSet::RESTORED {
            state.saved = None;
        } else if summary.irql.only_absolute().is_some() {
            state.saved.get_or_insert(before);
        }
        state.held = state.held.then(summary.held);
        self.weigh(state, |balance| *balance = balance.then(summary.balance));
        self.unlocked |= !summary.held.lost.and(Facts::ALL_SECTIONS).is_empty();
        self.locks = self.locks.or(summary.locks);
        self.stopped = summary.never_returns;
        let result = match summary.result {
            Value::Irql(level) => Value::Irql(level.seen_by_caller(before, state.saved)),
            Value::Computed(level, form) => Value::Computed(level.seen_by_caller(before, state.saved), form),
            Value::Unknown
                if arguments.iter().any(|value| value.of_level().is_some_and(|(level, _)| level == before)) =>
            {
                Value::Computed(before, Form::Somehow)
            }
            // Each caller of a routine that allocates has a block of its own.
            Value::Pool { paged, by, at: 0 } if by != 0 => Value::Pool { paged, by: self.here.at, at: 0 },
            Value::Pool { paged, .. } => Value::Pool { paged, by: 0, at: 0 },
            result => result,
        };
        for &(parameter, role) in &summary.registers {
            self.register(role, arguments.get(usize::from(parameter)).copied().unwrap_or_default());
        }
        state.sync = None;
        forget_written(state, arguments);
        state.forget_volatile(summary.keeps);
        state.set(Register::RAX, result);
        if let Some(parameter) = summary.creates {
            self.creates(state, arguments.get(usize::from(parameter)).copied().unwrap_or_default());
        }
    }

    /// A device object is created; its address goes where a parameter points to.
    pub(super) fn creates(&mut self, state: &mut State, place: Value) {
        match place {
            Value::Stack(at) => state.set_slot(at, Value::Parameter(CREATED, 0)),
            Value::Parameter(parameter, 0) => self.created = Some(parameter),
            _ => {}
        }
    }

    /// A value is handed to the system as a routine.
    pub(super) fn register(&mut self, role: Role, code: Value) {
        match code {
            Value::Image(_) | Value::Among(_) => {
                for rva in code.addresses() {
                    self.record(EventKind::Register { role, code: rva });
                }
            }
            Value::Parameter(parameter, 0) if !self.registers.contains(&(parameter, role)) => {
                self.registers.push((parameter, role));
            }
            _ => {}
        }
    }
}

/// The parameters of a call, or of a jump that is one.
fn arguments(state: &State, jump: bool) -> [Value; PARAMETERS as usize] {
    let registers = [Register::RCX, Register::RDX, Register::R8, Register::R9];
    let home = if jump { 0x28 } else { 0x20 };
    std::array::from_fn(|n| match (registers.get(n), state.get(Register::RSP)) {
        (Some(register), _) => state.get(*register),
        (None, Value::Stack(top)) => state.slot(top.saturating_add(home + (n as i32 - 4) * 8)),
        (None, _) => Value::Unknown,
    })
}

/// Addresses among the parameters on the stack: the place is the callee's, so that later calls do not get them again.
fn forget_handed(state: &mut State) {
    let Value::Stack(top) = state.get(Register::RSP) else { return };
    for at in (0x20..0x40).step_by(8).map(|offset| top.saturating_add(offset)) {
        if matches!(state.slot(at), Value::Stack(_)) {
            state.set_slot(at, Value::Unknown);
        }
    }
}

pub(super) fn forget_written(state: &mut State, arguments: &[Value]) {
    for argument in arguments {
        if let Value::Stack(at) = *argument {
            state.forget_slots(at, WRITTEN);
        }
    }
}
