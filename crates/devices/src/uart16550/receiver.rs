//! The receiver: buffer register or FIFO, error bits, trigger level and timeout.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

use super::FIFO_DEPTH;
use super::registers::lsr;
use super::timing::Format;
use crate::serial_line::Signal;

/// A character and the error bits (of the line status register) that belong to it.
type Entry = (u8, u8);

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Receiver {
    entries: VecDeque<Entry>,
    fifo_mode: bool,
    /// Characters in the FIFO that ask for service: 1, 4, 8 or 14.
    trigger: usize,
    /// Overrun, and the errors of characters that have come to the top; until the line status is read.
    errors: u8,
    /// What the buffer register shows when nothing is in it.
    last: u8,
    /// When the FIFO will have lain untouched for four characters.
    timeout_ns: Option<u64>,
    timed_out: bool,
    /// What the shift register takes in, and when its last bit ends.
    shifting: Option<(Signal, u64)>,
}

impl Receiver {
    /// What tells its state at this time.
    pub(super) fn hash_at(&self, now_ns: u64, state: &mut impl Hasher) {
        let Receiver { entries, fifo_mode, trigger, errors, last, timeout_ns, timed_out, shifting } = self;
        (entries, fifo_mode, trigger, errors, last, timed_out).hash(state);
        timeout_ns.map(|at_ns| at_ns.saturating_sub(now_ns)).hash(state);
        shifting.map(|(signal, end_ns)| (signal, end_ns.saturating_sub(now_ns))).hash(state);
    }

    pub(super) fn new() -> Receiver {
        Receiver {
            entries: VecDeque::new(),
            fifo_mode: false,
            trigger: 1,
            errors: 0,
            last: 0,
            timeout_ns: None,
            timed_out: false,
            shifting: None,
        }
    }

    /// The error bits that a signal carries when it is received in this format. A break holds the stop bit low too.
    fn entry(signal: Signal, format: Format) -> Entry {
        match signal {
            Signal::WrongParity(byte) if format.checks_parity() => (byte & format.mask(), lsr::PARITY),
            Signal::Character(byte) | Signal::WrongParity(byte) => (byte & format.mask(), 0),
            Signal::WrongFraming(byte) => (byte & format.mask(), lsr::FRAMING),
            Signal::Break => (0, lsr::BREAK | lsr::FRAMING),
        }
    }

    /// A character has come in. One too many overwrites the buffer register, but never what is in the FIFO.
    pub(super) fn receive(&mut self, signal: Signal, now_ns: u64, format: Format) {
        let capacity = if self.fifo_mode { FIFO_DEPTH } else { 1 };
        if self.entries.len() >= capacity {
            self.errors |= lsr::OVERRUN;
            if self.fifo_mode {
                return;
            }
            self.entries.clear();
        }
        self.entries.push_back(Receiver::entry(signal, format));
        self.reveal();
        self.restart_timeout(now_ns, format);
    }

    /// Reads the buffer register.
    pub(super) fn read(&mut self, now_ns: u64, format: Format) -> u8 {
        if let Some((byte, _)) = self.entries.pop_front() {
            self.last = byte;
        }
        self.timed_out = false;
        self.reveal();
        self.restart_timeout(now_ns, format);
        self.last
    }

    /// The errors of the character at the top become visible.
    fn reveal(&mut self) {
        if let Some((_, errors)) = self.entries.front_mut() {
            self.errors |= std::mem::take(errors);
        }
    }

    fn restart_timeout(&mut self, now_ns: u64, format: Format) {
        let runs = self.fifo_mode && !self.entries.is_empty() && !self.timed_out;
        let after_ns = format.character_ns().filter(|_| runs).map(|ns| ns * 4);
        self.timeout_ns = after_ns.map(|after_ns| now_ns.saturating_add(after_ns));
    }

    /// Bits 0 to 4 and 7 of the line status register.
    pub(super) fn status(&self) -> u8 {
        let ready = if self.entries.is_empty() { 0 } else { lsr::DATA_READY };
        let with_character = lsr::PARITY | lsr::FRAMING | lsr::BREAK;
        let any_error = self.errors & with_character != 0 || self.entries.iter().any(|(_, errors)| *errors != 0);
        let in_fifo = if self.fifo_mode && any_error { lsr::ERROR_IN_FIFO } else { 0 };
        ready | self.errors | in_fifo
    }

    /// The processor has read the line status register.
    pub(super) fn status_was_read(&mut self) {
        self.errors = 0;
    }

    /// Does an error ask for service?
    pub(super) fn has_error(&self) -> bool {
        self.errors != 0
    }

    /// Do the characters received ask for service?
    pub(super) fn at_trigger(&self) -> bool {
        let trigger = if self.fifo_mode { self.trigger } else { 1 };
        self.entries.len() >= trigger
    }

    /// Have characters lain in the FIFO for too long?
    pub(super) fn timed_out(&self) -> bool {
        self.timed_out
    }

    /// Empties the buffer or FIFO; the shift register goes on.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.timed_out = false;
        self.timeout_ns = None;
    }

    pub(super) fn set_mode(&mut self, fifo_mode: bool, trigger: usize) {
        if self.fifo_mode != fifo_mode {
            self.clear();
        }
        (self.fifo_mode, self.trigger) = (fifo_mode, trigger);
    }

    pub(super) fn timeout_ns(&self) -> Option<u64> {
        self.timeout_ns
    }

    pub(super) fn time_out(&mut self) {
        self.timed_out = true;
        self.timeout_ns = None;
    }

    /// Can a start bit begin, or is another character coming in?
    pub(super) fn is_idle(&self) -> bool {
        self.shifting.is_none()
    }

    /// A start bit begins.
    pub(super) fn start(&mut self, signal: Signal, end_ns: u64) {
        self.shifting = Some((signal, end_ns));
    }

    /// When the character that comes in now will be complete.
    pub(super) fn end_ns(&self) -> Option<u64> {
        self.shifting.map(|(_, end_ns)| end_ns)
    }

    /// The last stop bit has ended.
    pub(super) fn end(&mut self) -> Option<Signal> {
        self.shifting.take().map(|(signal, _)| signal)
    }
}
