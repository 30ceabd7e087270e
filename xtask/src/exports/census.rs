//! The names that published drivers import from the kernel, those that most drivers import first.

use std::path::Path;

use anyhow::{Context, Result};

const DATA: &str = "docs/imports.csv";

/// A name that drivers import.
#[derive(Debug, PartialEq)]
pub(super) struct Import {
    pub(super) image: String,
    pub(super) name: String,
    /// How many drivers do.
    pub(super) drivers: u32,
}

pub(super) fn read(root: &Path) -> Result<Vec<Import>> {
    let text = std::fs::read_to_string(root.join(DATA)).with_context(|| format!("reading {DATA}"))?;
    parse(&text).with_context(|| format!("parsing {DATA}"))
}

fn parse(text: &str) -> Result<Vec<Import>> {
    text.lines().skip(1).map(|line| import(line).with_context(|| format!("`{line}`"))).collect()
}

fn import(line: &str) -> Option<Import> {
    let mut fields = line.split(',');
    let (image, name) = (fields.next()?.to_owned(), fields.next()?.to_owned());
    Some(Import { image, name, drivers: fields.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::{Import, parse};

    #[test]
    fn lines_are_imports() {
        let expected = Import { image: "hal.dll".into(), name: "HalX".into(), drivers: 7 };
        assert_eq!(parse("image,name,drivers\nhal.dll,HalX,7\n").expect("it is right"), [expected]);
        assert!(parse("image,name,drivers\nhal.dll,HalX,\n").is_err());
    }
}
