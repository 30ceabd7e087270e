//! Calls: what is called with what, and what that does.

use iced_x86::{FlowControl, Instruction, OpKind, Register};

use super::event::{Access, Event, EventKind, Target};
use super::events::Events;
use super::facts::{Facts, Held};
use super::irql::{IrqlSet, Range};
use super::state::State;
use super::summary::Summary;
use super::value::{CREATED, Value};
use crate::code::{Functions, ImportId, Program};
use crate::ddi::{Does, Holds, Level, Parameter, Role};

/// Parameters looked at.
const PARAMETERS: Parameter = 8;
/// Bytes of a caller's variable that a callee may have written through its address.
const WRITTEN: i32 = 0x80;

/// Interprets calls and records events, where that is wanted.
pub(super) struct Calls<'s, 'p> {
    pub(super) program: &'p Program<'p>,
    pub(super) functions: &'p Functions,
    pub(super) summaries: &'s [Summary],
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
    /// The last call does not return.
    pub(super) stopped: bool,
    here: Here,
}

/// The instruction at hand and the state before it.
#[derive(Clone, Copy)]
struct Here {
    at: u32,
    length: u8,
    irql: IrqlSet,
    held: Held,
}

impl<'s, 'p> Calls<'s, 'p> {
    pub(super) fn new(program: &'p Program<'p>, functions: &'p Functions, summaries: &'s [Summary]) -> Calls<'s, 'p> {
        let here = Here { at: 0, length: 0, irql: IrqlSet::ENTRY, held: Held::default() };
        let (events, registers, locks, created) = (None, Vec::new(), Facts::NONE, None);
        Calls {
            program,
            functions,
            summaries,
            events,
            registers,
            created,
            locks,
            unlocked: false,
            kept: false,
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
            (_, Value::Unknown | Value::Among(_)) => {}
            (Value::Image(rva), value) => self.record(EventKind::StoreGlobal { rva, value }),
            (Value::Parameter(parameter, offset), Value::Image(code)) => {
                self.record(EventKind::StoreParameter { parameter, offset, code, indexed });
            }
            (Value::Field(parameter, field, offset), Value::Image(code)) => {
                self.record(EventKind::StoreField { parameter, field, offset, code });
            }
            // IoSetCompletionRoutine: CompletionRoutine of the location below the current one.
            (Value::StackLocation(-0x10), value) => self.register(Role::Completion, value),
            _ => {}
        }
    }

    /// IoSetCancelRoutine: an exchange with `Irp->CancelRoutine`.
    pub(super) fn cancel_routine(&mut self, value: Value) {
        self.register(Role::Cancel, value);
    }

    /// A negative NTSTATUS is at hand, or becomes the `result`. It matters only where a lock is held that must be undone.
    pub(super) fn fails(&mut self, result: bool) {
        let held = self.here.held;
        if held.has_lock() && result {
            self.record(EventKind::Fails);
        }
        if held.has_lock() && !held.perhaps.has(Facts::KEPT) {
            self.record(EventKind::Loses);
        }
    }

    /// The handle of a lock goes where it is not followed.
    pub(super) fn keeps(&mut self, state: &mut State) {
        self.kept = true;
        state.held.gain(Facts::KEPT);
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
        let handed = |argument: &Value| match argument {
            Value::Handle(_) => true,
            Value::Stack(at) => state.has_handle(*at, WRITTEN),
            _ => false,
        };
        if state.held.has_lock() && arguments.iter().any(handed) {
            self.keeps(state);
        }
        match target {
            Target::Import(id) => self.import(state, id, &arguments),
            Target::Function(index) => self.function(state, index, &arguments),
            other => self.unknown(state, other, &arguments),
        }
    }

