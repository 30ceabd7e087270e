//! A machine with an engine: load drivers, ask them things, see what happens.

mod ioctl_codes;
mod residency;

use std::time::Instant;

use devices::pci::{self, PciFunction};
use devices::{Bus, DeviceId, PORT_COUNT, SerialLine, Uart16550};
use driver_image::Image;
use interpreter::Interpreter;
use kernel::{Action, Answer, Choice, Deed, Machine, Options, RequestId, RunEnd, Stop, Trap, Until};
use memory::{Memory, MemoryConfig};
use nt_types::{NtStatus, PAGE_SHIFT, Va};
use report::Diagnostic;
use report::cause::{Cause, Remark};

use crate::chronicle::Chronicle;
use crate::driver::Driver;
use crate::locate::LocateError;
use crate::scenario::Refutation;

pub use ioctl_codes::ioctl_codes;
pub use residency::{Residency, SectionResidency};

/// Port base and interrupt line of the first serial port of a PC.
const COM1: (u16, u32) = (0x3F8, 4);
/// PCI slot of the card: device 3.
const CARD_SLOT: u32 = 3;
/// Where a PC has device memory, unless there is RAM.
const CARD_MEMORY: u64 = 0xFEB0_0000;
/// Frames of a machine that is never short of memory: 4 GiB, taken from the host only as they are used.
pub const PLENTY_OF_FRAMES: u32 = 1 << 20;

/// The devices of a machine that drivers are offered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Devices {
    /// The serial port of a PC.
    pub serial: DeviceId,
    /// A PCI card with that port on it, and device memory.
    pub card: DeviceId,
}

