//! What an execution engine must offer and what it may ask of memory.
//!
//! An [`Engine`] runs one processor ([`Cpu`]) against one memory ([`Mmu`]) until something happens that is not its
//! business: the typed [`Exit`]. It holds caches only, never guest state, so it can be dropped, shared by forked
//! machines or replaced between any two runs.
//!
//! Rules that every engine keeps (the conformance suite checks them):
//!
//! 1. An instruction is committed whole or not at all. At a fault or device access nothing of it is visible, except
//!    that a `rep` string instruction commits the iterations already done and leaves `rip` on itself.
//! 2. The budget is exact: `retired` never exceeds it.
//! 3. Code is never stale: an instruction fetch sees the bytes that a data read at the same moment would see.
//! 4. CR8 is the IRQL. There is no other copy.
#![forbid(unsafe_code)]

#[cfg(feature = "conformance")]
pub mod conformance;
mod cpu;
mod exit;
#[cfg(feature = "conformance")]
pub mod flat;
mod mmu;

pub use cpu::{Answers, Branch, Cpu, DescriptorTable, Gpr, Rflags, Segments, X87};
pub use exit::{Device, DeviceAccess, Exception, Exit, Privileged, Run, Unsupported};
pub use mmu::{Access, CodeSpan, Fault, Mmu, PageFault, new_code_epoch};

/// Something that executes x86-64 instructions.
pub trait Engine<M: Mmu> {
    /// Executes at most `budget` instructions on `cpu`, starting at `cpu.rip`, and says why it stopped.
    ///
    /// `rep` iterations count as one instruction each. Privilege level is always 0. Never panics, whatever the guest
    /// does.
    fn run(&mut self, cpu: &mut Cpu, mmu: &mut M, budget: u64) -> Run;
}
