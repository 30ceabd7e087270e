//! Which parts of a Windows kernel driver can leave memory, and what breaks when they do.
#![forbid(unsafe_code)]

pub mod advice;
pub mod check;
pub mod chronicle;
mod driver;
pub mod explore;
pub mod fleet;
pub mod layout;
pub mod locate;
pub mod scenario;
pub mod session;
pub mod story;

pub use crate::explore::{Explore, Machine};
pub use driver::{Driver, DriverError, read_up_to, sha256};
pub use report::ExitCode;
