//! Objects that the kernel uses at raised IRQL: they must not lie where memory can leave them (R22, K11).

use std::sync::LazyLock;

use memory::PageState;
use nt_types::Va;
use nt_types::layout::dispatcher_header;

use crate::call::{Call, Next, Outcome};
use crate::event::EventKind;
use crate::exports::{EXPORTS, Export};
use crate::finding::FindingKind;
use crate::machine::Machine;
use crate::routine::ObjectKind;
use crate::stop::Cause;

/// Most objects that one wait may name (`MAXIMUM_WAIT_OBJECTS`).
const MAX_OBJECTS: u64 = 64;

/// What a service names first, of those that use an object.
#[derive(Clone, Copy)]
enum Named {
    /// Its address.
    Object(ObjectKind),
    /// The address of one whose header says what it is.
    Waitable,
    /// A number of objects; an array of them follows.
    Several,
}

/// By the rows of the table: each call asks.
static NAMED: LazyLock<Vec<Option<Named>>> = LazyLock::new(|| EXPORTS.iter().map(|export| named_by(export)).collect());

fn named_by(export: &Export) -> Option<Named> {
    let Export { name, parameters, .. } = export;
    if !(name.starts_with("Ke") || name.starts_with("Ex")) || name.contains("Initialize") {
        return None;
    }
    let (first, _) = parameters.first()?;
    Some(Named::Object(match *first {
        "event" => ObjectKind::Event,
        "semaphore" => ObjectKind::Semaphore,
        "timer" => ObjectKind::Timer,
        "dpc" => ObjectKind::Dpc,
        "resource" => ObjectKind::Resource,
        "mutex" if name.contains("Fast") || name.contains("Guarded") => ObjectKind::FastMutex,
        "mutex" => ObjectKind::Mutex,
        "object" => return Some(Named::Waitable),
        _ if *name == "KeWaitForMultipleObjects" => return Some(Named::Several),
        _ => return None,
    }))
}

impl Machine {
    /// The end of a service that initialised an object. It must not lie where memory can leave it (R22): K11, or with the
    /// verifier 0xC4/0xE1 (R181).
    pub(crate) fn object_initialised(&mut self, address: Va, object: ObjectKind) -> Outcome {
        self.record(EventKind::Initialised { object, address });
        if self.is_pageable_memory(address) {
            if self.options.verifier.force_irql {
                return Err(self.pageable_with_verifier(0xE1, address, Cause::ObjectPageable { object, address }));
            }
            self.find(FindingKind::K11ObjectPageable { object: address, what: object }, address);
        }
        Ok(Next::VOID)
    }

    /// The kernel is about to use an object. Its page must not be one that may leave now: K11, unless that was said before.
    /// `place` is where it does.
    pub(crate) fn check_object_in_use(&mut self, place: Va, object: Va, what: ObjectKind) {
        let may_leave = match self.memory.page_state(object) {
            PageState::Resident { eligible, .. } => eligible,
            PageState::Out { .. } | PageState::Transition { .. } | PageState::DemandZero => true,
            PageState::Device { .. } | PageState::Absent(_) => false,
        };
        let known =
            |m: &Machine| m.findings_seen.keys().any(|(code, _, subject)| (*code, *subject) == ("K11", object.0));
        if may_leave && !known(self) {
            self.find_at(place, FindingKind::K11ObjectPageable { object, what }, object);
        }
    }

    /// The current thread begins to wait in user mode for objects: none of them may lie on its own stack, which may leave
    /// memory meanwhile (K11).
    pub(crate) fn check_objects_on_stack(&mut self, place: Va, objects: &[Va]) {
        for &object in objects {
            let thread = self.thread();
            if thread.stack_swap
                && thread.has_on_stack(object)
                && let Some(what) = self.kind_of_object(object)
            {
                self.find_at(place, FindingKind::K11ObjectPageable { object, what }, object);
            }
        }
    }

    /// A driver calls a service, by its row of the table. Spin locks are looked at where they are taken, new objects once they
    /// are made.
    pub(crate) fn check_objects_of_call(&mut self, index: usize, call: &Call) {
        let Some(named) = NAMED[index] else { return };
        let Ok(argument) = call.raw(self, 0) else { return };
        let kind = match named {
            Named::Object(kind) => Some(kind),
            Named::Waitable => self.kind_of_object(Va(argument)),
            Named::Several => return self.check_objects_of_wait(argument, call),
        };
        if let Some(kind) = kind {
            self.check_object_in_use(call.return_address, Va(argument), kind);
        }
    }

    fn check_objects_of_wait(&mut self, count: u64, call: &Call) {
        let Ok(objects) = call.raw(self, 1).map(Va) else { return };
        for index in 0..count.min(MAX_OBJECTS) {
            let mut bytes = [0; 8];
            if self.memory.peek(objects + 8 * index, &mut bytes).is_err() {
                return;
            }
            let object = Va(u64::from_le_bytes(bytes));
            if let Some(kind) = self.kind_of_object(object) {
                self.check_object_in_use(call.return_address, object, kind);
            }
        }
    }

    /// By the type in its header (`KOBJECTS`); nothing for threads and processes, which are the kernel's own.
    fn kind_of_object(&self, object: Va) -> Option<ObjectKind> {
        let mut kind = [0];
        self.memory.peek(dispatcher_header::TYPE.at(object), &mut kind).ok()?;
        match kind[0] {
            0 | 1 => Some(ObjectKind::Event),
            2 => Some(ObjectKind::Mutex),
            5 => Some(ObjectKind::Semaphore),
            8 | 9 => Some(ObjectKind::Timer),
            _ => None,
        }
    }
}
