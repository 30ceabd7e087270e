//! What is held: locks of sections and their handles, mutexes, and what a driver does as a whole.

use iced_x86::Register;

use super::balance::Balance;
use super::calls::{Calls, WRITTEN};
use super::event::{EventKind, Target};
use super::facts::Facts;
use super::state::State;
use super::value::{CREATED, Value};
use crate::ddi::Does;

/// Offset of `DEVICE_OBJECT.DeviceExtension` (wdm.h).
const DEVICE_EXTENSION: i32 = 0x40;

impl Calls<'_, '_> {
    /// A negative NTSTATUS is at hand, or becomes the `result`. It matters only where a lock is held that must be undone.
    pub(super) fn fails(&mut self, result: bool) {
        let held = self.here.held;
        if held.has_lock() && result {
            self.record(EventKind::Fails);
        }
        if held.has_lost_handle() {
            self.record(EventKind::Loses);
        }
    }

    /// A handle, which one is not known, goes where it is not followed.
    pub(super) fn keeps_somewhere(&mut self, state: &mut State) {
        self.record(EventKind::KeepsHandle { place: Value::Unknown, sections: Facts::ALL_SECTIONS });
        if state.held.has_lock() {
            self.keeps(state);
        }
    }

    /// The handle of a lock goes where it is not followed within the function.
    fn keeps(&mut self, state: &mut State) {
        self.kept = true;
        state.held.gain(Facts::KEPT);
    }

    /// A value is stored at an address that is not on the stack; it may be a handle.
    pub(super) fn keeps_at(&mut self, state: &mut State, base: Value, indexed: bool, value: Value) {
        let place = if indexed { Value::Unknown } else { base };
        let handle = matches!(value, Value::Handle(_));
        match value {
            Value::Number(_) => self.sets(place),
            Value::Handle(_) => self.record(EventKind::KeepsHandle { place, sections: handle_of(value) }),
            _ if self.handles.any && place.pointee() != Value::Unknown => {
                self.record(EventKind::KeepsHandle { place, sections: Facts::NONE });
            }
            _ => {}
        }
        if let Value::Pool { by, at: 0, .. } = value
            && by != 0
        {
            self.record(EventKind::KeepsBlock { place, by });
        }
        match place {
            _ if !handle => {}
            Value::Field(CREATED, DEVICE_EXTENSION, _) => {
                self.kept = true;
                state.held.gain(Facts::IN_DEVICE);
            }
            _ => self.keeps(state),
        }
        if let Value::Handle(section) = value {
            state.kept = Some((place.pointee(), section));
        }
    }

    /// Something that is no handle is stored at an address.
    pub(super) fn sets(&mut self, place: Value) {
        if self.handles.any && place.pointee() != Value::Unknown {
            self.record(EventKind::Sets { place });
        }
    }

    /// A call gets what may be handles, itself or in the caller's variables.
    pub(super) fn hands_over(&mut self, state: &mut State, target: Target, arguments: &[Value]) {
        if let Some(place) = state.tested.filter(|_| self.handles.any) {
            self.record(EventKind::Tested { place });
        }
        let handles = arguments.iter().fold(Facts::NONE, |all, argument| match argument {
            Value::Handle(_) => all.or(handle_of(*argument)),
            Value::Stack(at) => state.handles(*at, WRITTEN).fold(all, |all, handle| all.or(handle_of(handle))),
            _ => all,
        });
        if handles.is_empty() {
            return;
        }
        if !matches!(target, Target::Import(id) if self.program.takes_handle(id)) {
            self.record(EventKind::KeepsHandle { place: Value::Unknown, sections: handles });
        }
        if state.held.has_lock() {
            self.keeps(state);
        }
    }

    /// IoDeleteDevice: what lies in the extension of the device goes with it.
    fn deletes(&mut self, device: Value) {
        let held = self.here.held;
        let forgotten = held.gained.has(Facts::IN_DEVICE) && !held.perhaps.has(Facts::KEPT);
        if device == Value::Parameter(CREATED, 0) && held.has_lock() && forgotten {
            self.record(EventKind::LosesDevice);
        }
    }

    /// Locks, mutexes and what a driver does as a whole.
    pub(super) fn hold(&mut self, state: &mut State, does: Does, first: Value) {
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
                self.lock(state, self.sections_of(first));
                self.keeps(state);
            }
            Does::Unlock => {
                self.unlocked = true;
                let sections = self.sections_of(first);
                state.held.lose(sections);
                self.weigh(state, |balance| balance.unlock(sections));
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
            Does::DeletesDevice => self.deletes(first),
            _ => {}
        }
    }

    /// The sections that the handle which a call is given may stand for.
    fn sections_of(&self, handle: Value) -> Facts {
        self.handles.of_call(self.here.at).map_or_else(|| handle_of(handle), Facts::section)
    }

    fn lock(&mut self, state: &mut State, sections: Facts) {
        self.locks = self.locks.or(sections);
        state.held.gain(sections);
        self.weigh(state, |balance| balance.lock(sections));
    }

    /// Sections are locked or unlocked. What is locked or unlocked more often than before is told.
    pub(super) fn weigh(&mut self, state: &mut State, change: impl FnOnce(&mut Balance)) {
        let before = state.balance;
        change(&mut state.balance);
        let more =
            |of: fn(Balance, usize) -> Facts| [1, 2].map(|times| of(state.balance, times).without(of(before, times)));
        let ([once, twice], [unlocked, again]) = (more(Balance::at_least), more(Balance::below));
        if !once.or(twice).is_empty() {
            self.record(EventKind::Locks { once, twice });
        }
        if !unlocked.or(again).is_empty() {
            self.record(EventKind::Unlocks { once: unlocked, twice: again });
        }
    }
}

/// The sections that a handle may stand for.
fn handle_of(handle: Value) -> Facts {
    match handle {
        Value::Handle(Some(section)) => Facts::section(usize::from(section)),
        _ => Facts::ALL_SECTIONS,
    }
}
