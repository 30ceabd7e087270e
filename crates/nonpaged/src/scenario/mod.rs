//! What to do with a driver, step by step.
//!
//! A scenario is a TOML file. Each step names one verb; most verbs take a table of arguments:
//!
//! ```toml
//! name = "close_then_read"
//!
//! [[steps]]
//! open = { device = '\Device\Serial0', handle = "port" }
//! expect = { locks = { PAGESER = 1 } }
//!
//! [[steps]]
//! read = { handle = "port", bytes = 16 }
//! thread = "reader"
//! request = "r1"              # a request with a name is not waited for
//! expect = { pending = true }
//!
//! [[steps]]
//! close = { handle = "port" }
//!
//! [[steps]]
//! receive = { text = "late" } # arrives on the serial line
//! ```

mod device;
mod error;
mod expect;
mod file;
mod play;
mod player;
mod script;
mod values;
mod wmi;

use std::collections::BTreeMap;

use devices::{FlowControl, SerialLine};
use nt_types::{Irql, NtStatus};
use serde::Deserialize;

pub use device::{DeviceName, PnpRequest};
pub use error::ScenarioError;
pub use play::{PlayError, play};
pub use player::{Demand, Player};
pub use script::Refutation;
pub(crate) use script::{Ask, Call, Given, Look, Stage, Test, request_name};

/// The handle that `open` makes, and that requests go to, where the step names none.
pub const DEFAULT_HANDLE: &str = "file";
/// The thread that a step runs in where it names none.
pub const DEFAULT_THREAD: &str = "main";
/// Largest buffer of a request, in bytes.
pub const MAX_BYTES: u32 = 16 << 20;

/// A scenario.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Scenario {
    /// Its name, for reports.
    pub name: Option<String>,
    /// Sections whose residency the summary shows after each step.
    pub watch: Vec<String>,
    /// What the serial port is connected to, where the arguments do not say.
    pub serial_line: SerialEnd,
    /// What the test suite needs to know; a run takes no notice of it.
    pub test: Option<TestCase>,
    /// The steps. Without any, the driver gets the built-in exercise.
    pub steps: Vec<Step>,
}

/// What the serial port of a scenario is connected to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SerialEnd {
    /// Its own input.
    #[default]
    Loopback,
    /// A peer that says what `receive` makes it say, and nothing else.
    Peer,
}

impl SerialEnd {
    /// The cable to it.
    pub fn cable(self) -> SerialLine {
        match self {
            SerialEnd::Loopback => SerialLine::loopback_plug(),
            SerialEnd::Peer => SerialLine::peer(FlowControl::None),
        }
    }
}

/// A case of the test suite in `tests/ui`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TestCase {
    /// The driver, relative to the root of the repository.
    pub driver: String,
    /// `run`, `map`, or `replay` with a token among the arguments.
    pub command: String,
    /// Further arguments; `$LOG` stands for the log of a run of this scenario.
    pub arguments: Vec<String>,
    /// How the first line of the error starts: its code, a blank, and part of its title.
    pub expect_error: Option<String>,
    /// Numbers of requirements that the case shows; `cargo xtask conformance` reads them.
    pub shows: Vec<String>,
}

/// One step.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Step {
    /// Where it stands in the file, from 1.
    pub line: usize,
    /// What to do.
    pub action: Action,
    /// The guest thread that does it.
    pub thread: String,
    /// The processor it runs on, where that matters.
    pub cpu: Option<u32>,
    /// The IRQL that a transfer comes at, as from a driver above.
    pub irql: Irql,
    /// A name for the request. A named request is not waited for; `wait` and `cancel` refer to it.
    pub request: Option<String>,
    /// The next step begins before anything happens: for requests with names, on several processors.
    pub with_next: bool,
    /// What must hold afterwards.
    pub expect: Expect,
}

