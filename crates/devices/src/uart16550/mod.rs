//! A 16550A UART, after the data sheet of the PC16550D.
//!
//! Time is real in it: a character takes its start, data, parity and stop bits at the programmed rate. Two things are as
//! in PC chip sets rather than in the single chip: the interrupt output is gated by the OUT2 *bit* (so that interrupts
//! work in loopback mode), and a transfer from an idle holding register to the shift register takes no time.

mod modem;
mod receiver;
mod registers;
mod timing;
mod transmitter;

use std::hash::{Hash, Hasher};

use self::modem::ModemStatus;
use self::receiver::Receiver;
use self::registers::{fcr, ier, lcr, mcr, register};
use self::timing::Format;
use self::transmitter::Transmitter;
use crate::bus::{Bus, BusError, DeviceId};
use crate::device::Device;
use crate::interrupt_line::Trigger;
use crate::mishap::Mishap;
use crate::serial_line::{Event, ModemInputs, ModemOutputs, SerialLine, Signal};

/// Ports that the chip occupies, one byte each.
pub const PORT_COUNT: u16 = 8;

const FIFO_DEPTH: usize = 16;

/// The divisor for 9600 baud, which firmware leaves; after power-on the chip holds anything.
const FIRMWARE_DIVISOR: u16 = 12;

/// What asks for service, most urgent first, as the interrupt identification register names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Source {
    LineStatus = 0b0110,
    Received = 0b0100,
    Timeout = 0b1100,
    HoldingEmpty = 0b0010,
    ModemStatus = 0b0000,
}

/// What will happen by itself. Of two at the same time the first in this order comes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Due {
    Sent,
    HoldingEmpty,
    BreakSent,
    Received,
    FarEnd,
    Timeout,
}

/// The chip and its cable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Uart16550 {
    now_ns: u64,
    interrupt_enable: u8,
    fifo_enabled: bool,
    modem_control: u8,
    scratch: u8,
    format: Format,
    receiver: Receiver,
    transmitter: Transmitter,
    modem: ModemStatus,
    line: SerialLine,
    /// When a break that is being sent will have lasted for a character.
    break_ns: Option<u64>,
}

impl Uart16550 {
    /// A chip after reset, at the end of this cable.
    pub fn new(line: SerialLine) -> Uart16550 {
        Uart16550 {
            now_ns: 0,
            interrupt_enable: 0,
            fifo_enabled: false,
            modem_control: 0,
            scratch: 0,
            format: Format { control: 0, divisor: FIRMWARE_DIVISOR },
            receiver: Receiver::new(),
            transmitter: Transmitter::new(),
            modem: ModemStatus::reset(line.inputs(ModemOutputs::default())),
            line,
            break_ns: None,
        }
    }

    /// Puts a chip with this cable on the bus, as a PC does: its ports from `base`, its interrupt on an edge-triggered
    /// line.
    pub fn install(bus: &mut Bus, cable: SerialLine, base: u16, line: u32) -> Result<DeviceId, BusError> {
        let id = bus.attach(Box::new(Uart16550::new(cable)));
        let wired = bus.claim_ports(id, base, PORT_COUNT, 1).and_then(|()| bus.connect(id, line, Trigger::Edge));
        if wired.is_err() {
            bus.detach(id);
        }
        wired.map(|()| id)
    }

    /// The cable.
    pub fn line(&self) -> &SerialLine {
        &self.line
    }

    /// The cable, to say something from the far end or to take what was sent.
    pub fn line_mut(&mut self) -> &mut SerialLine {
        &mut self.line
    }

    /// How long a character takes now, in nanoseconds; `None` while the baud generator stands still (divisor 0).
    pub fn character_ns(&self) -> Option<u64> {
        self.format.character_ns()
    }

    fn read(&mut self, offset: u16) -> u8 {
        let latch = self.format.control & lcr::DIVISOR_LATCH != 0;
        let [low, high] = self.format.divisor.to_le_bytes();
        match offset {
            register::DATA if latch => low,
            register::INTERRUPT_ENABLE if latch => high,
            register::DATA => self.receiver.read(self.now_ns, self.format),
            register::INTERRUPT_ENABLE => self.interrupt_enable,
            register::INTERRUPT_ID => self.identify(),
            register::LINE_CONTROL => self.format.control,
            register::MODEM_CONTROL => self.modem_control,
            register::LINE_STATUS => self.read_line_status(),
            register::MODEM_STATUS => self.modem.read(),
            register::SCRATCH => self.scratch,
            _ => 0xff,
        }
    }

