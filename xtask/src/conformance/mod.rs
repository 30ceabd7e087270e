//! `cargo xtask conformance [--check]`: what the behaviour specification asks for, and the tests that bear its numbers.
//!
//! `docs/requirements.toml` has a line for each number; tests and cases of `tests/ui` say which numbers they bear
//! (CONTRIBUTING.md, "Numbers"); `docs/conformance.md` joins the two.

mod cases;
mod number;
mod requirements;
mod sources;
mod table;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};

use number::Number;
use requirements::Requirements;

const DATA: &str = "docs/requirements.toml";
const TABLE: &str = "docs/conformance.md";

/// A test or a case of `tests/ui`.
#[derive(Debug, PartialEq)]
pub(crate) struct Bearer {
    /// Path of the test in its crate, or `ui: ` and the path of the case.
    pub(crate) name: String,
    pub(crate) numbers: Vec<Number>,
    /// The sample driver of a case.
    pub(crate) driver: Option<String>,
}

/// What bears each number.
pub(crate) type Bearers<'a> = BTreeMap<Number, Vec<&'a Bearer>>;

/// Writes the table or, with `check`, fails if it is out of date or a number lacks a test.
pub(crate) fn run(root: &Path, check: bool) -> Result<()> {
    let read = |name: &str| std::fs::read_to_string(root.join(name)).with_context(|| format!("reading {name}"));
    let requirements = Requirements::parse(&read(DATA)?).with_context(|| format!("parsing {DATA}"))?;
    let mut all = sources::collect(root)?;
    all.extend(cases::collect(root)?);
    let bearers = by_number(&all);
    let mut problems = problems(&requirements, &bearers);
    let text = table::draw(&requirements, &bearers);
    if !check {
        std::fs::write(root.join(TABLE), text).with_context(|| format!("writing {TABLE}"))?;
    } else if read(TABLE).unwrap_or_default() != text {
        problems.push(format!("{TABLE} is out of date: run `cargo xtask conformance`"));
    }
    println!("conformance: {} numbers, {} tests and cases that bear one", requirements.len(), all.len());
    match &problems[..] {
        [] => Ok(()),
        problems => bail!("{} problems:\n  {}", problems.len(), problems.join("\n  ")),
    }
}

fn by_number(all: &[Bearer]) -> Bearers<'_> {
    let mut bearers = Bearers::new();
    for bearer in all {
        bearer.numbers.iter().for_each(|number| bearers.entry(*number).or_default().push(bearer));
    }
    bearers
}

/// Numbers without a test, tests of numbers that do not exist, reasons that no longer hold.
fn problems(requirements: &Requirements, bearers: &Bearers<'_>) -> Vec<String> {
    let untested = requirements
        .numbers()
        .filter(|number| !bearers.contains_key(number) && requirements.reason(*number).is_none())
        .map(|number| format!("{number} has no test: {}", requirements.line(number).unwrap_or_default()));
    let unknown = bearers
        .iter()
        .filter(|(number, _)| requirements.line(**number).is_none())
        .map(|(number, bearers)| format!("{number} does not exist, but {} bears it", bearers[0].name));
    let tested =
        bearers.iter().filter(|(number, _)| requirements.reason(**number).is_some()).map(|(number, bearers)| {
            format!("{number} has a reason for no test in {DATA}, but {} bears it", bearers[0].name)
        });
    untested.chain(unknown).chain(tested).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: &str = "[requirements]\nR1 = \"one\"\nR2 = \"two\"\n[untestable]\nR2 = \"because\"\n";

    fn found(numbers: &[&str]) -> Vec<String> {
        let requirements = Requirements::parse(DATA).expect("it is right");
        let numbers = numbers.iter().map(|number| number.parse().expect("a number")).collect();
        let all = [Bearer { name: "c::t".into(), numbers, driver: None }];
        problems(&requirements, &by_number(&all))
    }

    #[test]
    fn gaps_unknown_numbers_and_stale_reasons_are_named() {
        assert!(found(&["R1"]).is_empty());
        assert_eq!(found(&[]), ["R1 has no test: one"]);
        assert_eq!(found(&["R1", "D7"]), ["D7 does not exist, but c::t bears it"]);
        assert_eq!(found(&["R1", "R2"]), ["R2 has a reason for no test in docs/requirements.toml, but c::t bears it"]);
    }
}
