//! The state at one point of a function.

use iced_x86::Register;

use super::balance::Balance;
use super::computed::Form;
use super::facts::Held;
use super::flags::Flags;
use super::irql::{IrqlSet, Levels};
use super::registers::Registers;
use super::value::Value;

/// Most places of the stack that are followed.
const MAX_SLOTS: usize = 96;

/// An NTSTATUS that is a failure; which one does not matter.
const FAILURE: Value = Value::Number(0xc000_0001);

/// What is known at one point of a function.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct State {
    registers: [Value; 16],
    /// Places on the stack by distance from the stack pointer at entry, ascending.
    slots: Vec<(i32, Value)>,
    pub(crate) irql: IrqlSet,
    /// The level before the first raise that has not been undone.
    pub(crate) saved: Option<IrqlSet>,
    pub(crate) held: Held,
    pub(crate) balance: Balance,
    /// What the last comparison looked at.
    pub(crate) compared: Option<Compared>,
    /// What lies where the handle of a section was stored last, and the section.
    pub(crate) kept: Option<(Value, Option<u8>)>,
    /// What lies in memory and decided the way here last.
    pub(crate) tested: Option<Value>,
    /// The parameter, and the bytes from it, where an interrupt sync object was stored last.
    pub(crate) sync: Option<(u8, i32)>,
}

/// What a comparison looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Compared {
    /// The current level, which decides the flags.
    Irql(IrqlSet, Flags),
    /// The sign of what a call returned, by the offset of the call.
    Result(u32),
    /// The handle of a section, with NULL: there is no lock where it is.
    Handle(Option<u8>),
    /// What lies in memory, with something.
    Memory(Value),
    /// The major function of the request, with one of those that come at PASSIVE_LEVEL only.
    PassiveMajor,
}

impl Clone for State {
    fn clone(&self) -> State {
        State { slots: self.slots.clone(), ..*self }
    }

    /// Keeps the memory that the slots have.
    fn clone_from(&mut self, source: &State) {
        let mut slots = std::mem::take(&mut self.slots);
        slots.clone_from(&source.slots);
        *self = State { slots, ..*source };
    }
}

impl Default for State {
    /// At the entry of a function.
    fn default() -> State {
        let mut state = State {
            registers: [Value::Unknown; 16],
            slots: Vec::new(),
            irql: IrqlSet::ENTRY,
            saved: None,
            held: Held::default(),
            balance: Balance::default(),
            compared: None,
            kept: None,
            tested: None,
            sync: None,
        };
        for (n, register) in [Register::RCX, Register::RDX, Register::R8, Register::R9].into_iter().enumerate() {
            state.set(register, Value::Parameter(n as u8, 0));
        }
        state.set(Register::RSP, Value::Stack(0));
        state
    }
}

impl State {
    /// In a handler that control reaches from anywhere in the function.
    pub(crate) fn anywhere() -> State {
        let irql = IrqlSet::ENTRY.join(IrqlSet::RESTORED);
        State { registers: [Value::Unknown; 16], irql, balance: Balance::UNKNOWN, ..State::default() }
    }

    pub(crate) fn get(&self, register: Register) -> Value {
        index(register).map_or(Value::Unknown, |index| self.registers[index])
    }

    pub(crate) fn set(&mut self, register: Register, value: Value) {
        if let Some(index) = index(register) {
            self.registers[index] = value;
        }
    }

    /// What lies on the stack at a distance from the stack pointer at entry. The fifth parameter and later ones lie above
    /// the return address and the home of the first four.
    pub(crate) fn slot(&self, at: i32) -> Value {
        match self.slots.binary_search_by_key(&at, |(at, _)| *at) {
            Ok(found) => self.slots[found].1,
            Err(_) if (0x28..0x80).contains(&at) && at % 8 == 0 => Value::Parameter((at / 8) as u8 - 1, 0),
            Err(_) => Value::Unknown,
        }
    }

    pub(crate) fn set_slot(&mut self, at: i32, value: Value) {
        match self.slots.binary_search_by_key(&at, |(at, _)| *at) {
            Ok(found) => self.slots[found].1 = value,
            // A place above the entry's stack pointer holds a parameter until something else is known.
            Err(_) if value == Value::Unknown && at < 0 => {}
            Err(place) if self.slots.len() < MAX_SLOTS => self.slots.insert(place, (at, value)),
            Err(_) => {}
        }
    }

    /// Forgets what a callee may have written: places from `at` on, for `bytes`. A variable of the function ends below the
    /// return address, so that the parameters above it stay.
    pub(crate) fn forget_slots(&mut self, at: i32, bytes: i32) {
        let end = at.saturating_add(bytes).min(if at < 0 { 0 } else { i32::MAX });
        self.slots.retain(|(slot, _)| *slot < at || *slot >= end);
    }

    /// What lies on the stack in these bytes.
    pub(crate) fn within(&self, at: i32, bytes: i32) -> &[(i32, Value)] {
        let place = |at: i32| self.slots.partition_point(|(slot, _)| *slot < at);
        &self.slots[place(at)..place(at.saturating_add(bytes))]
    }

    /// The handles of sections that lie on the stack, in these bytes.
    pub(crate) fn handles(&self, at: i32, bytes: i32) -> impl Iterator<Item = Value> {
        let range = at..at.saturating_add(bytes);
        let inside = self.slots.iter().filter(move |(slot, _)| range.contains(slot));
        inside.map(|(_, value)| *value).filter(|value| matches!(value, Value::Handle(_)))
    }

