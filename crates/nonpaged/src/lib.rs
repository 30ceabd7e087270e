//! Which parts of a Windows kernel driver can leave memory, and what breaks when they do.
#![forbid(unsafe_code)]

pub mod layout;
pub mod locate;
pub mod scenario;
pub mod session;

pub use report::ExitCode;