    /// What is called; `None` for a check by control-flow guard, which does nothing.
    fn target(&self, state: &State, instruction: &Instruction) -> Option<Target> {
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
            Value::Field(parameter, field, 0) => Target::Field { parameter, field },
            Value::Inner(parameter, field, inner) => Target::Inner { parameter, field, inner },
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

    fn record_call(&mut self, target: Target, arguments: &[Value]) {
        if let Some(events) = &mut self.events {
            let used = arguments.iter().rposition(|value| *value != Value::Unknown).map_or(0, |last| last + 1);
            let arguments = events.keep_arguments(&arguments[..used]);
            self.record(EventKind::Call { target, arguments });
        }
    }

    fn unknown(&mut self, state: &mut State, target: Target, arguments: &[Value]) {
        self.record_call(target, arguments);
        forget_written(state, arguments);
        state.forget_volatile();
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
        self.unlocked |= !summary.held.lost.and(Facts::ALL_SECTIONS).is_empty();
        self.locks = self.locks.or(summary.locks);
        self.stopped = summary.never_returns;
        let result = match summary.result {
            Value::Irql(level) => Value::Irql(level.seen_by_caller(before, state.saved)),
            result => result,
        };
        for &(parameter, role) in &summary.registers {
            self.register(role, arguments.get(usize::from(parameter)).copied().unwrap_or_default());
        }
        forget_written(state, arguments);
        state.forget_volatile();
        state.set(Register::RAX, result);
        if let Some(parameter) = summary.creates {
            self.creates(state, arguments.get(usize::from(parameter)).copied().unwrap_or_default());
        }
    }

    /// A device object is created; its address goes where a parameter points to.
    fn creates(&mut self, state: &mut State, place: Value) {
        match place {
            Value::Stack(at) => state.set_slot(at, Value::Parameter(CREATED, 0)),
            Value::Parameter(parameter, 0) => self.created = Some(parameter),
            _ => {}
        }
    }

    /// A value is handed to the system as a routine.
    fn register(&mut self, role: Role, code: Value) {
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

    fn import(&mut self, state: &mut State, id: ImportId, arguments: &[Value]) {
        self.record_call(Target::Import(id), arguments);
        let Some(routine) = self.program.import(id).routine else {
            forget_written(state, arguments);
            return state.forget_volatile();
        };
        state.forget_volatile();
        let before = state.irql;
        for does in routine.does {
            self.apply(state, id, before, *does, arguments);
        }
    }

    /// One of the things that an imported routine does; IRQL was `before` when it was called.
    fn apply(&mut self, state: &mut State, id: ImportId, before: IrqlSet, does: Does, arguments: &[Value]) {
        let argument = |n: Parameter| arguments.get(usize::from(n) - 1).copied().unwrap_or_default();
        match does {
            Does::When(n, number, does) => {
                if argument(n).number() == Some(number) {
                    self.apply(state, id, before, *does, arguments);
                }
            }
            Does::Raise(_) | Does::RaiseIf(_) | Does::RaiseUnless(..) | Does::RaiseInterrupt => {
                if let Some(to) = raised(self.program, before, does, argument) {
                    self.record(EventKind::Raise { by: Some(id), to });
                    state.raise(to);
                }
            }
            Does::LowerTo(n) => state.restore(argument(n)),
            Does::LowerToSaved(n) => {
                let saved = if let Value::Stack(at) = argument(n) { state.slot(at) } else { Value::Unknown };
                state.restore(saved);
            }
            Does::ReturnsOld => state.set(Register::RAX, Value::Irql(before)),
            Does::ReturnsIrql => state.set(Register::RAX, Value::Irql(state.irql)),
            Does::StoresOld(n) => {
                if let Value::Stack(at) = argument(n) {
                    state.set_slot(at, Value::Irql(before));
                }
            }
            Does::Registers(n, role) => self.register(role, argument(n)),
            Does::RegistersForMajor(n, major) => {
                let major = argument(major).number().map(|major| major as u8);
                self.register(Role::Dispatch(major), argument(n));
            }
            Does::RegistersSynchronized(n) => {
                let passive = self.program.has_passive_interrupts();
                self.register(if passive { Role::Unknown } else { Role::SynchCritSection }, argument(n));
            }
            Does::RegistersIn(..) | Does::RegistersUnless(..) | Does::RegistersAt(..) => {
                self.callbacks(state, does, argument);
            }
            Does::Allocates(n) => state.set(Register::RAX, pool(argument(n), 1)),
            Does::AllocatesByFlags(n) => state.set(Register::RAX, pool(argument(n), 0x100)),
            Does::CreatesDevice(n) => self.creates(state, argument(n)),
            Does::NeverReturns => self.stopped = true,
            does => self.hold(state, does, argument(1)),
        }
    }

    /// Callbacks in structures on the stack; those in the image are looked for when all stores are known.
    fn callbacks(&mut self, state: &State, does: Does, argument: impl Fn(Parameter) -> Value) {
        let field = |structure: Value, offset: i32| match structure {
            Value::Stack(at) => state.slot(at.saturating_add(offset)),
            _ => Value::Unknown,
        };
        let (structure, fields, other) = match does {
            Does::RegistersIn(n, fields) => (argument(n), fields, None),
            Does::RegistersAt(n, pointer, fields) => (field(argument(n), pointer), fields, None),
            Does::RegistersUnless(n, fields, unless) => {
                let value = field(argument(unless.parameter), unless.offset);
                let holds = match unless.holds {
                    Holds::Number(number) => value.number().is_some_and(|value| value & 0xff == u64::from(number)),
                    Holds::Code => value.addresses().next().is_some(),
                };
                (argument(n), fields, holds.then_some(unless.role))
            }
            _ => return,
        };
        for &(offset, role) in fields {
            self.register(other.unwrap_or(role), field(structure, offset));
        }
    }

    /// Locks, mutexes and what a driver does as a whole.
    fn hold(&mut self, state: &mut State, does: Does, first: Value) {
        match does {
            Does::LockAddress => {
                let section = match first {
                    Value::Image(rva) => self.program.section_at(rva),
                    _ => None,
                };
                let handle = Value::Handle(section.and_then(|section| u8::try_from(section).ok()));
                self.lock(state, section.map_or(Facts::ALL_SECTIONS, Facts::section));
                state.set(Register::RAX, handle);
            }
            Does::LockHandle => {
                self.lock(state, sections_of(first));
                self.keeps(state);
            }
            Does::Unlock => {
                self.unlocked = true;
                state.held.lose(sections_of(first));
            }
            Does::PageDriver => {
                state.held.lose(Facts::RESET);
                state.held.gain(Facts::PAGED);
            }
            Does::ResetDriver => {
                state.held.lose(Facts::PAGED);
                state.held.gain(Facts::RESET);
            }
            Does::Connect => state.held.lose(Facts::DISCONNECTED),
            Does::Disconnect => state.held.gain(Facts::DISCONNECTED),
            Does::Enter => state.held.gain(Facts::MUTEX),
            Does::Leave => state.held.lose(Facts::MUTEX),
            _ => {}
        }
    }

    fn lock(&mut self, state: &mut State, sections: Facts) {
        self.locks = self.locks.or(sections);
        state.held.gain(sections);
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

fn forget_written(state: &mut State, arguments: &[Value]) {
    for argument in arguments {
        if let Value::Stack(at) = *argument {
            state.forget_slots(at, WRITTEN);
        }
    }
}

/// The level after a raise; `None` if there is none.
fn raised(
    program: &Program<'_>,
    before: IrqlSet,
    does: Does,
    argument: impl Fn(Parameter) -> Value,
) -> Option<IrqlSet> {
    let absolute = |low, high| IrqlSet::absolute(Range::new(low, high));
    let to = |level| match level {
        Level::To(level) => absolute(level, level),
        Level::Device => absolute(3, 15),
        Level::OfLock(n) => match argument(n) {
            // DpcLock, StartIoLock, InterruptLock.
            Value::Number(1) => absolute(2, 2),
            Value::Number(3) => absolute(3, 15),
            _ => absolute(2, 15),
        },
        Level::Of(n) => match argument(n) {
            Value::Number(level) => absolute((level & 15) as u8, (level & 15) as u8),
            Value::Irql(level) => level,
            _ => before.join(IrqlSet::absolute(Range::ANY)),
        },
    };
    match does {
        Does::Raise(level) => Some(to(level)),
        Does::RaiseIf(level) => Some(before.join(to(level))),
        Does::RaiseUnless(level, n) => match argument(n).number() {
            Some(flags) if flags & 1 != 0 => None,
            Some(_) => Some(to(level)),
            None => Some(before.join(to(level))),
        },
        Does::RaiseInterrupt if program.has_passive_interrupts() => Some(before.join(to(Level::Device))),
        Does::RaiseInterrupt => Some(to(Level::Device)),
        _ => None,
    }
}

/// The sections that a handle may stand for.
fn sections_of(handle: Value) -> Facts {
    match handle {
        Value::Handle(Some(section)) => Facts::section(usize::from(section)),
        _ => Facts::ALL_SECTIONS,
    }
}

/// Pool of the type, or with the flags, that a parameter says.
fn pool(kind: Value, paged_bit: u64) -> Value {
    kind.number().map_or(Value::Unknown, |kind| Value::Pool { paged: kind & paged_bit != 0 })
}
