//! Processes and threads.

mod lookup;
mod notify;
mod open;
mod process;
mod thread;

use nt_types::Va;

use super::Export;
use crate::call::Trap;
use crate::machine::Machine;

pub(crate) use process::{BUILD_NUMBER, MAJOR_VERSION, MINOR_VERSION, known};

/// The tables of this family.
pub(crate) const TABLES: &[&[Export]] =
    &[lookup::EXPORTS, notify::EXPORTS, open::EXPORTS, process::EXPORTS, thread::EXPORTS];

/// What this family remembers.
#[derive(Clone, Default, Hash, Debug)]
pub struct State {
    system_process: Va,
    /// Once somebody asked for it.
    system_token: Va,
    notify_routines: Vec<Va>,
    /// What file systems keep with a thread.
    top_level_irps: std::collections::BTreeMap<crate::thread::ThreadId, Va>,
}

/// Bytes of an EPROCESS: its contents are the kernel's own.
const PROCESS_BYTES: u64 = 0x800;
/// DISPATCHER_HEADER.Type of a process.
const PROCESS_OBJECT: u8 = 3;
/// Where an EPROCESS keeps the name of its image.
const IMAGE_NAME: u64 = 0x5A8;

impl Machine {
    /// Everything runs in the system process.
    pub(crate) fn current_process(&self) -> Va {
        self.ps.system_process
    }

    pub(crate) fn make_system_process(&mut self) -> Result<(), Trap> {
        let Some(process) = self.kernel_object(PROCESS_BYTES, *b"Proc") else { return Err(self.no_pool()) };
        self.initialize_header(process, PROCESS_OBJECT, PROCESS_BYTES, 0)?;
        self.write_bytes(process + IMAGE_NAME, b"System")?;
        self.ps.system_process = process;
        self.set_variable("PsInitialSystemProcess", process)
    }
}
