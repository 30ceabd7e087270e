//! Interrupt request levels of x64.

use core::fmt;

/// An interrupt request level, 0 to 15, as CR8 holds it (docs: kernel/managing-hardware-priorities).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Irql(u8);

impl Irql {
    /// Nothing masked.
    pub const PASSIVE: Irql = Irql(0);
    /// Asynchronous procedure calls masked; page faults still allowed.
    pub const APC: Irql = Irql(1);
    /// Thread dispatching and DPCs masked; page faults fatal from here on.
    pub const DISPATCH: Irql = Irql(2);
    /// Clock interrupt level of x64.
    pub const CLOCK: Irql = Irql(13);
    /// Inter-processor interrupt level of x64.
    pub const IPI: Irql = Irql(14);
    /// Everything masked.
    pub const HIGH: Irql = Irql(15);

    /// The level with this number; the processor keeps only the low four bits.
    pub const fn new(level: u8) -> Irql {
        Irql(level & 15)
    }

    /// The number, 0 to 15.
    pub const fn level(self) -> u8 {
        self.0
    }

    /// True where a page fault can be serviced: at or below `APC_LEVEL` (R160).
    pub const fn may_fault(self) -> bool {
        self.0 <= Irql::APC.0
    }
}

impl fmt::Display for Irql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("PASSIVE_LEVEL"),
            1 => f.write_str("APC_LEVEL"),
            2 => f.write_str("DISPATCH_LEVEL"),
            13 => f.write_str("CLOCK_LEVEL"),
            14 => f.write_str("IPI_LEVEL"),
            15 => f.write_str("HIGH_LEVEL"),
            device => write!(f, "DIRQL {device}"),
        }
    }
}

impl fmt::Debug for Irql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
