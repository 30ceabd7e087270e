//! The border to the host: the only place of this crate that performs input or output.
//!
//! A machine is deterministic because nothing here runs while it runs. Between two runs, [`exchange`] carries what the
//! port has sent to the host and what the host has to say to the port, and returns the latter, so that a recording can
//! give the same bytes at the same virtual time again ([`SerialLine::send_bytes`]).

use std::io::{self, Read, Write};

use crate::serial_line::SerialLine;

/// Something of the host at the far end of a serial line.
pub trait HostEnd {
    /// What it has to say now, at most `limit` bytes; nothing is no error.
    fn read_available(&mut self, limit: usize) -> io::Result<Vec<u8>>;

    /// Takes what the port has sent.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// A file or pipe to read and another to write, such as standard input and output. Reading waits as the stream does.
#[derive(Debug)]
pub struct Streams<R, W> {
    /// Where the peer's words come from.
    pub input: R,
    /// Where the words of the port go.
    pub output: W,
}

/// The most that one read of a stream asks for, in bytes.
const CHUNK: usize = 1 << 16;

impl<R: Read, W: Write> HostEnd for Streams<R, W> {
    fn read_available(&mut self, limit: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; limit.min(CHUNK)];
        let length = self.input.read(&mut bytes)?;
        bytes.truncate(length);
        Ok(bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.output.write_all(bytes)?;
        self.output.flush()
    }
}

/// Carries bytes in both directions and returns those that the host gave, at most `limit`. A break is not carried.
pub fn exchange(line: &mut SerialLine, host: &mut dyn HostEnd, limit: usize, now_ns: u64) -> io::Result<Vec<u8>> {
    host.write(&line.sent_bytes())?;
    line.take_sent();
    let given = host.read_available(limit)?;
    line.send_bytes(now_ns, &given);
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serial_line::{FlowControl, Signal};

    #[test]
    fn bytes_go_both_ways_and_are_returned_for_recording() {
        let mut line = SerialLine::peer(FlowControl::None);
        line.transmit(5, Signal::Character(b'o'));
        line.transmit(6, Signal::Break);
        line.transmit(7, Signal::Character(b'k'));
        let mut host = Streams { input: &b"hello"[..], output: Vec::new() };
        assert_eq!(exchange(&mut line, &mut host, 4, 10).unwrap(), b"hell");
        assert_eq!((host.output.as_slice(), line.sent().len(), line.unsent()), (&b"ok"[..], 0, 4));
        assert_eq!(exchange(&mut line, &mut host, 4, 20).unwrap(), b"o");
    }
}
