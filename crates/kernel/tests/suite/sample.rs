//! The committed drivers in a machine: load them, send them requests, see what the machine says of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use devices::{Bus, SerialLine, Uart16550};
use driver_image::Image;
use driver_image::symbols::Symbols;
use interpreter::Interpreter;
use kernel::{
    Action, Answer, ChoicePoints, EventKind, Finding, Machine, Options, RequestId, RunEnd, Stop, StopKind, Until,
    Verifier,
};
use memory::{InitialResidency, Memory, MemoryConfig, TrimPolicy};
use nt_types::{BugCheck, NtStatus, Rva, Va};

/// The control code that broken drivers answer to.
pub(crate) const IOCTL: u32 = 0x22_2000;
/// The interrupt line of the machine's one device.
const LINE: u32 = 7;
/// Longest virtual time that a request may take: 1 s.
const PATIENCE_NS: u64 = 1_000_000_000;

/// How a machine differs from the default.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) trim: TrimPolicy,
    pub(crate) verifier: Verifier,
    pub(crate) processors: usize,
    pub(crate) choices: ChoicePoints,
    /// Steps before the machine looks at the next processor.
    pub(crate) slice_steps: u64,
}

impl Setup {
    /// `[S]` of the samples' table: every page leaves as soon as it may.
    pub(crate) const TRIMMED: Setup = Setup {
        trim: TrimPolicy::AtOnce,
        verifier: Verifier::OFF,
        processors: 1,
        choices: ChoicePoints::NONE,
        slice_steps: 10_000,
    };
    /// `[N]`: the driver is in memory, and no page leaves.
    pub(crate) const NEVER: Setup = Setup { trim: TrimPolicy::Never, ..Setup::TRIMMED };
    /// `[V]`: the verifier with its own trim.
    pub(crate) const VERIFIED: Setup = Setup { trim: TrimPolicy::OnRaise, verifier: Verifier::ON, ..Setup::TRIMMED };
}

/// The file of a sample: its path below `drivers/`, without extension.
pub(crate) fn sample_path(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../drivers/{path}.sys"))
}

/// A machine with sample drivers.
pub(crate) struct Lab {
    pub(crate) machine: Machine,
    pub(crate) engine: Interpreter<Memory>,
    /// Names of the drivers loaded so far, by file name.
    symbols: BTreeMap<String, Symbols>,
}

impl Lab {
    pub(crate) fn new(setup: Setup) -> Lab {
        Lab::paging(setup, true)
    }

    /// With DisablePagingExecutive (R61).
    pub(crate) fn paging_disabled(setup: Setup) -> Lab {
        Lab::paging(setup, false)
    }

    fn paging(setup: Setup, paging_enabled: bool) -> Lab {
        let mut bus = Bus::new();
        Uart16550::install(&mut bus, SerialLine::unconnected(), 0x3F8, LINE).expect("the port is free");
        let initial = match setup.trim {
            TrimPolicy::Never => InitialResidency::Resident,
            _ => InitialResidency::Out,
        };
        let memory =
            MemoryConfig { frames: 8192, trim: setup.trim, initial, paging_enabled, ..MemoryConfig::default() };
        let Setup { verifier, processors, choices, slice_steps, .. } = setup;
        Lab::with(Options { verifier, processors, choices, slice_steps, ..Options::default() }, memory, bus)
    }

    /// A machine of the test's own making.
    pub(crate) fn with(options: Options, memory: MemoryConfig, bus: Bus) -> Lab {
        let machine = Machine::boot(options, memory, bus).expect("the machine boots");
        Lab { machine, engine: Interpreter::default(), symbols: BTreeMap::new() }
    }

    /// Maps `drivers/<path>.sys` and calls DriverEntry.
    pub(crate) fn load(&mut self, path: &str) -> Result<Va, Box<Stop>> {
        let base = self.map(path);
        let request = self.machine.initialize_driver(base).expect("the driver object is made");
        self.finish(request)?;
        self.pass_ms(1)?;
        Ok(base)
    }

    /// Maps `drivers/<path>.sys` for the sake of its exports, or to be initialised later.
    pub(crate) fn map(&mut self, path: &str) -> Va {
        let file = sample_path(path);
        let bytes = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let image = Image::parse(bytes).expect("the image is well formed");
        let name = file.file_name().expect("it has a name").to_string_lossy().into_owned();
        let pdb = std::fs::read(file.with_extension("pdb")).expect("the PDB lies beside the image");
        self.symbols.insert(name.clone(), Symbols::from_pdb(&image, &pdb).expect("the PDB is the image's"));
        self.machine.load_driver(&name, image).expect("the image can be loaded")
    }

