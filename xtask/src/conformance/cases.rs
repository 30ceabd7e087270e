//! The cases of `tests/ui`, and the numbers they bear: those of their names, those that `shows` lists, and the finding
//! that a failing case expects.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Bearer;
use super::number::{Number, in_name};
use crate::sources::entries;

#[derive(Deserialize)]
struct File {
    test: Test,
}

#[derive(Deserialize)]
struct Test {
    driver: String,
    #[serde(default)]
    shows: Vec<String>,
    #[serde(default)]
    expect_error: String,
}

/// All cases that bear a number, in the order of their paths.
pub(crate) fn collect(root: &Path) -> Result<Vec<Bearer>> {
    let folder = root.join("tests/ui");
    let mut bearers = Vec::new();
    for outcome in ["fail", "pass"] {
        for area in entries(&folder.join(outcome))? {
            for file in entries(&area)?.iter().filter(|file| file.extension().is_some_and(|end| end == "toml")) {
                let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
                let name = file.strip_prefix(&folder)?.with_extension("");
                let name = name.iter().filter_map(|part| part.to_str()).collect::<Vec<_>>().join("/");
                bearers.push(bearer(&name, &text).with_context(|| format!("parsing {}", file.display()))?);
            }
        }
    }
    bearers.retain(|bearer| !bearer.numbers.is_empty());
    Ok(bearers)
}

fn bearer(name: &str, text: &str) -> Result<Bearer> {
    let test = toml::from_str::<File>(text)?.test;
    let mut numbers = in_name(name.rsplit('/').next().unwrap_or_default());
    let code = test.expect_error.split(' ').next().unwrap_or_default();
    numbers.extend(code.starts_with('K').then(|| code.parse::<Number>()).transpose()?);
    numbers.extend(test.shows.iter().map(|number| number.parse()).collect::<Result<Vec<Number>>>()?);
    numbers.sort_unstable();
    numbers.dedup();
    let driver = Path::new(&test.driver).file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
    Ok(Bearer { name: format!("ui: {name}"), numbers, driver })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_in_names_in_shows_and_in_what_is_expected() {
        let text = "[test]\ndriver = \"drivers/broken/x05.sys\"\nshows = [\"D47\"]\nexpect_error = \"K13 read\"\n";
        let found = bearer("fail/broken/x05-dpc-never", text).expect("it is right");
        let numbers: Vec<String> = found.numbers.iter().map(Number::to_string).collect();
        assert_eq!(numbers, ["D47", "K13", "X05"]);
        assert_eq!((found.name.as_str(), found.driver.as_deref()), ("ui: fail/broken/x05-dpc-never", Some("x05")));
        assert!(bearer("a", "[test]\ndriver = \"a.sys\"\nshows = [\"14\"]\n").is_err());
    }
}
