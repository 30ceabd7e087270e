//! Drivers under exploration: what is searched, and a search as a test.

mod error;
mod folder;
mod inputs;
mod machine;
mod run;
mod search;
mod verdict;
mod word;

use std::sync::Arc;

use engine::Engine;
use explore::Token;
use interpreter::Interpreter;
use memory::Memory;
use nt_types::Va;
use report::Diagnostic;
use report::cause::{Cause, Remark};

use crate::driver::Driver;
use crate::scenario::{Player, Scenario};
use crate::session::Devices;

pub use self::error::ExploreError;
pub use self::folder::{Folder, Searched, record, search};
pub use self::inputs::Inputs;
pub use self::machine::{Awaited, Handle, Machine, Request, Thread};
pub use self::run::Run;
pub use self::search::{Explore, in_rust};
pub use self::verdict::about;
pub use self::word::{WordError, named, pasted};
pub use explore::{Failure, Kind, Outcome, Proven, Signature, Strategy};
pub use kernel::{Answer, Bound, ChoicePoints, DeedKind};
pub use nt_types::{Irql, NtStatus};

/// What a driver under exploration is put through: the steps of a scenario without their expectations, or the exercise and
/// two programs that use the device at the same time.
pub fn player(base: Va, driver: Arc<Driver>, devices: Devices, scenario: &Scenario) -> Player {
    let player = match scenario.steps.is_empty() {
        true => Player::exercise(base, driver, devices, true),
        false => Player::new(base, driver, devices, scenario),
    };
    player.unchecked()
}

/// An engine for a thread of a search.
pub fn engine() -> Box<dyn Engine<Memory>> {
    Box::new(Interpreter::<Memory>::default())
}

/// The token of the run without deeds; `arguments` make machine and exercise, as words of a command line.
pub fn blank_token(arguments: Vec<String>, driver: &Driver, inputs: &Inputs, points: ChoicePoints) -> Token {
    let (driver, files) = (identity(driver), inputs.checksum());
    Token { arguments, driver, files, points, schedule: Vec::new() }
}

/// Notes on what is read now and is not what the token was made with.
pub fn changed(token: &Token, driver: &Driver, inputs: &Inputs) -> Vec<Diagnostic> {
    let path = driver.path.display().to_string();
    let driver = (identity(driver) != token.driver).then_some(Remark::DriverChanged { path });
    let files = (inputs.checksum() != token.files).then(|| Remark::FilesChanged { paths: inputs.paths() });
    driver.into_iter().chain(files).map(|remark| Diagnostic::from(Cause::Remark(remark))).collect()
}

/// Checksum and length of a driver's file.
fn identity(driver: &Driver) -> (u32, u64) {
    let file = driver.image.file();
    (crc32fast::hash(file), file.len() as u64)
}
