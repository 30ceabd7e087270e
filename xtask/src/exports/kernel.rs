//! The export tables of the `kernel` crate: one row a line.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

use crate::sources::sources;

/// Where the tables are.
const TABLES: &str = "crates/kernel/src/exports";

/// A routine or variable that the kernel exports.
#[derive(Debug, PartialEq)]
pub(super) struct Export {
    pub(super) image: &'static str,
    pub(super) name: String,
    /// Its parameters; `None` for a variable.
    pub(super) parameters: Option<String>,
    /// The IRQLs at which it may be called: the highest, or a range.
    pub(super) irql: String,
    /// What it refuses.
    pub(super) refused: Vec<String>,
}

impl Export {
    /// Whether its own code may be out of memory, which is the rule of `kernel::exports::Export::is_pageable`.
    pub(super) fn is_pageable(&self) -> bool {
        matches!(self.irql.rsplit("..=").next(), Some("PASSIVE" | "APC"))
    }
}

/// All exports, by name. The kernel's own dispatch routines (`Iop..`), which only stand in stack traces, are none.
pub(super) fn read(root: &Path) -> Result<Vec<Export>> {
    let mut exports = Vec::new();
    let mut refused: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in sources(&root.join(TABLES))? {
        let text = std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        exports.extend(text.lines().filter_map(|line| routine(line).or_else(|| variable(line))));
        for (name, what) in refusals(&text) {
            refused.entry(name).or_default().push(what);
        }
    }
    exports.retain(|export| !export.name.starts_with("Iop"));
    exports.sort_by(|a, b| a.name.cmp(&b.name));
    for export in &mut exports {
        export.refused = refused.remove(&export.name).unwrap_or_default();
    }
    Ok(exports)
}

fn image(module: &str) -> Option<&'static str> {
    Some(match module {
        "Ntoskrnl" => "ntoskrnl.exe",
        "Hal" => "hal.dll",
        "Wmilib" => "wmilib.sys",
        _ => return None,
    })
}

/// `export!(Ntoskrnl, KeSetEvent(event: Va, increment: i32, wait: bool), DISPATCH),`, or with a second name
/// `export!(Ntoskrnl, NtClose = ZwClose(handle: u64), PASSIVE),`
fn routine(line: &str) -> Option<Export> {
    let row = line.trim().strip_prefix("export!(")?.strip_suffix("),")?;
    let (module, rest) = row.split_once(", ")?;
    let (name, rest) = rest.split_once('(')?;
    let name = name.split_once(" = ").map_or(name, |(name, _)| name);
    let (parameters, irql) = rest.rsplit_once("), ")?;
    let parameters = parameters.trim_end_matches("; ..").to_owned();
    let (name, irql) = (name.trim().to_owned(), irql.to_owned());
    Some(Export { image: image(module)?, name, parameters: Some(parameters), irql, refused: Vec::new() })
}

/// `variable("KeTickCount", &[], 8),`
fn variable(line: &str) -> Option<Export> {
    let line = line.trim();
    let (image, rest) = match line.strip_prefix("variable(\"") {
        Some(rest) => ("ntoskrnl.exe", rest),
        None => ("hal.dll", line.strip_prefix("hal_variable(\"")?),
    };
    let name = rest.split_once('"')?.0.to_owned();
    Some(Export { image, name, parameters: None, irql: String::new(), refused: Vec::new() })
}

/// The calls of `refuse`: the routine, and what of it.
fn refusals(text: &str) -> Vec<(String, String)> {
    let calls = text.split("refuse(").skip(1).filter_map(|call| {
        let mut literals = call.split('"').skip(1).step_by(2);
        let head = call.trim_start();
        let name = literals.next().filter(|_| head.starts_with('"'))?;
        let what = literals.next()?;
        Some((name.to_owned(), what.to_owned()))
    });
    calls.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_exports() {
        let export = routine("    export!(Hal, HalX(a: Va, b: u32; ..), DISPATCH),").expect("a row");
        assert_eq!((export.image, export.name.as_str(), export.irql.as_str()), ("hal.dll", "HalX", "DISPATCH"));
        assert_eq!(export.parameters.as_deref(), Some("a: Va, b: u32"));
        assert!(!export.is_pageable());
        let export = routine("    export!(Ntoskrnl, ExX(a: Va), APC..=APC),").expect("a row");
        assert_eq!((export.irql.as_str(), export.is_pageable()), ("APC..=APC", true));
        let export = routine("    export!(Ntoskrnl, NtX = ZwX(a: Va), PASSIVE),").expect("a row");
        assert_eq!((export.name.as_str(), export.parameters.as_deref()), ("NtX", Some("a: Va")));
        assert!(routine("    let export = 1;").is_none());
        let variable = variable("    variable(\"KeTickCount\", &[], 8),").expect("a row");
        assert_eq!((variable.name.as_str(), variable.parameters), ("KeTickCount", None));
    }

    #[test]
    fn refusals_are_read() {
        let text =
            "return Err(m.refuse(\"HalX\", format!(\"`Type` {kind}\")));\nm.refuse(\n    \"HalY\",\n    \"a list\",\n)";
        let expected = [("HalX", "`Type` {kind}"), ("HalY", "a list")];
        assert_eq!(refusals(text), expected.map(|(name, what)| (name.to_owned(), what.to_owned())));
    }
}