    /// Forgets the registers that a call need not keep, apart from those that it does.
    pub(crate) fn forget_volatile(&mut self, kept: Registers) {
        for register in Registers::VOLATILE.into_iter().filter(|register| !kept.has(*register)) {
            self.set(register, Value::Unknown);
        }
        self.compared = None;
    }

    /// Raises to `to`, and remembers the level before.
    pub(crate) fn raise(&mut self, to: IrqlSet) {
        self.saved.get_or_insert(self.irql);
        self.irql = to;
    }

    /// What a call returned turns out to be a failure.
    pub(crate) fn fail(&mut self, call: u32) {
        let slots = self.slots.iter_mut().map(|(_, value)| value);
        for value in self.registers.iter_mut().chain(slots).filter(|value| **value == Value::Result(call)) {
            *value = FAILURE;
        }
    }

    /// The current level turns out to be one of these, and so does what was read of it.
    pub(crate) fn narrow(&mut self, levels: Levels) {
        let (before, narrowed) = (self.irql, self.irql.within(levels));
        let slots = self.slots.iter_mut().map(|(_, value)| value);
        for value in self.registers.iter_mut().chain(slots) {
            if let Some((level, form)) = value.of_level()
                && level == before
            {
                *value = Value::computed(narrowed, form);
            }
        }
        self.irql = narrowed;
    }

    /// The current level decided the way here, but it is not known how: it counts as one at which nothing is wrong.
    pub(crate) fn doubt(&mut self) {
        self.irql = self.irql.join(IrqlSet::absolute(super::irql::Range::new(0, 0)));
    }

    /// Lowers to what `value` says, or to the level before the first raise.
    pub(crate) fn restore(&mut self, value: Value) {
        self.irql = match value {
            Value::Irql(level) => level,
            Value::Number(level) => {
                let level = (level & 15) as u8;
                IrqlSet::absolute(super::irql::Range::new(level, level))
            }
            _ => self.saved.unwrap_or(IrqlSet::RESTORED),
        };
        if self.saved == Some(self.irql) || self.saved.is_some() && !matches!(value, Value::Irql(_) | Value::Number(_))
        {
            self.saved = None;
        }
    }

    /// Takes in another way to the same point; true if anything changed.
    pub(crate) fn join(&mut self, other: &State) -> bool {
        let mut changed = false;
        // Where ways part by level, what is one number on this way and another one on that says which level it is.
        let level = (self.irql != other.irql).then(|| self.irql.join(other.irql));
        let join = |one: Value, joined: Value| match (one.join(joined), level) {
            (Value::Unknown, Some(level)) if one.may_tell_level() && joined.may_tell_level() => {
                Value::Computed(level, Form::Somehow)
            }
            (value, _) => value,
        };
        for (one, other) in self.registers.iter_mut().zip(&other.registers) {
            changed |= replace(one, join(*one, *other));
        }
        self.slots.retain_mut(|(at, value)| {
            changed |= replace(value, join(*value, other.slot(*at)));
            *value != Value::Unknown || *at >= 0
        });
        // A parameter's place that only the other way has changed.
        for (at, value) in other.slots.iter().filter(|(at, _)| *at >= 0) {
            let before = self.slot(*at);
            self.set_slot(*at, before.join(*value));
            changed |= self.slot(*at) != before;
        }
        let saved = match (self.saved, other.saved) {
            (Some(one), Some(other)) => Some(one.join(other)),
            (one, other) => one.or(other),
        };
        changed |= replace(&mut self.saved, saved);
        let compared = self.compared.filter(|compared| Some(*compared) == other.compared);
        changed |= replace(&mut self.compared, compared);
        let kept = self.kept.filter(|kept| Some(*kept) == other.kept);
        changed |= replace(&mut self.kept, kept);
        let tested = self.tested.filter(|tested| Some(*tested) == other.tested);
        changed |= replace(&mut self.tested, tested);
        let sync = self.sync.filter(|sync| Some(*sync) == other.sync);
        changed |= replace(&mut self.sync, sync);
        let (irql, held) = (self.irql.join(other.irql), self.held.join(other.held));
        changed |= replace(&mut self.irql, irql);
        let balance = self.balance.join(other.balance);
        changed |= replace(&mut self.balance, balance);
        changed | replace(&mut self.held, held)
    }

    /// Gives up on values, so that the search for a fixed point ends.
    pub(crate) fn give_up(&mut self) {
        let stack = self.get(Register::RSP);
        self.registers = [Value::Unknown; 16];
        self.set(Register::RSP, stack);
        self.slots.clear();
        self.irql = IrqlSet::ENTRY.join(IrqlSet::RESTORED).join(IrqlSet::absolute(super::irql::Range::ANY));
        self.saved = None;
        self.held.gained = super::facts::Facts::NONE;
        self.balance = Balance::UNKNOWN;
        (self.compared, self.kept, self.tested, self.sync) = (None, None, None, None);
    }
}

/// Puts a new value in the place of an old one; true if it is another.
fn replace<T: PartialEq>(old: &mut T, new: T) -> bool {
    let changed = *old != new;
    *old = new;
    changed
}

fn index(register: Register) -> Option<usize> {
    let full = register.full_register();
    full.is_gpr64().then(|| full.number())
}
