//! Why a run ended.

use crate::cpu::DescriptorTable;
use crate::mmu::PageFault;

/// The result of [`Engine::run`](crate::Engine::run).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// Why it stopped.
    pub exit: Exit,
    /// Instructions committed in this run, at most the budget.
    pub retired: u64,
    /// Address of the instruction that caused the exit; for [`Exit::Budget`] the next one. Equal to `cpu.rip` unless
    /// the exit comes after the instruction was committed.
    pub instruction: u64,
}

/// A typed reason to stop. "Before" means that nothing of the instruction is committed and `rip` is on it; "after" that
/// it is committed and counted and `rip` is past it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// The budget is used up.
    Budget,
    /// Before: an access that memory refuses. Running again repeats the access.
    PageFault(PageFault),
    /// Before: a port or device-memory access. Push the answer to `cpu.answers` and run again.
    Device(DeviceAccess),
    /// Before: `vmcall`, the trap stub of the kernel images (3 bytes).
    Hypercall,
    /// After: a write to CR8 that changed it, from `old` to `cpu.cr8`.
    IrqlChanged {
        /// The IRQL before.
        old: u8,
    },
    /// After: IF went from 0 to 1 (the one-instruction shadow of STI has passed). An exit of another kind may come
    /// first; IF is what counts, together with `cpu.interrupt_shadow`.
    InterruptsEnabled,
    /// After: `hlt`.
    Halt,
    /// Before: an instruction whose answer is the machine's business. Push the answer to `cpu.answers` and run again.
    Privileged(Privileged),
    /// A processor exception. Before for faults; after for the traps `int3` (3), `into` and `int n`, and for single
    /// step (1) when TF is set.
    Exception(Exception),
    /// Before: an instruction that this engine does not implement.
    Unsupported(Unsupported),
}

/// Where a device access goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Device {
    /// An I/O port.
    Port(u16),
    /// Device memory, by physical address.
    Memory(u64),
}

/// One access to a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeviceAccess {
    /// The place.
    pub device: Device,
    /// Width in bytes: 1, 2, 4 or 8.
    pub width: u8,
    /// The value written, or `None` for a read.
    pub write: Option<u64>,
}

/// Privileged instructions that are not executed by the engine itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Privileged {
    /// `rdmsr`: answer with the 64-bit value. (FS/GS bases and TSC are answered by the engine.)
    ReadMsr(u32),
    /// `wrmsr` of a 64-bit value. (The engine stores FS/GS bases, those of GS when answered, and TSC.)
    WriteMsr(u32, u64),
    /// A write to CR0, CR3 or CR4 that changes it. The engine stores the value when answered.
    WriteControl(u8, u64),
    /// `lgdt`, or `lidt` where it is that of the interrupts. The engine loads the table when answered.
    LoadTable {
        /// The interrupt descriptor table.
        interrupts: bool,
        /// What is loaded.
        table: DescriptorTable,
    },
    /// `swapgs`. The engine exchanges the bases when answered.
    SwapGs,
    /// `wbinvd`, `invd`.
    FlushCaches,
    /// `invlpg` of this address.
    InvalidatePage(u64),
}

/// A processor exception.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exception {
    /// 0 divide, 1 debug, 3 breakpoint, 6 invalid opcode, 7 no floating point, 12 stack, 13 general protection, 16 and 19
    /// floating point, 17 alignment; for `int n` the operand.
    pub vector: u8,
    /// The error code, where the vector has one.
    pub error: Option<u32>,
    /// True for `int n`, `int3` and `into`.
    pub software: bool,
}

/// An instruction without an implementation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unsupported {
    /// The bytes, `length` of them valid.
    pub bytes: [u8; 15],
    /// Bytes of the instruction.
    pub length: u8,
}
