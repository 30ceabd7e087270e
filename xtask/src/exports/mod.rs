//! `cargo xtask exports [--check]`: what the modelled kernel exports, and the tests of it.
//!
//! The rows come from the export tables of the `kernel` crate, what a routine refuses from its calls of `refuse`, what is
//! absent from `docs/imports.csv`, the names that published drivers import. A test names an export by its name in quotation
//! marks; `docs/exports.md` joins them.

mod census;
mod kernel;
mod naming;
mod table;

use std::path::Path;

use anyhow::{Context, Result, bail};

use kernel::Export;

const TABLE: &str = "docs/exports.md";

/// Writes the table or, with `check`, fails if it is out of date or an export lacks a test.
pub(crate) fn run(root: &Path, check: bool) -> Result<()> {
    let census = census::read(root)?;
    let exports = kernel::read(root)?;
    let tests = naming::by_export(root, &exports)?;
    let untested: Vec<&Export> = exports.iter().filter(|export| !tests.contains_key(export.name.as_str())).collect();
    let text = table::draw(&census, &exports, &tests);
    let path = root.join(TABLE);
    if !check {
        std::fs::write(&path, text).with_context(|| format!("writing {TABLE}"))?;
    } else if std::fs::read_to_string(&path).unwrap_or_default() != text {
        bail!("{TABLE} is out of date: run `cargo xtask exports`");
    }
    println!("exports: {} are modelled, {} of them have no test", exports.len(), untested.len());
    if check && !untested.is_empty() {
        let names: Vec<&str> = untested.iter().map(|export| export.name.as_str()).collect();
        bail!("exports without a test: {}", names.join(", "));
    }
    Ok(())
}
