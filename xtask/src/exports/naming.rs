//! The tests of the kernel, by the exports that they name: `"KeSetEvent"`, in quotation marks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};

use super::kernel::Export;
use crate::sources::{function_name, place, sources};

const FOLDER: &str = "crates/kernel/tests";

/// The first test, or helper of tests, that names each export, by where it is.
pub(super) fn by_export(root: &Path, exports: &[Export]) -> Result<BTreeMap<String, String>> {
    let names: BTreeSet<&str> = exports.iter().map(|export| export.name.as_str()).collect();
    let folder = root.join(FOLDER);
    let mut tests = BTreeMap::new();
    for file in sources(&folder)? {
        let text = std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        let module = place("kernel", file.strip_prefix(&folder)?);
        for (function, name) in named(&text).into_iter().filter(|(_, name)| names.contains(name)) {
            tests.entry(name.to_owned()).or_insert_with(|| format!("{module}::{function}"));
        }
    }
    Ok(tests)
}

/// Each word in quotation marks, with the function it stands in.
fn named(text: &str) -> Vec<(&str, &str)> {
    let mut function = "";
    let mut found = Vec::new();
    for line in text.lines() {
        let head = line.trim().trim_start_matches("pub(crate) ");
        function = function_name(head).unwrap_or(function);
        found.extend(line.split('"').skip(1).step_by(2).map(|word| (function, word)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn words_in_quotation_marks_belong_to_their_function() {
        let text = "#[test]\nfn a() {\n    ask(\"KeX\", &[]);\n}\npub(crate) fn b(c: u8) { ask(\"KeY\"); }\n";
        assert_eq!(named(text), [("a", "KeX"), ("b", "KeY")]);
    }
}
