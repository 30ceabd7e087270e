//! Searches the schedules of a machine: which trims, interrupts, switches and failures make a driver break.
//!
//! A [`Subject`] is a run that forks: a machine together with what is still to be asked of it. A [`Campaign`] runs it again
//! and again, each time with other deeds at other choices, on all cores; what breaks is told apart by cause and place,
//! shrunk to the fewest deeds, and named by a [`Token`] that replays it. No engine is named here: whoever starts a
//! campaign brings one for each thread.
//!
//! By topic: `walk` one run with decisions, `spine` the run without deeds and the places to fork from, `strategy` what to
//! try next, `campaign` the threads and their limits, `failure` and `shrink` what was found, `token` and `store` how it
//! is kept, `seen` the states that were walked, `bound` what the search has shown.
#![forbid(unsafe_code)]

mod bound;
mod campaign;
mod failure;
mod seen;
mod shrink;
mod spine;
mod store;
mod strategy;
mod subject;
mod token;
mod walk;

pub use bound::{Done, Proven, Round};
pub use campaign::{Campaign, Limits, Outcome, Progress, Watched};
pub use failure::{Failure, Kind, Signature};
pub use store::{Merged, Record, Search, Store, StoreError, merge};
pub use strategy::Strategy;
pub use subject::{Ending, Subject};
pub use token::{Token, TokenError};