/// Why a session cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The machine did not start.
    #[error(transparent)]
    Boot(#[from] kernel::BootError),
    /// A driver was not loaded.
    #[error(transparent)]
    Load(#[from] kernel::LoadError),
    /// The names of a driver cannot be read.
    #[error(transparent)]
    Names(#[from] LocateError),
    /// A device could not be put on the bus.
    #[error("cannot put the serial port on the bus: {0}")]
    Bus(#[from] devices::BusError),
    /// The time that the host gave is used up.
    #[error("the host's time for the run is used up")]
    TimeUp,
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
    /// What is remembered of the run.
    pub chronicle: Chronicle,
    /// When the host gives up on the run, whatever it has come to; the outcome then depends on the host.
    pub deadline: Option<Instant>,
    engine: Interpreter<Memory>,
    devices: Devices,
    decide: Option<Decide>,
}

/// Answers a choice.
type Decide = Box<dyn FnMut(&Choice) -> Option<Deed>>;

impl Session {
    /// A booted machine with one serial port, cabled as given, which is on a PCI card.
    pub fn new(options: Options, memory: MemoryConfig, cable: SerialLine) -> Result<Session, SessionError> {
        let mut bus = Bus::new();
        let serial = Uart16550::install(&mut bus, cable, COM1.0, COM1.1)?;
        let card = PciFunction::install(&mut bus, serial, place_of_card(&memory))?;
        let machine = Machine::boot(options, memory, bus)?;
        let (engine, devices) = (Interpreter::default(), Devices { serial, card });
        Ok(Session { machine, chronicle: Chronicle::default(), deadline: None, engine, devices, decide: None })
    }

    /// From now on answers choices in this way; without it nothing unplanned happens but what a schedule names.
    pub fn decide(&mut self, decide: impl FnMut(&Choice) -> Option<Deed> + 'static) {
        self.decide = Some(Box::new(decide));
        self.machine.ask_from(Some(self.machine.choices_made()));
    }

    /// The serial port.
    pub fn serial_port(&self) -> DeviceId {
        self.devices.serial
    }

    /// What drivers are offered.
    pub fn devices(&self) -> Devices {
        self.devices
    }

    /// Nobody wants what the serial port has sent so far.
    pub(crate) fn forget_sent(&mut self) {
        if let Some(port) = self.machine.bus.device_mut::<Uart16550>(self.devices.serial) {
            port.line_mut().take_sent();
        }
    }

    /// Maps a driver. The first one is the one that the sums of the run are about.
    pub fn load(&mut self, name: &str, image: Image) -> Result<Va, SessionError> {
        self.chronicle.story.images.add(name, &image, None)?;
        self.map(name, image)
    }

    /// Maps a driver, and before it the drivers beside it that it imports from, with the names of their PDBs.
    pub fn load_file(&mut self, driver: &Driver) -> Result<Va, SessionError> {
        for library in driver.libraries(&self.machine) {
            self.add_names(&library)?;
            self.machine.load_driver(&library.name, library.image)?;
        }
        self.add_names(driver)?;
        self.map(&driver.name, driver.image.clone())
    }

    /// The names of a driver's PDB; those of the image alone where the PDB is not usable, which is reported.
    fn add_names(&mut self, driver: &Driver) -> Result<(), SessionError> {
        let (name, image, images) = (&driver.name, &driver.image, &mut self.chronicle.story.images);
        let Some((path, pdb)) = &driver.pdb else { return Ok(images.add(name, image, None)?) };
        if let Err(error) = images.add(name, image, Some(pdb)) {
            images.add(name, image, None)?;
            let (path, problem) = (path.display().to_string(), error.to_string());
            let remark = Remark::SymbolsUnusable { path, problem };
            self.chronicle.reports.push(Diagnostic::from(Cause::Remark(remark)));
        }
        Ok(())
    }

    fn map(&mut self, name: &str, image: Image) -> Result<Va, SessionError> {
        let base = self.machine.load_driver(name, image)?;
        if let Some(driver) = self.machine.modules().driver_at(base) {
            self.chronicle.about(name, driver.id);
        }
        self.observe();
        Ok(base)
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
        self.settle()?;
        Ok(request)
    }

    /// Starts an action on a thread of this name, which runs on this processor only. Nothing happens yet.
    pub fn send(
        &mut self,
        name: &str,
        thread: &str,
        processor: Option<usize>,
        action: Action,
    ) -> Result<RequestId, SessionError> {
        self.machine.act_as(name, thread, processor, action).map_err(|trap| self.stopped(trap))
    }

    /// What has become of a request so far.
    pub fn reply(&self, request: RequestId) -> Reply {
        match self.machine.answer_of(request) {
            Some(answer) => Reply::Answered(answer.clone()),
            None => Reply::Outstanding(request),
        }
    }

    /// Waits for an answer, at most `limit_ns` of virtual time.
    pub fn wait(&mut self, request: RequestId, limit_ns: Option<u64>) -> Result<Reply, SessionError> {
        let until = match limit_ns {
            Some(limit) => Until::AnsweredOrTime(request, self.machine.now_ns().saturating_add(limit)),
            None => Until::Answered(request),
        };
        self.run(until)?;
        Ok(self.reply(request))
    }

    /// Lets virtual time pass.
    pub fn pass(&mut self, time_ns: u64) -> Result<(), SessionError> {
        self.run(Until::Time(self.machine.now_ns().saturating_add(time_ns)))
    }

    /// Lets everything happen that is already under way.
    pub fn settle(&mut self) -> Result<(), SessionError> {
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

    /// Runs in parts short enough to take note of everything that happens, and of how much of the driver is in memory.
    pub(crate) fn run(&mut self, until: Until) -> Result<(), SessionError> {
        loop {
            let part = (self.machine.steps() / PARTS).clamp(SHORTEST_PART_STEPS, LONGEST_PART_STEPS);
            let part_end = self.machine.steps().saturating_add(part);
            let end = self.run_part(until, part_end);
            self.observe();
            match end {
                RunEnd::Paused if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
                    return Err(SessionError::TimeUp);
                }
                RunEnd::Paused => {}
                RunEnd::Stopped(stop) => return Err(SessionError::Stopped(stop)),
                RunEnd::Reached | RunEnd::Quiescent | RunEnd::Undecided => return Ok(()),
            }
        }
    }

    /// Runs to the end of a part and answers choices on the way: what is observed does not depend on who answers them.
    fn run_part(&mut self, until: Until, part_end: u64) -> RunEnd {
        loop {
            let end = self.machine.run_part(&mut self.engine, until, part_end);
            let (RunEnd::Undecided, Some(choice)) = (&end, self.machine.choice()) else { return end };
            let deed = self.decide.as_mut().and_then(|decide| decide(choice));
            self.machine.answer_choice(deed);
        }
    }

    fn observe(&mut self) {
        let residency = self.driver_base().map(|base| Residency::of(&self.machine, base));
        self.chronicle.observe(&self.machine, residency.as_ref());
    }

    /// Where the driver lies that the run is about.
    fn driver_base(&self) -> Option<Va> {
        let image = self.chronicle.driver()?;
        self.machine.modules().drivers().find(|driver| driver.id == image).map(|driver| driver.base)
    }

    /// Where the schedule stopped to fit the driver, if it did; in a run that is over also what it never came to.
    pub fn parted(&self) -> Option<Diagnostic> {
        let parted = self.machine.parting().map(|at| Remark::SchedulePartedAt { choice: at.index, step: at.step });
        let (choice, step) = (self.machine.unreached(), self.machine.steps());
        let parted = parted.or(choice.map(|choice| Remark::ScheduleUnreached { choice, step }))?;
        Some(Diagnostic::from(Cause::Remark(parted)))
    }

    /// The report of an assertion that does not hold now.
    pub fn refuted(&mut self, refutation: Refutation) -> Diagnostic {
        let here = self.machine.here();
        let place = self.machine.place(here);
        let report = self.chronicle.story.at(&self.machine, &place, Diagnostic::from(refutation));
        // It is about the answers so far, and not about what the processor does now.
        Diagnostic { at: None, context: None, ..report }
    }

    fn stopped(&mut self, trap: Trap) -> SessionError {
        SessionError::Stopped(self.machine.trap_to_stop(trap))
    }
}

fn place_of_card(memory: &MemoryConfig) -> pci::Place {
    // There is no frame 0.
    let ram_end = (u64::from(memory.frames) + 1) << PAGE_SHIFT;
    let memory = ram_end.max(CARD_MEMORY).next_multiple_of(pci::MEMORY_BYTES);
    pci::Place { slot: CARD_SLOT, ports: (COM1.0, PORT_COUNT), memory, line: COM1.1 as u8 }
}

/// Parts of a run so far, at least: several for each column of the graph of resident pages.
const PARTS: u64 = 128;
/// Steps of a part of a run, at least.
const SHORTEST_PART_STEPS: u64 = 64;
/// Steps of a part of a run, at most: far fewer than the events that a log holds.
const LONGEST_PART_STEPS: u64 = 100_000;
/// Virtual time in which everything under way comes to rest, unless it waits for a device or a timer.
pub(crate) const SHORT_NS: u64 = 1_000_000;
