//! What calls of imported routines do.

use iced_x86::Register;

use super::calls::{Calls, forget_written};
use super::event::{EventKind, Target};
use super::facts::Facts;
use super::irql::{IrqlSet, Range};
use super::registers::Registers;
use super::state::State;
use super::value::Value;
use crate::code::{ImportId, Program};
use crate::ddi::{Does, EXECUTION_LEVEL, Holds, Level, Parameter, Role, Unless};

impl Calls<'_, '_> {
    pub(super) fn import(&mut self, state: &mut State, id: ImportId, arguments: &[Value]) {
        self.record_call(Target::Import(id), arguments);
        let import = self.program.import(id);
        if import.below_dispatch {
            state.held.gain(Facts::BELOW_DISPATCH);
        }
        let Some(routine) = import.routine else {
            forget_written(state, arguments);
            return state.forget_volatile(Registers::default());
        };
        state.forget_volatile(Registers::default());
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
            Does::WaitsUnlessTimed(n) if argument(n).number() == Some(0) => state.held.gain(Facts::WAITS),
            Does::Waits => state.held.gain(Facts::WAITS),
            Does::ExecutionLevel(of, n) => {
                let level = self.execution_level(state, argument(n));
                self.record(EventKind::ExecutionLevel { of, level });
            }
            Does::CreatesInterruptSync(n) => match argument(n) {
                Value::Stack(at) => state.set_slot(at, Value::InterruptSync),
                Value::Parameter(parameter, at) => state.sync = Some((parameter, at)),
                _ => {}
            },
            Does::Allocates(n) => state.set(Register::RAX, self.pool(argument(n), 1)),
            Does::AllocatesByFlags(n) => state.set(Register::RAX, self.pool(argument(n), 0x100)),
            Does::CreatesDevice(n) => self.creates(state, argument(n)),
            Does::NeverReturns => self.stopped = true,
            does => self.hold(state, does, argument(1)),
        }
    }

    /// Pool of the type, or with the flags, that a parameter says.
    fn pool(&self, kind: Value, paged_bit: u64) -> Value {
        let by = if self.handles.any { self.here.at } else { 0 };
        kind.number().map_or(Value::Unknown, |kind| Value::Pool { paged: kind & paged_bit != 0, by, at: 0 })
    }

    /// The execution level that the attributes of an object of KMDF name; 0 where they name none, or there are no attributes.
    fn execution_level(&self, state: &State, attributes: Value) -> Option<u8> {
        let level = match attributes {
            Value::Number(0) => Some(0),
            Value::Stack(at) => state.slot(at.saturating_add(EXECUTION_LEVEL)).number(),
            Value::Image(rva) => self.program.u32(rva.wrapping_add_signed(EXECUTION_LEVEL)).map(u64::from),
            _ => None,
        };
        level.map(|level| level as u8)
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
                let holds = |unless: &&Unless| {
                    let value = field(argument(unless.parameter), unless.offset);
                    match unless.holds {
                        Holds::Number(number) => value.number().is_some_and(|value| value & 0xff == u64::from(number)),
                        Holds::Code => value.addresses().next().is_some(),
                    }
                };
                (argument(n), fields, unless.iter().find(holds).map(|unless| unless.role))
            }
            _ => return,
        };
        for &(offset, role) in fields {
            self.register(other.unwrap_or(role), field(structure, offset));
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
