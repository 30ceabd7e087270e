//! What `docs/audit-limits.md` lists, in three tables.

use std::collections::BTreeSet;

use crate::run::root;

/// The tables, by the headings above them.
const GAPS: &str = "## Broken drivers that only a run shows";
const NOT_LOOKED_FOR: &str = "## Bug checks that the audit does not look for";
const POSSIBLE: &str = "## Good drivers at `--level possible`";

/// What the page says.
pub(crate) struct Limits {
    /// Driver and code.
    pub(crate) gaps: BTreeSet<String>,
    /// Codes of bug checks.
    pub(crate) not_looked_for: BTreeSet<String>,
    /// Driver and code.
    pub(crate) possible: BTreeSet<String>,
}

impl Limits {
    pub(crate) fn read() -> Limits {
        let page = std::fs::read_to_string(root().join("docs/audit-limits.md")).expect("the page is there");
        let of_drivers = |heading| {
            let rows = rows(&page, heading);
            let pairs = rows.iter().flat_map(|row| {
                let codes = row[1].split(", ");
                codes.map(|code| format!("{} {code}", row[0].trim_matches('`')))
            });
            pairs.collect()
        };
        let not_looked_for = rows(&page, NOT_LOOKED_FOR).into_iter().map(|row| row[0].clone()).collect();
        Limits { gaps: of_drivers(GAPS), not_looked_for, possible: of_drivers(POSSIBLE) }
    }
}

/// The rows of the table below a heading.
fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, below) = page.split_once(&format!("{heading}\n")).unwrap_or_else(|| panic!("no heading {heading}"));
    let section = below.split("\n## ").next().unwrap_or_default();
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
    section.lines().filter(|line| line.starts_with("| ")).skip(1).map(cells).collect()
}
