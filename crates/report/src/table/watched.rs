//! Sections that a scenario watches, step by step.

use core::fmt::Write;

/// What the watched sections were like after one step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WatchedStep {
    /// What was done.
    pub name: String,
    /// In the order in which the scenario names them; a driver that is gone has none.
    pub sections: Vec<WatchedSection>,
}

/// One section after one step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WatchedSection {
    /// Its name.
    pub name: String,
    /// Pages it touches.
    pub pages: u32,
    /// Of these, in memory.
    pub resident: u32,
    /// Its lock count.
    pub locks: u32,
}

/// One line a step, one column a section; nothing where nothing is watched.
pub(super) fn table(steps: &[WatchedStep]) -> String {
    let Some(width) = steps.iter().map(|step| step.name.chars().count()).max() else { return String::new() };
    let first = steps.iter().find(|step| !step.sections.is_empty());
    let names = first.into_iter().flat_map(|step| &step.sections).map(|section| section.name.as_str());
    let mut text = line("after", width, names.map(str::to_owned));
    for step in steps {
        text += &line(&step.name, width, step.sections.iter().map(WatchedSection::state));
    }
    text + "\n"
}

/// Width of the column of a section.
const COLUMN: usize = 16;

fn line(name: &str, width: usize, cells: impl Iterator<Item = String>) -> String {
    let mut text = format!("{name:<width$}");
    for cell in cells {
        // Writing to a String cannot fail.
        let _ = write!(text, "  {cell:<COLUMN$}");
    }
    format!("{}\n", text.trim_end())
}

impl WatchedSection {
    fn state(&self) -> String {
        let locked = if self.locks > 0 { format!(", lock {}", self.locks) } else { String::new() };
        format!("{} of {}{locked}", self.resident, self.pages)
    }
}

#[cfg(test)]
mod tests {
    use super::{WatchedSection, WatchedStep, table};

    #[test]
    fn a_line_a_step() {
        let section = |resident, locks| vec![WatchedSection { name: "PAGE".into(), pages: 3, resident, locks }];
        let step = |name: &str, sections| WatchedStep { name: name.to_owned(), sections };
        let steps = [step("open", section(3, 1)), step("close", section(0, 0)), step("unload", Vec::new())];
        assert_eq!(table(&steps), "after   PAGE\nopen    3 of 3, lock 1\nclose   0 of 3\nunload\n\n");
        assert_eq!(table(&[]), "");
    }
}
