//! A pseudo-terminal at the far end of the serial line, and the recording of what came from it.
//!
//! Virtual time is held back to the time of the host, so that a person can follow. What arrives when depends on the host
//! then; the recording has each byte with its virtual time, and brings it again at that time.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use devices::SerialLine as Cable;
use devices::host::{self, HostEnd};
use report::Diagnostic;
use report::cause::Input;

use super::input::{self, refuse};

/// Bytes taken from the terminal at a time.
const CHUNK: usize = 4096;
/// Largest recording, in bytes.
const MAX_RECORDING: u64 = 64 << 20;

/// Somebody at a pseudo-terminal.
pub(crate) struct Terminal {
    host: Box<dyn HostEnd>,
    began: Instant,
    record: Option<(PathBuf, File)>,
}

impl Terminal {
    /// Opens one and says where it is.
    pub(crate) fn open(record: Option<&Path>) -> Result<Terminal, Box<Diagnostic>> {
        let opened = pseudo_terminal().map_err(|error| {
            refuse(Input::Arguments { problem: format!("a pseudo-terminal cannot be opened: {error}") })
        });
        let (host, path) = opened?;
        let record = record.map(|path| {
            let file = File::create(path).map_err(|error| input::uncreatable(path, "recording", &error))?;
            Ok::<_, Box<Diagnostic>>((path.to_owned(), file))
        });
        // Whoever wants to connect needs to know now; that nobody can be told is no reason not to run.
        let _ = writeln!(io::stderr(), "serial line: {path}");
        Ok(Terminal { host, began: Instant::now(), record: record.transpose()? })
    }

    /// Lets the host catch up with virtual time, then carries bytes both ways.
    pub(crate) fn exchange(&mut self, line: &mut Cable, now_ns: u64) -> io::Result<()> {
        let ahead = Duration::from_nanos(now_ns).saturating_sub(self.began.elapsed());
        std::thread::sleep(ahead);
        let given = host::exchange(line, self.host.as_mut(), CHUNK, now_ns)?;
        match &mut self.record {
            Some((_, file)) if !given.is_empty() => writeln!(file, "{now_ns} {}", hex(&given)),
            _ => Ok(()),
        }
    }

    /// What could not be written, for a report.
    pub(crate) fn name(&self) -> String {
        self.record.as_ref().map_or("the pseudo-terminal".to_owned(), |(path, _)| path.display().to_string())
    }
}

/// A cable whose far end says what was recorded, when it was.
pub(crate) fn replay(path: &Path) -> Result<Cable, Box<Diagnostic>> {
    let bytes =
        nonpaged::read_up_to(path, MAX_RECORDING).map_err(|error| input::unreadable(path, "recording", &error))?;
    let text = String::from_utf8_lossy(&bytes);
    let mut cable = Cable::peer(devices::FlowControl::None);
    for (index, line) in text.lines().enumerate() {
        let (at_ns, bytes) = recorded(line).ok_or_else(|| {
            let problem = format!("line {} of the recording `{}` is no time and bytes", index + 1, path.display());
            refuse(Input::Arguments { problem })
        })?;
        cable.send_bytes(at_ns, &bytes);
    }
    Ok(cable)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A line of a recording.
fn recorded(line: &str) -> Option<(u64, Vec<u8>)> {
    let (at_ns, hex) = line.split_once(' ')?;
    let digits: Vec<u8> =
        hex.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect::<Option<_>>()?;
    let bytes = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    digits.len().is_multiple_of(2).then_some((at_ns.parse().ok()?, bytes))
}

/// The controlling side of a new pseudo-terminal, and the path of the other side.
#[cfg(unix)]
fn pseudo_terminal() -> io::Result<(Box<dyn HostEnd>, String)> {
    use rustix::fs::{Mode, OFlags};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&controller)?;
    unlockpt(&controller)?;
    let path = ptsname(&controller, Vec::new())?;
    // Held open, so that whoever connects may go and come back; a cable neither echoes nor edits lines.
    let other = rustix::fs::open(path.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty())?;
    let mut mode = tcgetattr(&other)?;
    mode.make_raw();
    tcsetattr(&other, OptionalActions::Now, &mode)?;
    rustix::io::ioctl_fionbio(&controller, true)?;
    let host = unix::PseudoTerminal { controller: File::from(controller), _other: File::from(other) };
    Ok((Box::new(host), path.to_string_lossy().into_owned()))
}

#[cfg(not(unix))]
fn pseudo_terminal() -> io::Result<(Box<dyn HostEnd>, String)> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this host has none"))
}

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io::{self, ErrorKind, Read, Write};

    use devices::host::HostEnd;

    /// Both sides of a pseudo-terminal.
    pub(super) struct PseudoTerminal {
        pub(super) controller: File,
        pub(super) _other: File,
    }

    impl HostEnd for PseudoTerminal {
        fn read_available(&mut self, limit: usize) -> io::Result<Vec<u8>> {
            let mut bytes = vec![0; limit];
            let length = match self.controller.read(&mut bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                read => read?,
            };
            bytes.truncate(length);
            Ok(bytes)
        }

        /// What nobody reads is lost, as on a wire.
        fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
            match self.controller.write_all(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
                written => written,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{hex, recorded};

    #[test]
    fn a_recording_is_read_as_it_was_written() {
        assert_eq!(recorded(&format!("17 {}", hex(b"hi\xff"))), Some((17, b"hi\xff".to_vec())));
        assert_eq!(recorded("17 "), Some((17, Vec::new())));
        for wrong in ["", "17", "x 00", "17 0", "17 0g"] {
            assert_eq!(recorded(wrong), None, "{wrong}");
        }
    }
}
