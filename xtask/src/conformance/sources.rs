//! The tests of all crates, and the numbers they bear.
//!
//! The sources are read line by line, since tests inside `proptest!` and the like are no syntax to a parser. Formatting
//! makes that reliable: an attribute, a line of a comment and the head of a function each have a line of their own.

use std::path::Path;

use anyhow::{Context, Result};

use super::Bearer;
use super::number::{Number, in_comment, in_name};
use crate::sources::{entries, function_name, place, sources};

/// All tests that bear a number, by the names of their files.
pub(crate) fn collect(root: &Path) -> Result<Vec<Bearer>> {
    let mut bearers = Vec::new();
    for package in entries(&root.join("crates"))?.into_iter().chain([root.join("xtask")]) {
        let name = package.file_name().and_then(|name| name.to_str()).context("a folder without a name")?.to_owned();
        for folder in ["src", "tests"].map(|folder| package.join(folder)) {
            for file in sources(&folder)? {
                let text = std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
                let place = place(&name, file.strip_prefix(&folder)?);
                bearers.extend(numbered_tests(&text).map(|(test, numbers)| Bearer {
                    name: format!("{place}::{test}"),
                    numbers,
                    driver: None,
                }));
            }
        }
    }
    Ok(bearers)
}

fn numbered_tests(text: &str) -> impl Iterator<Item = (&str, Vec<Number>)> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let tests = lines.clone().into_iter().enumerate().filter(|(_, line)| *line == "#[test]");
    tests.filter_map(move |(index, _)| {
        let name = lines[index..].iter().find_map(|line| function_name(line))?;
        let above = lines[..index].iter().rev().take_while(|line| line.starts_with("///") || line.starts_with("#["));
        let first = above.filter_map(|line| line.strip_prefix("/// ")).last();
        let mut numbers = in_name(name);
        numbers.extend(first.map(in_comment).unwrap_or_default());
        numbers.sort_unstable();
        numbers.dedup();
        (!numbers.is_empty()).then_some((name, numbers))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "\
/// R15: each lock adds one.
/// D20: not the first line.
#[test]
#[cfg(loom)]
fn d21_first_lock() {}

/// R1: no test.
fn helper() {}

proptest! {
    #[test]
    fn r43d_small(pages in 0..3) {}
}

/// What it does.
#[test]
fn plain() {}
";

    #[test]
    fn numbers_stand_in_names_and_first_lines_of_comments() {
        let found = numbered_tests(SOURCE);
        let found: Vec<String> = found
            .map(|(name, numbers)| {
                format!("{name} {}", numbers.iter().map(Number::to_string).collect::<Vec<_>>().join(" "))
            })
            .collect();
        assert_eq!(found, ["d21_first_lock R15 D21", "r43d_small R43"]);
    }
}
