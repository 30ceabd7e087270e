//! A chip, its clock and the names of its registers.

use devices::{Device, FlowControl, SerialLine, Uart16550};

pub(crate) const DATA: u16 = 0;
pub(crate) const IER: u16 = 1;
pub(crate) const IIR: u16 = 2;
pub(crate) const FCR: u16 = 2;
pub(crate) const LCR: u16 = 3;
pub(crate) const MCR: u16 = 4;
pub(crate) const LSR: u16 = 5;
pub(crate) const MSR: u16 = 6;
pub(crate) const SCR: u16 = 7;

/// No interrupt pending, FIFOs off and on.
pub(crate) const NONE: u8 = 0x01;
pub(crate) const NONE_FIFO: u8 = 0xc1;

#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub(crate) uart: Uart16550,
    now_ns: u64,
}

impl Port {
    /// 115200 baud, 8 data bits, no parity, 1 stop bit, OUT2 on; `fcr` goes to the FIFO control register.
    pub(crate) fn new(cable: SerialLine, fcr: u8) -> Port {
        let mut port = Port { uart: Uart16550::new(cable), now_ns: 0 };
        port.set_divisor(1);
        port.write(LCR, 0x03);
        port.write(FCR, fcr);
        port.write(MCR, 0x08);
        port
    }

    pub(crate) fn with_peer(fcr: u8) -> Port {
        Port::new(SerialLine::peer(FlowControl::None), fcr)
    }

    pub(crate) fn read(&mut self, register: u16) -> u8 {
        self.uart.advance(self.now_ns);
        self.uart.port_read(register, 1) as u8
    }

    pub(crate) fn write(&mut self, register: u16, value: u8) {
        self.uart.advance(self.now_ns);
        self.uart.port_write(register, 1, value.into());
    }

    pub(crate) fn set_divisor(&mut self, divisor: u16) {
        let control = self.read(LCR);
        self.write(LCR, control | 0x80);
        self.write(DATA, divisor as u8);
        self.write(IER, (divisor >> 8) as u8);
        self.write(LCR, control);
    }

    pub(crate) fn wait_ns(&mut self, ns: u64) {
        self.now_ns += ns;
        self.uart.advance(self.now_ns);
    }

    /// Waits for hundredths of a character.
    pub(crate) fn wait_percent(&mut self, percent: u64) {
        self.wait_ns(self.uart.character_ns().unwrap() * percent / 100);
    }

    /// The peer sends these bytes from now on; they have all arrived on return.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.uart.line_mut().send_bytes(self.now_ns, bytes);
        self.wait_percent(100 * bytes.len() as u64);
    }

    pub(crate) fn now_ns(&self) -> u64 {
        self.now_ns
    }

    pub(crate) fn asks(&self) -> bool {
        self.uart.interrupt()
    }
}
