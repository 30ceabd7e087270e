//! Offsets and bits of the registers.

/// Offsets of the registers.
pub(super) mod register {
    pub(in crate::uart16550) const DATA: u16 = 0;
    pub(in crate::uart16550) const INTERRUPT_ENABLE: u16 = 1;
    pub(in crate::uart16550) const INTERRUPT_ID: u16 = 2;
    pub(in crate::uart16550) const LINE_CONTROL: u16 = 3;
    pub(in crate::uart16550) const MODEM_CONTROL: u16 = 4;
    pub(in crate::uart16550) const LINE_STATUS: u16 = 5;
    pub(in crate::uart16550) const MODEM_STATUS: u16 = 6;
    pub(in crate::uart16550) const SCRATCH: u16 = 7;
}

/// Bits of the line status register.
pub(super) mod lsr {
    pub(in crate::uart16550) const DATA_READY: u8 = 0x01;
    pub(in crate::uart16550) const OVERRUN: u8 = 0x02;
    pub(in crate::uart16550) const PARITY: u8 = 0x04;
    pub(in crate::uart16550) const FRAMING: u8 = 0x08;
    pub(in crate::uart16550) const BREAK: u8 = 0x10;
    pub(in crate::uart16550) const HOLDING_EMPTY: u8 = 0x20;
    pub(in crate::uart16550) const TRANSMITTER_EMPTY: u8 = 0x40;
    pub(in crate::uart16550) const ERROR_IN_FIFO: u8 = 0x80;
}

/// Bits of the modem control register.
pub(super) mod mcr {
    pub(in crate::uart16550) const DTR: u8 = 0x01;
    pub(in crate::uart16550) const RTS: u8 = 0x02;
    pub(in crate::uart16550) const OUT1: u8 = 0x04;
    pub(in crate::uart16550) const OUT2: u8 = 0x08;
    pub(in crate::uart16550) const LOOPBACK: u8 = 0x10;
}

/// Bits of the interrupt enable register.
pub(super) mod ier {
    pub(in crate::uart16550) const RECEIVED: u8 = 0x01;
    pub(in crate::uart16550) const HOLDING_EMPTY: u8 = 0x02;
    pub(in crate::uart16550) const LINE_STATUS: u8 = 0x04;
    pub(in crate::uart16550) const MODEM_STATUS: u8 = 0x08;
}

/// Bits of the line control register.
pub(super) mod lcr {
    pub(in crate::uart16550) const BREAK: u8 = 0x40;
    pub(in crate::uart16550) const DIVISOR_LATCH: u8 = 0x80;
}

/// Bits of the FIFO control register.
pub(super) mod fcr {
    pub(in crate::uart16550) const ENABLE: u8 = 0x01;
    pub(in crate::uart16550) const CLEAR_RECEIVER: u8 = 0x02;
    pub(in crate::uart16550) const CLEAR_TRANSMITTER: u8 = 0x04;
}
