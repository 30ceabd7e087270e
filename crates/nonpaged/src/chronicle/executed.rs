//! The code that ran, at the end of the log: one line for each image. `nonpaged map --advise --log` reads it.

use std::io::{self, Write};

use driver_image::Image;
use kernel::{Executed, Machine};
use nt_types::{Rva, Va};
use serde::{Deserialize, Serialize};

use crate::driver::sha256;
use crate::locate::Locator;
use crate::story::Images;

/// The word in `what` of such a line.
pub(crate) const EXECUTED: &str = "executed";

/// The code of an image that ran.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct ExecutedLine {
    /// Instructions retired in the run.
    pub(crate) step: u64,
    /// [`EXECUTED`].
    pub(crate) what: String,
    /// File name of the image.
    pub(crate) image: String,
    /// SHA-256 of its file.
    pub(crate) sha256: String,
    /// Step at which DriverEntry and Reinitialize routines had returned; left out where that did not happen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) initialized: Option<u64>,
    /// What ran, by address.
    pub(crate) code: Vec<Stretch>,
}

/// Instructions one after the other that ran equally often, at an IRQL that was at most the same.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub(crate) struct Stretch {
    /// Bytes from the image base to the first.
    pub(crate) rva: u32,
    /// Their bytes.
    pub(crate) bytes: u32,
    /// How often they ran.
    pub(crate) times: u64,
    /// Instructions retired before the first of them ran for the first time.
    pub(crate) first_step: u64,
    /// The same for the last time of any of them.
    pub(crate) last_step: u64,
    /// Highest IRQL at which they ran.
    pub(crate) irql: u8,
}

/// Writes a line for each image that was loaded at any time, in the order in which they left, then by address.
pub(super) fn write(out: &mut dyn Write, machine: &Machine, images: &Images) -> io::Result<()> {
    let modules = machine.modules();
    let gone = modules.unloaded().iter().map(|driver| (&driver.name, &driver.image, driver.base, driver.size));
    let there = modules.drivers().map(|driver| (&driver.name, &driver.image, driver.base, driver.size));
    for (name, image, base, size) in gone.chain(there) {
        let Some(locator) = images.locator(name) else { continue };
        serde_json::to_writer(&mut *out, &line(machine, locator, (name, image), base, size))?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn line(machine: &Machine, locator: &Locator, (name, image): (&str, &Image), base: Va, size: u64) -> ExecutedLine {
    let mut code: Vec<Stretch> = Vec::new();
    for (address, executed) in machine.executed(base, size) {
        let rva = Rva((address - base) as u32);
        let one = stretch(rva, locator.length(rva), &executed);
        match code.last_mut() {
            Some(last) if last.goes_on_with(&one) => last.add(&one),
            _ => code.push(one),
        }
    }
    let (step, initialized) = (machine.steps(), machine.initialized_at(base));
    let (what, image, sha256) = (EXECUTED.to_owned(), name.to_owned(), sha256(image.file()));
    ExecutedLine { step, what, image, sha256, initialized, code }
}

fn stretch(rva: Rva, bytes: u32, executed: &Executed) -> Stretch {
    let Executed { times, first_step, last_step, highest_irql } = *executed;
    Stretch { rva: rva.0, bytes, times, first_step, last_step, irql: highest_irql.level() }
}

impl Stretch {
    fn goes_on_with(&self, next: &Stretch) -> bool {
        self.rva + self.bytes == next.rva && (self.times, self.irql) == (next.times, next.irql)
    }

    fn add(&mut self, next: &Stretch) {
        self.bytes += next.bytes;
        self.first_step = self.first_step.min(next.first_step);
        self.last_step = self.last_step.max(next.last_step);
    }
}
