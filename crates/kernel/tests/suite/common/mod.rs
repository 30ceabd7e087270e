//! What tests of the machine share: programs assembled in the test, and a machine that runs them.

mod program;

pub(crate) use program::{Program, Scope, Tail, Unwind};

use devices::Bus;
use driver_image::Image;
use interpreter::Interpreter;
use kernel::{Action, Answer, Machine, Options, RequestId, RunEnd, Stop, Until};
use memory::{Memory, MemoryConfig};
use nt_types::{Rva, Va};

/// Frames of a test machine: 16 MiB.
const FRAMES: u32 = 4096;

/// Instructions that no test needs more of.
const STEP_LIMIT: u64 = 1_000_000;

/// Instructions before another thread gets its turn.
const QUANTUM_STEPS: u64 = 1_000;

/// A machine with one driver.
pub(crate) struct Guest {
    pub(crate) machine: Machine,
    pub(crate) base: Va,
    engine: Interpreter<Memory>,
}

impl Guest {
    /// Boots a machine and maps the file as `test.sys`. DriverEntry is not called.
    pub(crate) fn load(file: Vec<u8>) -> Guest {
        Guest::load_with(file, Options { step_limit: STEP_LIMIT, quantum_steps: QUANTUM_STEPS, ..Options::default() })
    }

    /// The same with options of the test's own.
    pub(crate) fn load_with(file: Vec<u8>, options: Options) -> Guest {
        let memory = MemoryConfig { frames: FRAMES, ..MemoryConfig::default() };
        let mut machine = Machine::boot(options, memory, Bus::new()).expect("the machine boots");
        let image = Image::parse(file).expect("the image is well formed");
        let base = machine.load_driver("test.sys", image).expect("the image can be loaded");
        Guest { machine, base, engine: Interpreter::default() }
    }

    /// Loads a sample driver: its path below `drivers/`, without extension.
    pub(crate) fn load_sample(path: &str) -> Guest {
        let file = format!("{}/../../drivers/{path}.sys", env!("CARGO_MANIFEST_DIR"));
        Guest::load(std::fs::read(&file).expect("the sample driver is there"))
    }

    /// Address of a place in the driver.
    pub(crate) fn at(&self, rva: Rva) -> Va {
        self.base + rva
    }

    /// A pointer in guest memory.
    pub(crate) fn peek_va(&self, address: Va) -> Va {
        let mut bytes = [0; 8];
        self.machine.memory.peek(address, &mut bytes).expect("something is there");
        Va(u64::from_le_bytes(bytes))
    }

    /// Calls a routine of the driver on a thread of its own.
    pub(crate) fn call(&mut self, routine: Rva, arguments: &[u64]) -> Result<u64, Box<Stop>> {
        let routine = self.at(routine);
        match self.machine.call_routine("test", routine, arguments) {
            Ok(request) => self.finish(request).map(|answer| answer.information),
            Err(trap) => Err(self.machine.trap_to_stop(trap)),
        }
    }

    /// Calls DriverEntry and waits for its status.
    pub(crate) fn initialize(&mut self) -> Result<Answer, Box<Stop>> {
        let request = self.machine.initialize_driver(self.base).expect("the driver object is made");
        self.finish(request)
    }

    /// Opens a device; the file object.
    pub(crate) fn open(&mut self, name: &str) -> Va {
        let answer = self.act(Action::Open { name: name.to_owned() }).expect("the device can be opened");
        Va(answer.information)
    }

    /// Sends a control code.
    pub(crate) fn ioctl(&mut self, file: Va, code: u32, input: &[u8], output_length: u32) -> Result<Answer, Box<Stop>> {
        self.act(Action::Ioctl { file, code, input: input.to_vec(), output_length })
    }

    /// Runs an action to its end.
    pub(crate) fn act(&mut self, action: Action) -> Result<Answer, Box<Stop>> {
        match self.machine.act("test", action) {
            Ok(request) => self.finish(request),
            Err(trap) => Err(self.machine.trap_to_stop(trap)),
        }
    }

    /// Runs until a request has its answer.
    pub(crate) fn finish(&mut self, request: RequestId) -> Result<Answer, Box<Stop>> {
        match self.machine.run(&mut self.engine, Until::Answered(request)) {
            RunEnd::Stopped(stop) => Err(stop),
            RunEnd::Reached => Ok(self.machine.answer_of(request).expect("it was answered").clone()),
            RunEnd::Quiescent => panic!("nothing is left to run, and there is no answer"),
            RunEnd::Paused | RunEnd::Undecided => panic!("a choice that nobody asked for"),
        }
    }

    /// The names of a stack: `+rva` in the driver, the name of a routine in the kernel.
    pub(crate) fn names(&self, stack: &[Va]) -> Vec<String> {
        stack.iter().map(|place| self.name(*place)).collect()
    }

    fn name(&self, place: Va) -> String {
        match self.machine.kernel_images().routine_name(place) {
            Some(name) => name.to_owned(),
            None if self.machine.modules().driver_at(place).is_some() => format!("+{:#x}", place - self.base),
            None => place.to_string(),
        }
    }
}
