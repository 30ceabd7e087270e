//! The text of `docs/conformance.md`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::number::{Family, Number};
use super::requirements::Requirements;
use super::{Bearer, Bearers};

const HEAD: &str = "\
# Conformance

What the behaviour specification asks for, the tests that bear each number, and the sample drivers that show it. Generated
by `cargo xtask conformance` from `requirements.toml` and the tests; CONTRIBUTING.md says how a test bears a number.
";

pub(crate) fn draw(requirements: &Requirements, bearers: &Bearers<'_>) -> String {
    let mut text = HEAD.to_owned();
    for (family, _, name) in Family::ALL {
        let title = name[..1].to_uppercase() + &name[1..];
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n## {title}\n\n| | what it says | tests | drivers |\n|---|---|---|---|");
        for number in requirements.numbers().filter(|number| number.family == family) {
            let _ = writeln!(text, "{}", row(requirements, number, bearers.get(&number).map_or(&[], Vec::as_slice)));
        }
    }
    text
}

fn row(requirements: &Requirements, number: Number, bearers: &[&Bearer]) -> String {
    let line = requirements.line(number).unwrap_or_default();
    let tests = match requirements.reason(number) {
        Some(reason) => format!("none: {reason}"),
        None => bearers.iter().map(|bearer| format!("`{}`", bearer.name)).collect::<Vec<_>>().join("<br>"),
    };
    let drivers: BTreeSet<&str> = bearers.iter().filter_map(|bearer| bearer.driver.as_deref()).collect();
    let drivers = drivers.into_iter().collect::<Vec<_>>().join(", ");
    format!("| {number} | {} | {tests} | {drivers} |", line.replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_line_tests_and_drivers() {
        let data = "[requirements]\nR14 = \"a handle\"\nR76 = \"others\"\n[untestable]\nR76 = \"not ours\"\n";
        let requirements = Requirements::parse(data).expect("it is right");
        let numbers: Vec<Number> = requirements.numbers().collect();
        let test = Bearer { name: "c::t".into(), numbers: vec![numbers[0]], driver: None };
        let case = Bearer { name: "ui: pass/a/b".into(), numbers: vec![numbers[0]], driver: Some("serial".into()) };
        let drawn = row(&requirements, numbers[0], &[&test, &case]);
        assert_eq!(drawn, "| R14 | a handle | `c::t`<br>`ui: pass/a/b` | serial |");
        assert_eq!(row(&requirements, numbers[1], &[]), "| R76 | others | none: not ours |  |");
    }
}