    fn write(&mut self, offset: u16, value: u8) {
        let latch = self.format.control & lcr::DIVISOR_LATCH != 0;
        let [low, high] = self.format.divisor.to_le_bytes();
        match offset {
            register::DATA if latch => self.set_divisor([value, high]),
            register::INTERRUPT_ENABLE if latch => self.set_divisor([low, value]),
            register::DATA => self.transmitter.write(value, self.now_ns, self.format),
            register::INTERRUPT_ENABLE => self.set_interrupt_enable(value),
            register::INTERRUPT_ID => self.set_fifo_control(value),
            register::LINE_CONTROL => self.set_line_control(value),
            register::MODEM_CONTROL => {
                self.modem_control = value & 0x1f;
                self.update_modem();
            }
            register::SCRATCH => self.scratch = value,
            // The line and modem status registers are read-only.
            _ => {}
        }
    }

    fn set_divisor(&mut self, bytes: [u8; 2]) {
        self.format.divisor = u16::from_le_bytes(bytes);
        // A stopped generator may run again.
        self.transmitter.load(self.now_ns, self.format);
    }

    fn set_interrupt_enable(&mut self, value: u8) {
        let enabled = value & !self.interrupt_enable;
        self.interrupt_enable = value & 0x0f;
        if enabled & ier::HOLDING_EMPTY != 0 {
            self.transmitter.interrupt_enabled();
        }
    }

    /// Bit 0 must be set with the others, or they do nothing; a change of it empties both FIFOs.
    fn set_fifo_control(&mut self, value: u8) {
        self.fifo_enabled = value & fcr::ENABLE != 0;
        self.receiver.set_mode(self.fifo_enabled, [1, 4, 8, 14][usize::from(value >> 6)]);
        self.transmitter.set_mode(self.fifo_enabled);
        if self.fifo_enabled && value & fcr::CLEAR_RECEIVER != 0 {
            self.receiver.clear();
        }
        if self.fifo_enabled && value & fcr::CLEAR_TRANSMITTER != 0 {
            self.transmitter.clear();
        }
    }

    fn set_line_control(&mut self, value: u8) {
        let started = value & !self.format.control & lcr::BREAK != 0;
        self.format.control = value;
        if value & lcr::BREAK == 0 {
            self.break_ns = None;
        } else if started {
            self.break_ns = self.character_ns().map(|ns| self.now_ns.saturating_add(ns));
        }
    }

    fn read_line_status(&mut self) -> u8 {
        let status = self.receiver.status() | self.transmitter.status();
        self.receiver.status_was_read();
        status
    }

    /// The most urgent source that is enabled.
    fn source(&self) -> Option<Source> {
        let enabled = |bit| self.interrupt_enable & bit != 0;
        if enabled(ier::LINE_STATUS) && self.receiver.has_error() {
            Some(Source::LineStatus)
        } else if enabled(ier::RECEIVED) && self.receiver.at_trigger() {
            Some(Source::Received)
        } else if enabled(ier::RECEIVED) && self.receiver.timed_out() {
            Some(Source::Timeout)
        } else if enabled(ier::HOLDING_EMPTY) && self.transmitter.asks() {
            Some(Source::HoldingEmpty)
        } else if enabled(ier::MODEM_STATUS) && self.modem.changed() {
            Some(Source::ModemStatus)
        } else {
            None
        }
    }

    /// Reads the interrupt identification register; that settles the THRE interrupt, if it was the one named.
    fn identify(&mut self) -> u8 {
        let source = self.source();
        if source == Some(Source::HoldingEmpty) {
            self.transmitter.was_identified();
        }
        let fifos = if self.fifo_enabled { 0xc0 } else { 0 };
        fifos | source.map_or(0x01, |source| source as u8)
    }

    fn loops_back(&self) -> bool {
        self.modem_control & mcr::LOOPBACK != 0
    }

    /// The pins; loopback mode makes them inactive.
    fn outputs(&self) -> ModemOutputs {
        let pin = |bit| self.modem_control & bit != 0 && !self.loops_back();
        ModemOutputs { data_terminal_ready: pin(mcr::DTR), request_to_send: pin(mcr::RTS) }
    }

    /// Takes over the modem inputs: the pins, or in loopback mode the bits of the modem control register.
    fn update_modem(&mut self) {
        let bit = |bit| self.modem_control & bit != 0;
        let inputs = if self.loops_back() {
            ModemInputs {
                clear_to_send: bit(mcr::RTS),
                data_set_ready: bit(mcr::DTR),
                ring: bit(mcr::OUT1),
                carrier: bit(mcr::OUT2),
            }
        } else {
            self.line.inputs(self.outputs())
        };
        self.modem.set(inputs);
    }

    /// What happens next by itself, and when.
    fn next_due(&self) -> Option<(u64, Due)> {
        let due = [
            (self.transmitter.end_ns(), Due::Sent),
            (self.transmitter.holding_empty_ns(), Due::HoldingEmpty),
            (self.break_ns, Due::BreakSent),
            (self.receiver.end_ns(), Due::Received),
            (self.far_end_ns(), Due::FarEnd),
            (self.receiver.timeout_ns(), Due::Timeout),
        ];
        due.into_iter().filter_map(|(at_ns, due)| at_ns.map(|at_ns| (at_ns.max(self.now_ns), due))).min()
    }

