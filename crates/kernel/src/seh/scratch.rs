//! The structures that handlers are given. They lie on the guest stack, below what raised the exception.

use nt_types::Va;
use nt_types::layout::{Field, context, dispatcher_context, exception_record};

use super::walk::Function;
use crate::call::Trap;
use crate::machine::Machine;

/// `DISPATCHER_CONTEXT`, `EXCEPTION_RECORD` and `CONTEXT`, in this order, from the base of a frame of exception handling.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scratch(pub(crate) u64);

const RECORD: u64 = dispatcher_context::SIZEOF;
const CONTEXT: u64 = RECORD + exception_record::SIZEOF.next_multiple_of(16);

/// What a `DISPATCHER_CONTEXT` says beyond the function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dispatcher {
    pub(crate) function: Function,
    pub(crate) handler: Va,
    pub(crate) handler_data: Va,
    /// Where an unwind leads to.
    pub(crate) target: Va,
    /// The first scope that was not dealt with before.
    pub(crate) scope_index: u32,
}

impl Scratch {
    /// Bytes that all three take.
    pub(crate) const BYTES: u64 = CONTEXT + context::SIZEOF;

    pub(crate) fn dispatcher(self) -> Va {
        Va(self.0)
    }

    pub(crate) fn record(self) -> Va {
        Va(self.0.wrapping_add(RECORD))
    }

    pub(crate) fn context(self) -> Va {
        Va(self.0.wrapping_add(CONTEXT))
    }

    pub(crate) fn write_dispatcher(self, m: &mut Machine, about: &Dispatcher) -> Result<(), Trap> {
        let mut bytes = [0; dispatcher_context::SIZEOF as usize];
        let mut put = |field: Field, value: u64| {
            let at = field.offset as usize;
            bytes[at..at + field.size as usize].copy_from_slice(&value.to_le_bytes()[..field.size as usize]);
        };
        let function = about.function;
        put(dispatcher_context::CONTROL_PC, function.control.0);
        put(dispatcher_context::IMAGE_BASE, function.base.0);
        put(dispatcher_context::FUNCTION_ENTRY, (function.base + function.entry).0);
        put(dispatcher_context::ESTABLISHER_FRAME, function.establisher);
        put(dispatcher_context::TARGET_IP, about.target.0);
        put(dispatcher_context::CONTEXT_RECORD, self.context().0);
        put(dispatcher_context::LANGUAGE_HANDLER, about.handler.0);
        put(dispatcher_context::HANDLER_DATA, about.handler_data.0);
        put(dispatcher_context::SCOPE_INDEX, u64::from(about.scope_index));
        m.write_bytes(self.dispatcher(), &bytes)
    }
}
