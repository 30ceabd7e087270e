//! The transmitter: holding register or FIFO, shift register, and when it says that it is empty.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

use super::FIFO_DEPTH;
use super::registers::lsr;
use super::timing::Format;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Transmitter {
    entries: VecDeque<u8>,
    fifo_mode: bool,
    /// What the shift register sends, and when its last bit ends.
    shifting: Option<(u8, u64)>,
    /// The THRE bit.
    holding_empty: bool,
    /// When the delayed THRE bit comes.
    holding_empty_ns: Option<u64>,
    /// The FIFO has held two characters at once since the last THRE.
    was_filled: bool,
    /// The THRE interrupt asks for service, if it is enabled.
    interrupt: bool,
}

impl Transmitter {
    /// What tells its state at this time.
    pub(super) fn hash_at(&self, now_ns: u64, state: &mut impl Hasher) {
        let Transmitter { entries, fifo_mode, shifting, holding_empty, holding_empty_ns, was_filled, interrupt } = self;
        (entries, fifo_mode, holding_empty, was_filled, interrupt).hash(state);
        holding_empty_ns.map(|at_ns| at_ns.saturating_sub(now_ns)).hash(state);
        shifting.map(|(byte, end_ns)| (byte, end_ns.saturating_sub(now_ns))).hash(state);
    }

    pub(super) fn new() -> Transmitter {
        Transmitter {
            entries: VecDeque::new(),
            fifo_mode: false,
            shifting: None,
            holding_empty: true,
            holding_empty_ns: None,
            was_filled: false,
            interrupt: false,
        }
    }

    /// Writes the holding register. A full FIFO does not take the byte; a full register loses the one it had.
    pub(super) fn write(&mut self, byte: u8, now_ns: u64, format: Format) {
        let capacity = if self.fifo_mode { FIFO_DEPTH } else { 1 };
        if !self.fifo_mode {
            self.entries.clear();
        }
        if self.entries.len() < capacity {
            self.entries.push_back(byte);
        }
        self.holding_empty = false;
        self.holding_empty_ns = None;
        self.interrupt = false;
        self.was_filled |= self.entries.len() >= 2;
        self.load(now_ns, format);
    }

    /// Moves the next character to the shift register, if that is idle and the baud generator runs.
    pub(super) fn load(&mut self, now_ns: u64, format: Format) {
        let (None, Some(character_ns)) = (self.shifting, format.character_ns()) else { return };
        let Some(byte) = self.entries.pop_front() else { return };
        self.shifting = Some((byte & format.mask(), now_ns.saturating_add(character_ns)));
        if self.entries.is_empty() {
            self.drained(now_ns, character_ns.saturating_sub(format.last_stop_bit_ns().unwrap_or(0)));
        }
    }

    /// Nothing is left to load. A FIFO that has not held two characters at once since the last time says so only after
    /// one character time less the last stop bit.
    fn drained(&mut self, now_ns: u64, delay_ns: u64) {
        if self.fifo_mode && !self.was_filled {
            self.holding_empty_ns = Some(now_ns.saturating_add(delay_ns));
        } else {
            self.announce_empty();
        }
    }

    /// The THRE bit goes on, and asks for service.
    pub(super) fn announce_empty(&mut self) {
        self.interrupt |= !self.holding_empty;
        self.holding_empty = true;
        self.holding_empty_ns = None;
        self.was_filled = false;
    }

    pub(super) fn holding_empty_ns(&self) -> Option<u64> {
        self.holding_empty_ns
    }

    /// When the character that goes out now will be complete.
    pub(super) fn end_ns(&self) -> Option<u64> {
        self.shifting.map(|(_, end_ns)| end_ns)
    }

    /// The last stop bit has ended: the character that went out.
    pub(super) fn end(&mut self, format: Format) -> Option<u8> {
        let (byte, end_ns) = self.shifting.take()?;
        self.load(end_ns, format);
        Some(byte)
    }

    /// Bits 5 and 6 of the line status register.
    pub(super) fn status(&self) -> u8 {
        let holding = if self.holding_empty { lsr::HOLDING_EMPTY } else { 0 };
        let idle = self.entries.is_empty() && self.shifting.is_none();
        holding | if idle { lsr::TRANSMITTER_EMPTY } else { 0 }
    }

    /// Does an empty holding register ask for service?
    pub(super) fn asks(&self) -> bool {
        self.interrupt
    }

    /// The interrupt was just enabled: it asks at once where the register is empty.
    pub(super) fn interrupt_enabled(&mut self) {
        self.interrupt |= self.holding_empty;
    }

    /// The processor has read the interrupt identification and found this source.
    pub(super) fn was_identified(&mut self) {
        self.interrupt = false;
    }

    /// Empties the holding register or FIFO; the shift register goes on.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.announce_empty();
    }

    pub(super) fn set_mode(&mut self, fifo_mode: bool) {
        if self.fifo_mode != fifo_mode {
            self.clear();
        }
        self.fifo_mode = fifo_mode;
    }
}
