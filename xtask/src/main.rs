//! Project chores: `cargo xtask conformance`, `cargo xtask drivers`, `cargo xtask exports`, `cargo xtask findings`,
//! `cargo xtask layers`, `cargo xtask layouts`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a chore tells its progress on the terminal")]

mod conformance;
mod drivers;
mod exports;
mod findings;
mod layers;
mod layouts;
mod sources;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use clap::Parser;

#[derive(Parser)]
#[command(about = "Project chores")]
enum Chore {
    /// Generate docs/conformance.md: each number of the specification, its tests and drivers
    Conformance {
        /// Fail where the file is out of date or a number has no test; change nothing
        #[arg(long)]
        check: bool,
    },
    /// Build the sample drivers of drivers/drivers.toml with clang
    Drivers(drivers::Arguments),
    /// Generate docs/exports.md: each export of the kernel, what it refuses, and its tests
    Exports {
        /// Fail where the file is out of date or an export has no test; change nothing
        #[arg(long)]
        check: bool,
    },
    /// Generate docs/findings.md: each finding of the audit, a driver that has it, and what runs report
    Findings {
        /// Fail where the file is out of date or a sample does not show its finding; change nothing
        #[arg(long)]
        check: bool,
    },
    /// Check the dependencies between crates against layers.toml
    Layers,
    /// Generate the structure layouts of nt_types with clang
    Layouts {
        /// Compare with the committed files and change nothing
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    match run(Chore::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> Result<()> {
    let root = project_root()?;
    match chore {
        Chore::Conformance { check } => conformance::run(&root, check),
        Chore::Drivers(arguments) => drivers::run(&root, &arguments),
        Chore::Exports { check } => exports::run(&root, check),
        Chore::Findings { check } => findings::run(&root, check),
        Chore::Layers => layers::run(&root),
        Chore::Layouts { check } => layouts::run(check).map_err(|error| anyhow!("{error}")),
    }
}

/// Asks cargo at run time: a checkout may be moved, and two may share a target folder.
fn project_root() -> Result<PathBuf> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").context("start me as `cargo xtask`")?;
    let root = Path::new(&package).parent().context("xtask has no parent folder")?;
    Ok(root.to_path_buf())
}
