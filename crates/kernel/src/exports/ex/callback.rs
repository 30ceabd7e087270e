//! Callback objects (ddi: ExCreateCallback, ExRegisterCallback, ExNotifyCallback).

use std::collections::BTreeMap;

use nt_types::{NtStatus, Va};

use crate::call::{Next, Outcome, Then};
use crate::export;
use crate::exports::ob::ObjectType;
use crate::exports::{Export, ex};
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, ExCreateCallback(callback: Va, attributes: Va, create: bool, multiple: bool), APC),
    export!(Ntoskrnl, ExNotifyCallback(callback: Va, argument1: u64, argument2: u64), DISPATCH),
    export!(Ntoskrnl, ExRegisterCallback(callback: Va, routine: Va, context: u64), APC),
    export!(Ntoskrnl, ExUnregisterCallback(registration: Va), APC),
];

/// Those that the system makes. Nothing in this machine notifies them: it does not sleep, its clock is not set.
const SYSTEM_CALLBACKS: [&str; 3] = ["\\callback\\setsystemtime", "\\callback\\powerstate", "\\callback\\processoradd"];

/// Callback objects by address.
#[derive(Clone, Default, Hash, Debug)]
pub(crate) struct Callbacks {
    objects: BTreeMap<Va, Callback>,
}

#[derive(Clone, Hash, Debug)]
struct Callback {
    /// Lower case.
    name: String,
    multiple: bool,
    routines: Vec<Registration>,
}

#[derive(Clone, Copy, Hash, Debug)]
struct Registration {
    handle: Va,
    routine: Va,
    context: u64,
}

/// Routines that a notification has yet to call, last first.
#[derive(Clone, Hash, Debug)]
pub struct Notifying {
    remaining: Vec<Registration>,
    arguments: [u64; 2],
}

impl Notifying {
    pub(super) fn run(mut self) -> Outcome {
        let Some(next) = self.remaining.pop() else { return Ok(Next::VOID) };
        let [argument1, argument2] = self.arguments;
        let arguments = [next.context, argument1, argument2];
        Ok(Next::call(next.routine, &arguments, Then::Ex(ex::Then::Notifying(self))))
    }
}

fn ExCreateCallback(m: &mut Machine, callback: Va, attributes: Va, create: bool, multiple: bool) -> Outcome {
    m.probe_write(callback, 8)?;
    let name = m.read_attributes(attributes)?.name.to_lowercase();
    if name.is_empty() {
        return Ok(Next::status(NtStatus::UNSUCCESSFUL));
    }
    let system = SYSTEM_CALLBACKS.contains(&name.as_str());
    let known = m.ex.callbacks.objects.iter().find(|(_, known)| known.name == name).map(|(object, _)| *object);
    let object = match known {
        Some(object) => object,
        None if !create && !system => return Ok(Next::status(NtStatus::OBJECT_NAME_NOT_FOUND)),
        None => {
            let Some(object) = m.kernel_object(0x40, *b"Call") else { return Err(m.no_pool()) };
            m.ob.counted.add(object, ObjectType::Callback);
            m.ex.callbacks
                .objects
                .insert(object, Callback { name, multiple: multiple || system, routines: Vec::new() });
            object
        }
    };
    if known.is_some() || system {
        m.ob.counted.reference(object);
    }
    m.write_u64(callback, object.0)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

fn ExRegisterCallback(m: &mut Machine, callback: Va, routine: Va, context: u64) -> Outcome {
    let Some(known) = m.ex.callbacks.objects.get(&callback) else {
        return Err(m.refuse("ExRegisterCallback", format!("`{callback}`, which is no callback object")));
    };
    if !known.multiple && !known.routines.is_empty() {
        return Ok(Next::pointer(Va::NULL));
    }
    let Some(handle) = m.kernel_object(0x40, *b"CbRg") else { return Ok(Next::pointer(Va::NULL)) };
    if let Some(known) = m.ex.callbacks.objects.get_mut(&callback) {
        known.routines.push(Registration { handle, routine, context });
    }
    m.ob.counted.reference(callback);
    Ok(Next::pointer(handle))
}

fn ExUnregisterCallback(m: &mut Machine, registration: Va) -> Outcome {
    let owner = m.ex.callbacks.objects.iter_mut().find_map(|(object, callback)| {
        let index = callback.routines.iter().position(|known| known.handle == registration)?;
        callback.routines.remove(index);
        Some(*object)
    });
    let Some(owner) = owner else {
        return Err(m.refuse("ExUnregisterCallback", format!("`{registration}`, which is no registration")));
    };
    m.pool_free(registration);
    m.dereference_object(owner).map(|_| Next::VOID)
}

/// Routines are called in the order of their registration.
fn ExNotifyCallback(m: &mut Machine, callback: Va, argument1: u64, argument2: u64) -> Outcome {
    let Some(known) = m.ex.callbacks.objects.get(&callback) else {
        return Err(m.refuse("ExNotifyCallback", format!("`{callback}`, which is no callback object")));
    };
    let remaining = known.routines.iter().rev().copied().collect();
    Notifying { remaining, arguments: [argument1, argument2] }.run()
}

impl Machine {
    /// The last reference to a callback object is gone.
    pub(crate) fn callback_deleted(&mut self, object: Va) {
        self.ex.callbacks.objects.remove(&object);
    }
}
