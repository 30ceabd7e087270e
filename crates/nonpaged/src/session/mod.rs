//! A machine with an engine: load drivers, ask them things, see what happens.

mod exercise;
mod ioctl_codes;
mod residency;

use devices::{Bus, DeviceId, SerialLine, Uart16550};
use driver_image::Image;
use interpreter::Interpreter;
use kernel::{Action, Answer, Machine, Options, RequestId, RunEnd, Stop, Trap, Until};
use memory::{Memory, MemoryConfig};
use nt_types::{NtStatus, Va};

pub use ioctl_codes::ioctl_codes;
pub use residency::{Residency, SectionResidency};

/// Port base and interrupt line of the first serial port of a PC.
const COM1: (u16, u32) = (0x3F8, 4);

/// Why a session cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The machine did not start.
    #[error(transparent)]
    Boot(#[from] kernel::BootError),
    /// A driver was not loaded.
    #[error(transparent)]
    Load(#[from] kernel::LoadError),
    /// A device could not be put on the bus.
    #[error("cannot put the serial port on the bus: {0}")]
    Bus(#[from] devices::BusError),
    /// The run stopped.
    #[error("the run stopped")]
    Stopped(Box<Stop>),
}

/// How a request ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// It was answered.
    Answered(Answer),
    /// It is still outstanding.
    Outstanding(RequestId),
}

/// A machine that runs.
pub struct Session {
    /// The machine.
    pub machine: Machine,
    engine: Interpreter<Memory>,
    serial: DeviceId,
}

impl Session {
    /// A booted machine with one serial port, cabled as given.
    pub fn new(options: Options, memory: MemoryConfig, cable: SerialLine) -> Result<Session, SessionError> {
        let mut bus = Bus::new();
        let serial = Uart16550::install(&mut bus, cable, COM1.0, COM1.1)?;
        let machine = Machine::boot(options, memory, bus)?;
        Ok(Session { machine, engine: Interpreter::default(), serial })
    }

    /// The serial port.
    pub fn serial_port(&self) -> DeviceId {
        self.serial
    }

    /// Maps a driver.
    pub fn load(&mut self, name: &str, image: Image) -> Result<Va, SessionError> {
        Ok(self.machine.load_driver(name, image)?)
    }

    /// Calls DriverEntry and what follows it.
    pub fn initialize(&mut self, base: Va) -> Result<NtStatus, SessionError> {
        let request = self.machine.initialize_driver(base)?;
        let status = self.status_of(request)?;
        self.settle()?;
        Ok(status)
    }

    /// Offers a device of the bus to the driver: the status of AddDevice, and the physical device object.
    pub fn add_device(&mut self, base: Va, device: DeviceId) -> Result<(NtStatus, Va), SessionError> {
        let request = self.machine.add_device(base, device).map_err(|trap| self.stopped(trap))?;
        match self.wait(request, None)? {
            Reply::Answered(answer) => Ok((answer.status, Va(answer.information))),
            Reply::Outstanding(_) => Ok((NtStatus::PENDING, Va::NULL)),
        }
    }

    /// Runs an action to its end, or for as long as it can go without the world outside.
    pub fn act(&mut self, name: &str, action: Action, limit_ns: Option<u64>) -> Result<Reply, SessionError> {
        let request = self.machine.act(name, action).map_err(|trap| self.stopped(trap))?;
        self.wait(request, limit_ns)
    }

    /// Starts an action and lets everything happen that can happen now.
    pub fn start(&mut self, name: &str, action: Action) -> Result<RequestId, SessionError> {
        let request = self.machine.act(name, action).map_err(|trap| self.stopped(trap))?;
        self.pass(SHORT_NS)?;
        Ok(request)
    }

    /// Waits for an answer, at most `limit_ns` of virtual time.
    pub fn wait(&mut self, request: RequestId, limit_ns: Option<u64>) -> Result<Reply, SessionError> {
        let until = match limit_ns {
            Some(limit) => Until::AnsweredOrTime(request, self.machine.now_ns().saturating_add(limit)),
            None => Until::Answered(request),
        };
        self.run(until)?;
        Ok(match self.machine.answer_of(request) {
            Some(answer) => Reply::Answered(answer.clone()),
            None => Reply::Outstanding(request),
        })
    }

    /// Lets virtual time pass.
    pub fn pass(&mut self, time_ns: u64) -> Result<(), SessionError> {
        self.run(Until::Time(self.machine.now_ns().saturating_add(time_ns)))
    }

    /// Lets everything happen that is already under way.
    fn settle(&mut self) -> Result<(), SessionError> {
        self.pass(SHORT_NS)
    }

    /// Calls Unload and unmaps the driver.
    pub fn unload(&mut self, base: Va) -> Result<Reply, SessionError> {
        let request = self.machine.unload_driver(base)?;
        self.wait(request, None)
    }

    fn status_of(&mut self, request: RequestId) -> Result<NtStatus, SessionError> {
        Ok(match self.wait(request, None)? {
            Reply::Answered(answer) => answer.status,
            Reply::Outstanding(_) => NtStatus::PENDING,
        })
    }

    fn run(&mut self, until: Until) -> Result<(), SessionError> {
        match self.machine.run(&mut self.engine, until) {
            RunEnd::Stopped(stop) => Err(SessionError::Stopped(stop)),
            RunEnd::Reached | RunEnd::Quiescent => Ok(()),
        }
    }

    fn stopped(&mut self, trap: Trap) -> SessionError {
        SessionError::Stopped(self.machine.trap_to_stop(trap))
    }
}

/// Virtual time in which everything under way comes to rest, unless it waits for a device or a timer.
const SHORT_NS: u64 = 1_000_000;
