//! How long a character takes (PC16550D, "Programmable baud generator" and "Line control register").

/// The crystal of PC serial ports.
const CLOCK_HZ: u64 = 1_843_200;

/// The format of characters: the line control register and the divisor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Format {
    /// LCR.
    pub(super) control: u8,
    /// DLM and DLL. 0 stops the baud generator.
    pub(super) divisor: u16,
}

impl Format {
    /// LCR bits 0 and 1: 5 to 8.
    fn data_bits(self) -> u64 {
        u64::from(self.control & 3) + 5
    }

    /// The bits of a character that exist in this word length.
    pub(super) fn mask(self) -> u8 {
        0xff >> (8 - self.data_bits())
    }

    /// LCR bit 3.
    pub(super) fn checks_parity(self) -> bool {
        self.control & 0x08 != 0
    }

    /// LCR bit 2 asks for 2 stop bits, or 1.5 with a word length of 5.
    fn stop_half_bits(self) -> u64 {
        match (self.control & 0x04 != 0, self.data_bits()) {
            (false, _) => 2,
            (true, 5) => 3,
            (true, _) => 4,
        }
    }

    /// Start, data, parity and stop bits, in nanoseconds; `None` while the baud generator stands still.
    pub(super) fn character_ns(self) -> Option<u64> {
        let half_bits = 2 * (1 + self.data_bits() + u64::from(self.checks_parity())) + self.stop_half_bits();
        self.half_bits_ns(half_bits)
    }

    /// The last stop bit, in nanoseconds.
    pub(super) fn last_stop_bit_ns(self) -> Option<u64> {
        self.half_bits_ns(self.stop_half_bits().min(2))
    }

    /// A bit takes 16 cycles of the clock divided by the divisor. Rounded up.
    fn half_bits_ns(self, half_bits: u64) -> Option<u64> {
        let clocks = half_bits * 8 * u64::from(self.divisor);
        (clocks != 0).then(|| (clocks * 1_000_000_000).div_ceil(CLOCK_HZ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EIGHT_NONE_ONE: u8 = 0x03;

    fn character_ns(control: u8, divisor: u16) -> Option<u64> {
        Format { control, divisor }.character_ns()
    }

    /// Divisor 1 is 115200 baud, 12 is 9600 baud (PC16550D, table of divisors for 1.8432 MHz).
    #[test]
    fn baud_rates() {
        assert_eq!(character_ns(EIGHT_NONE_ONE, 1), Some((10 * 1_000_000_000u64).div_ceil(115_200)));
        assert_eq!(character_ns(EIGHT_NONE_ONE, 12), Some((10 * 1_000_000_000u64).div_ceil(9_600)));
        assert_eq!(character_ns(EIGHT_NONE_ONE, 0), None);
        assert!(character_ns(0xff, u16::MAX).is_some());
    }

    #[test]
    fn bits_of_a_character() {
        let half_bits = |control| character_ns(control, 12).map(|ns| (ns * 2 * 9_600 + 500_000_000) / 1_000_000_000);
        assert_eq!(half_bits(0x00), Some(2 * 7), "5 data bits, 1 stop bit");
        assert_eq!(half_bits(0x04), Some(2 * 6 + 3), "5 data bits, 1.5 stop bits");
        assert_eq!(half_bits(0x05), Some(2 * 7 + 4), "6 data bits, 2 stop bits");
        assert_eq!(half_bits(0x0f), Some(2 * 10 + 4), "8 data bits, parity, 2 stop bits");
    }

    #[test]
    fn word_lengths() {
        let mask = |control| Format { control, divisor: 1 }.mask();
        assert_eq!([mask(0), mask(1), mask(2), mask(3)], [0x1f, 0x3f, 0x7f, 0xff]);
    }
}