/// What to do.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// Start the device (PnP); the run does this by itself unless the scenario has a step for it.
    Start,
    /// Stop the device (PnP).
    Stop,
    /// Remove the device (PnP).
    Remove,
    /// Load another driver and call its DriverEntry.
    Load {
        /// The file, beside the driver under test.
        driver: String,
    },
    /// Unload a driver. The run does this by itself at the end for those that are left.
    Unload {
        /// The file name; `None` for the driver under test.
        driver: Option<String>,
    },
    /// Offer a device to a driver: its AddDevice is called.
    Attach {
        /// The file name of the driver; `None` for the driver under test.
        driver: Option<String>,
        /// The device.
        device: DeviceName,
    },
    /// A Plug and Play request to the stack of a device.
    Pnp {
        /// The device.
        device: DeviceName,
        /// What is asked.
        request: PnpRequest,
    },
    /// A request to the WMI provider in the stack of a device.
    Wmi {
        /// The device.
        device: DeviceName,
        /// The GUID of the block.
        block: [u8; 16],
        /// What is asked.
        request: kernel::WmiRequest,
        /// Room for data in the answer, in bytes.
        output_bytes: u32,
    },
    /// Set the power state of a device (IRP_MN_SET_POWER): at `DISPATCH_LEVEL`, unless the device object has
    /// DO_POWER_PAGABLE (R20).
    Power {
        /// The device.
        device: DeviceName,
        /// 0 for D0 to 3 for D3.
        state: u8,
    },
    /// Tell a device that a paging file lies on it from now on (IRP_MN_DEVICE_USAGE_NOTIFICATION). All drivers of its stack
    /// are in the paging path if they accept (R8, R19).
    PagingPath {
        /// The handle.
        handle: String,
        /// If false, the paging file is gone from now on.
        in_path: bool,
    },
    /// Open a device.
    Open {
        /// The device or symbolic link; `None` for the first device the driver made.
        device: Option<String>,
        /// A name for the handle.
        handle: String,
    },
    /// Close a handle: cleanup, then close.
    Close {
        /// The handle.
        handle: String,
    },
    /// Read.
    Read {
        /// The handle.
        handle: String,
        /// Bytes to read.
        bytes: u32,
        /// Offset in the file; `None` for the current one.
        offset: Option<u64>,
    },
    /// Write.
    Write {
        /// The handle.
        handle: String,
        /// Bytes to write.
        data: Vec<u8>,
        /// Offset in the file; `None` for the current one.
        offset: Option<u64>,
    },
    /// A device control request.
    Ioctl {
        /// The handle.
        handle: String,
        /// The control code.
        code: u32,
        /// The input buffer.
        input: Vec<u8>,
        /// Size of the output buffer in bytes.
        output_bytes: u32,
    },
    /// Cancel a request.
    Cancel {
        /// Its name.
        request: String,
    },
    /// Wait until a request is completed.
    Wait {
        /// Its name.
        request: String,
    },
    /// Let virtual time pass.
    WaitMs(u64),
    /// Raise interrupts that the device did not ask for.
    Interrupt {
        /// The vector; `None` for the one the driver connected first.
        vector: Option<u32>,
        /// How many.
        count: u32,
    },
    /// Bytes arrive on the serial line.
    Receive {
        /// The bytes.
        data: Vec<u8>,
    },
    /// Somebody at the other end of the serial line talks to the driver: each byte that can be read is written back.
    Talk {
        /// The handle.
        handle: String,
        /// The byte that ends it.
        until: u8,
        /// Virtual time without a byte that ends it, in milliseconds.
        idle_ms: u64,
    },
    /// Take pages out of memory that may leave.
    Trim {
        /// Of this section only.
        section: Option<String>,
    },
    /// Let the next reads of the paging file fail.
    FailPageIn {
        /// How.
        fault: PageInFault,
        /// So many reads succeed before.
        after: u32,
        /// So many fail.
        count: u32,
    },
    /// Nothing but `expect`.
    Check,
}

/// What goes wrong with a read of the paging file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PageInFault {
    /// It ends with this status.
    Status(NtStatus),
    /// It returns something else than was written.
    Corrupt,
}

/// What must hold after a step. An empty expectation always holds.
#[derive(Clone, PartialEq, Eq, Debug, Default, Hash)]
pub struct Expect {
    /// Final status of the request, or of the open.
    pub status: Option<NtStatus>,
    /// `IoStatus.Information`.
    pub bytes: Option<u64>,
    /// What the request returned.
    pub data: Option<Vec<u8>>,
    /// All that went out on the serial line since this was last asked.
    pub sent: Option<Vec<u8>>,
    /// Is the request still pending?
    pub pending: Option<bool>,
    /// Resident pages by section.
    pub resident: BTreeMap<String, u32>,
    /// Lock counts by section.
    pub locks: BTreeMap<String, u32>,
}

impl Action {
    /// True for what goes to the driver as a request that can have a name.
    fn is_request(&self) -> bool {
        matches!(
            self,
            Action::Open { .. }
                | Action::Close { .. }
                | Action::Read { .. }
                | Action::Write { .. }
                | Action::Ioctl { .. }
        )
    }

    /// The verb of the step.
    pub fn verb(&self) -> &'static str {
        match self {
            Action::Start => "start",
            Action::Stop => "stop",
            Action::Remove => "remove",
            Action::Load { .. } => "load",
            Action::Unload { .. } => "unload",
            Action::Attach { .. } => "attach",
            Action::Pnp { request, .. } => request.name(),
            Action::Wmi { .. } => "wmi",
            Action::Power { .. } => "power",
            Action::PagingPath { .. } => "paging_path",
            Action::Open { .. } => "open",
            Action::Close { .. } => "close",
            Action::Read { .. } => "read",
            Action::Write { .. } => "write",
            Action::Ioctl { .. } => "ioctl",
            Action::Cancel { .. } => "cancel",
            Action::Wait { .. } => "wait",
            Action::WaitMs(_) => "wait_ms",
            Action::Interrupt { .. } => "interrupt",
            Action::Receive { .. } => "receive",
            Action::Talk { .. } => "talk",
            Action::Trim { .. } => "trim",
            Action::FailPageIn { .. } => "fail_page_in",
            Action::Check => "check",
        }
    }

    /// What a request is called: the verb, and the control code that tells device controls apart.
    pub fn title(&self) -> String {
        match self {
            Action::Ioctl { code, .. } => format!("ioctl {code:#x}"),
            _ => self.verb().to_owned(),
        }
    }
}

impl Scenario {
    /// Parses the text of a scenario file.
    pub fn parse(text: &str) -> Result<Scenario, ScenarioError> {
        file::parse(text)
    }
}
