//! What the serial port is connected to.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use devices::{FlowControl, SerialLine as Cable, Uart16550};
use nonpaged::scenario::SerialEnd;
use nonpaged::session::Session;
use report::Diagnostic;

use super::args::{SerialLine, Setup};
use super::input;
use super::output::unwritable;
use super::terminal::{self, Terminal};

/// The far end of the cable.
pub(crate) struct FarEnd {
    cable: Option<Cable>,
    /// Where what the driver sends goes; `None` for a loopback plug.
    sink: Option<Sink>,
    /// Who answers, bound to real time.
    terminal: Option<Terminal>,
    /// The first write that failed.
    failed: Option<io::Error>,
}

struct Sink {
    name: String,
    out: Box<dyn Write>,
}

/// Most that is read from standard input, in bytes.
const MAX_INPUT: u64 = 1 << 20;

impl FarEnd {
    /// Opens what the arguments name. All input is read here, so that the run does not depend on when it arrives, except
    /// from a pseudo-terminal.
    pub(crate) fn open(options: &Setup, scenario: SerialEnd) -> Result<FarEnd, Box<Diagnostic>> {
        let of_scenario = match scenario {
            SerialEnd::Loopback => SerialLine::Loopback,
            SerialEnd::Peer => SerialLine::Peer,
        };
        match options.serial_line.as_ref().unwrap_or(&of_scenario) {
            SerialLine::Replay(path) => Ok(FarEnd::new(terminal::replay(path)?, None)),
            SerialLine::Pty => {
                let terminal = Some(Terminal::open(options.record.as_deref())?);
                Ok(FarEnd { terminal, ..FarEnd::new(Cable::peer(FlowControl::None), None) })
            }
            SerialLine::Peer => Ok(FarEnd::new(Cable::peer(FlowControl::None), None)),
            SerialLine::Loopback => Ok(FarEnd::new(Cable::loopback_plug(), None)),
            SerialLine::Stdio => {
                let mut cable = Cable::peer(FlowControl::RequestToSend);
                cable.send_bytes(0, &standard_input()?);
                let sink = Sink { name: "standard output".to_owned(), out: Box::new(io::stdout()) };
                Ok(FarEnd::new(cable, Some(sink)))
            }
            SerialLine::File(path) => {
                let sink = Sink { name: path.display().to_string(), out: Box::new(create(path)?) };
                Ok(FarEnd::new(Cable::peer(FlowControl::None), Some(sink)))
            }
        }
    }

    fn new(cable: Cable, sink: Option<Sink>) -> FarEnd {
        FarEnd { cable: Some(cable), sink, terminal: None, failed: None }
    }

    /// The cable, to be put into the port; there is one.
    pub(crate) fn cable(&mut self) -> Cable {
        self.cable.take().unwrap_or_else(Cable::unconnected)
    }

    /// Takes what the port has sent, and brings what a terminal has to say.
    pub(crate) fn take(&mut self, session: &mut Session) {
        let (port, now_ns) = (session.serial_port(), session.machine.now_ns());
        let Some(port) = session.machine.bus.device_mut::<Uart16550>(port) else { return };
        if let Some(terminal) = &mut self.terminal {
            if let Err(error) = terminal.exchange(port.line_mut(), now_ns) {
                self.failed.get_or_insert(error);
            }
            return;
        }
        let bytes = port.line().sent_bytes();
        port.line_mut().take_sent();
        if let Some(sink) = &mut self.sink
            && let Err(error) = sink.out.write_all(&bytes).and_then(|()| sink.out.flush())
        {
            self.failed.get_or_insert(error);
        }
    }

    /// Ends the connection.
    pub(crate) fn finish(mut self, session: &mut Session) -> Result<(), Box<Diagnostic>> {
        self.take(session);
        let sink = self.sink.map(|sink| sink.name);
        let name = sink.or_else(|| self.terminal.as_ref().map(Terminal::name));
        match (self.failed, name) {
            (Some(error), Some(name)) => Err(unwritable(&name, &error)),
            _ => Ok(()),
        }
    }
}

fn standard_input() -> Result<Vec<u8>, Box<Diagnostic>> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(MAX_INPUT).read_to_end(&mut bytes);
    read.map_err(|error| input::unreadable(Path::new("standard input"), "serial line", &error))?;
    Ok(bytes)
}

fn create(path: &Path) -> Result<File, Box<Diagnostic>> {
    File::create(path).map_err(|error| input::uncreatable(path, "serial line", &error))
}
