//! The NT ABI as data, no logic: IRQL, status values, bug checks, addresses, x64 structure layouts, lists of routines.
//!
//! Every other crate knows this one; it knows nobody.
#![no_std]
#![forbid(unsafe_code)]

mod address;
pub mod bug_check;
pub mod constants;
mod irp;
mod irql;
pub mod layout;
mod status;
pub mod storport;
pub mod verifier;

pub use address::{PAGE_SHIFT, PAGE_SIZE, Rva, Va};
pub use bug_check::{BugCheck, BugCheckCode};
pub use irp::{ControlCode, IrpFunction, TransferMethod};
pub use irql::Irql;
pub use status::NtStatus;
