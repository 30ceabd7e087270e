//! What a function does to IRQL, locks and the values that matter, whatever the IRQL and locks at its entry are.
//!
//! One pass over each function, callees first, records [`Event`]s whose IRQL and locks are relative to the entry.
//! [`crate::reach`] then puts in what callers bring along; no function is interpreted twice.

mod adapter;
mod balance;
mod branches;
mod calls;
mod computed;
mod event;
mod events;
mod facts;
mod flags;
mod function;
mod handles;
mod imports;
mod irql;
mod levels;
mod locks;
mod operand;
mod registers;
mod state;
mod step;
mod summary;
mod value;

pub(crate) use event::{Access, Event, EventKind, Target};
pub(crate) use events::Events;
pub(crate) use facts::Facts;
pub(crate) use function::{Followed, Interpreter};
pub(crate) use handles::Handles;
pub(crate) use irql::Range;
pub(crate) use summary::Summary;
pub(crate) use value::{CREATED, Value};