    /// Opens the first device of the driver.
    pub(crate) fn open(&mut self, base: Va) -> Result<Va, Box<Stop>> {
        let name = self.name(base);
        let answer = self.act(Action::Open { name })?.expect("the open ends");
        Ok(Va(answer.information))
    }

    /// The name of the first device of the driver.
    pub(crate) fn name(&mut self, base: Va) -> String {
        self.machine.openable_names(base).into_iter().next().expect("the driver has a device")
    }

    pub(crate) fn ioctl(&mut self, file: Va, code: u32, input: u32) -> Result<Option<NtStatus>, Box<Stop>> {
        let action = Action::Ioctl { file, code, input: input.to_le_bytes().to_vec(), output_length: 64 };
        Ok(self.act(action)?.map(|answer| answer.status))
    }

    /// An interrupt that no device asked for, on the first line that is connected.
    pub(crate) fn interrupt(&mut self) -> Result<(), Box<Stop>> {
        let vector = self.machine.connected_interrupts().first().expect("an interrupt is connected").vector;
        self.machine.spurious_interrupt(vector);
        self.pass_ms(1)
    }

    pub(crate) fn close(&mut self, file: Va) -> Result<(), Box<Stop>> {
        self.act(Action::Close { file }).map(drop)
    }

    pub(crate) fn unload(&mut self, base: Va) -> Result<(), Box<Stop>> {
        let request = self.machine.unload_driver(base).expect("the unload begins");
        self.finish(request)?;
        self.pass_ms(20)
    }

    /// Runs an action to its end; `None` where it did not end in time.
    pub(crate) fn act(&mut self, action: Action) -> Result<Option<Answer>, Box<Stop>> {
        let request = self.start(action);
        self.finish(request)
    }

    /// Begins an action.
    pub(crate) fn start(&mut self, action: Action) -> RequestId {
        self.machine.act("test", action).unwrap_or_else(|trap| panic!("{trap:?}"))
    }

    pub(crate) fn finish(&mut self, request: RequestId) -> Result<Option<Answer>, Box<Stop>> {
        self.run(Until::AnsweredOrTime(request, self.machine.now_ns() + PATIENCE_NS))?;
        Ok(self.machine.answer_of(request).cloned())
    }

    pub(crate) fn pass_ms(&mut self, time_ms: u64) -> Result<(), Box<Stop>> {
        self.pass_ns(time_ms * 1_000_000)
    }

    pub(crate) fn pass_ns(&mut self, time_ns: u64) -> Result<(), Box<Stop>> {
        self.run(Until::Time(self.machine.now_ns() + time_ns))
    }

    fn run(&mut self, until: Until) -> Result<(), Box<Stop>> {
        match self.machine.run(&mut self.engine, until) {
            RunEnd::Stopped(stop) => Err(stop),
            RunEnd::Reached | RunEnd::Quiescent => Ok(()),
            RunEnd::Paused | RunEnd::Undecided => panic!("a choice that nobody asked for"),
        }
    }

    /// Lets one slice execute, or a little time pass where there is nothing to do.
    pub(crate) fn slice(&mut self) -> Result<(), Box<Stop>> {
        let steps = self.machine.steps();
        self.run(Until::Time(self.machine.now_ns() + 1))?;
        let idle = self.machine.steps() == steps;
        if idle { self.run(Until::Time(self.machine.now_ns() + 100)) } else { Ok(()) }
    }

    /// The function or variable of a driver at an address, loaded or not any more, as `Name` or `Name+0x10`; empty where
    /// there is none.
    pub(crate) fn symbol(&self, address: Va) -> String {
        let modules = self.machine.modules();
        let loaded = modules.driver_at(address).map(|driver| (&driver.name, driver.base));
        let gone = modules.unloaded_at(address).map(|driver| (&driver.name, driver.base));
        let found = loaded.or(gone).and_then(|(name, base)| {
            let symbol = self.symbols.get(name)?.symbolize(Rva((address - base) as u32))?;
            let offset = if symbol.offset == 0 { String::new() } else { format!("+{:#x}", symbol.offset) };
            Some(format!("{}{offset}", symbol.name))
        });
        found.unwrap_or_default()
    }

    /// What was found so far.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let found = |event: &kernel::Event| match &event.kind {
            EventKind::Found(finding) => Some(finding.clone()),
            _ => None,
        };
        self.machine.events.iter().filter_map(found).collect()
    }

    /// The codes of what was found so far.
    pub(crate) fn codes(&self) -> BTreeSet<&'static str> {
        self.findings().iter().map(|finding| finding.kind.code()).collect()
    }
}

/// The bug check that ended a run.
pub(crate) fn bug_check(stop: &Stop) -> BugCheck {
    match &stop.kind {
        StopKind::BugCheck(check, _) => *check,
        other => panic!("no bug check: {other:?}"),
    }
}
