//! The one place that draws: diagnostics, tables, JSON.
//!
//! A [`Diagnostic`] is evidence: a [`Cause`](cause::Cause), the place, the earlier [`Event`]s that made it possible, the
//! bug check. What it is called and whose fault it is follows from the cause, in one file an area under [`cause`].
//! This crate knows neither the kernel nor an engine; the program converts their evidence into these types.
#![forbid(unsafe_code)]

mod assumption;
pub mod cause;
mod check;
mod code;
mod context;
mod decode;
mod diagnostic;
pub mod draw;
mod event;
mod exit_code;
pub mod explain;
mod finding;
pub mod json;
mod junit;
mod path;
mod sarif;
mod span;
pub mod table;
mod uri;
mod verdict;
mod words;

pub use assumption::Assumption;
pub use check::{Check, CheckedFile, fingerprint, fingerprint_v1, number};
pub use code::{Class, Code, Level};
pub use context::{Context, Departure, DepartureReason, Frame, Replay, Runner, quoted};
pub use diagnostic::Diagnostic;
pub use event::{Deed, Event, EventKind, Keeper, Order, RaisedBy, Step, Timed};
pub use exit_code::ExitCode;
pub use finding::Finding;
pub use junit::junit;
pub use path::{Waypoint, WaypointKind};
pub use sarif::sarif;
pub use span::{Place, Source, Span, Symbol, Window};
pub use uri::SourceRoot;
pub use verdict::{Ended, Verdict};

/// `1 page`, `2 pages`: the one place that counts in words.
pub fn plural(count: u64, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}
