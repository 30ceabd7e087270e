//! What may happen to a device at any time, whatever the driver does.

/// Something that the world outside may do to a device. The numbers are part of the format of tokens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Mishap {
    /// The wire at a serial port is held low for longer than a character takes.
    Break = 0,
    /// A character without a valid stop bit arrives at a serial port.
    WrongFraming = 1,
    /// Characters arrive at a serial port faster than they are read, until one is lost.
    Overrun = 2,
    /// The far end of a serial cable takes back all modem lines, for as long as nobody writes the modem control register.
    LinesDropped = 3,
}

impl Mishap {
    /// All of them, by number.
    pub const ALL: [Mishap; 4] = [Mishap::Break, Mishap::WrongFraming, Mishap::Overrun, Mishap::LinesDropped];

    /// What it is called in a report.
    pub const fn text(self) -> &'static str {
        match self {
            Mishap::Break => "a break came in at the serial port",
            Mishap::WrongFraming => "a character with wrong framing came in at the serial port",
            Mishap::Overrun => "more characters came in at the serial port than it can hold",
            Mishap::LinesDropped => "the modem lines of the serial port went inactive",
        }
    }
}