    /// When the far end can do what it wants to do next.
    fn far_end_ns(&self) -> Option<u64> {
        let (at_ns, event) = self.line.next_event(self.outputs())?;
        let can_happen = match event {
            Event::Modem(_) => true,
            Event::Signal(_) => self.receiver.is_idle() && self.format.divisor != 0,
        };
        can_happen.then_some(at_ns)
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Sent => self.sent(),
            Due::HoldingEmpty => self.transmitter.announce_empty(),
            Due::BreakSent => {
                self.break_ns = None;
                self.send_signal(Signal::Break);
            }
            Due::Received => {
                let signal = self.receiver.end();
                if let Some(signal) = signal.filter(|_| !self.loops_back()) {
                    self.receiver.receive(signal, self.now_ns, self.format);
                }
            }
            Due::FarEnd => self.far_end_acts(),
            Due::Timeout => self.receiver.time_out(),
        }
    }

    /// A character has left the shift register. In loopback mode it goes to the receiver and the wire rests.
    fn sent(&mut self) {
        let Some(byte) = self.transmitter.end(self.format) else { return };
        if self.loops_back() {
            self.receiver.receive(Signal::Character(byte), self.now_ns, self.format);
        } else if self.format.control & lcr::BREAK == 0 {
            self.send_signal(Signal::Character(byte));
        }
    }

    fn send_signal(&mut self, signal: Signal) {
        if self.loops_back() {
            return;
        }
        if let Some(signal) = self.line.transmit(self.now_ns, signal) {
            self.receiver.receive(signal, self.now_ns, self.format);
        }
    }

    fn far_end_acts(&mut self) {
        match self.line.take_event() {
            Some(Event::Signal(signal)) => {
                let end_ns = self.now_ns.saturating_add(self.character_ns().unwrap_or(0));
                self.receiver.start(signal, end_ns);
            }
            Some(Event::Modem(_)) => self.update_modem(),
            None => {}
        }
    }
}

impl Device for Uart16550 {
    fn name(&self) -> &str {
        "16550 UART"
    }

    fn advance(&mut self, now_ns: u64) {
        while let Some((at_ns, due)) = self.next_due().filter(|(at_ns, _)| *at_ns <= now_ns) {
            self.now_ns = at_ns;
            self.happen(due);
        }
        self.now_ns = self.now_ns.max(now_ns);
    }

    fn next_deadline(&self) -> Option<u64> {
        self.next_due().map(|(at_ns, _)| at_ns)
    }

    fn interrupt(&self) -> bool {
        self.modem_control & mcr::OUT2 != 0 && self.source().is_some()
    }

    fn port_read(&mut self, offset: u16, _width: u8) -> u64 {
        self.read(offset).into()
    }

    fn port_write(&mut self, offset: u16, _width: u8, value: u64) {
        self.write(offset, value as u8);
    }

    /// Whatever is on the wire; a receiver that is looped back or has no clock sees nothing of it.
    fn mishaps(&self) -> &'static [Mishap] {
        if self.loops_back() || self.format.divisor == 0 { &[] } else { &Mishap::ALL }
    }

    fn befall(&mut self, mishap: Mishap) {
        let count = if mishap == Mishap::Overrun { FIFO_DEPTH + 1 } else { 1 };
        let signal = match mishap {
            _ if self.mishaps().is_empty() => return,
            Mishap::LinesDropped => return self.modem.set(ModemInputs::default()),
            Mishap::Break => Signal::Break,
            Mishap::WrongFraming => Signal::WrongFraming(0),
            Mishap::Overrun => Signal::Character(0),
        };
        (0..count).for_each(|_| self.receiver.receive(signal, self.now_ns, self.format));
    }

    fn hash_at(&self, now_ns: u64, mut state: &mut dyn Hasher) {
        let Uart16550 {
            now_ns: own_ns,
            interrupt_enable,
            fifo_enabled,
            modem_control,
            scratch,
            format,
            receiver,
            transmitter,
            modem,
            line,
            break_ns,
        } = self;
        let left = |at_ns: &u64| at_ns.saturating_sub(now_ns);
        // How far it is behind makes a difference only where something should have happened since.
        let behind_ns = self.next_deadline().filter(|due_ns| *due_ns <= now_ns).map(|_| now_ns.wrapping_sub(*own_ns));
        behind_ns.hash(&mut state);
        (interrupt_enable, fifo_enabled, modem_control, scratch, format, modem).hash(&mut state);
        receiver.hash_at(now_ns, &mut state);
        transmitter.hash_at(now_ns, &mut state);
        line.hash_at(now_ns, &mut state);
        break_ns.as_ref().map(left).hash(&mut state);
    }

    fn clone_box(&self) -> Box<dyn Device> {
        Box::new(self.clone())
    }
}
