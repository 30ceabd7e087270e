//! `nonpaged map`.

use driver_image::pageability::DiscardMode;
use nonpaged::{advice, layout};
use report::cause::Input;
use report::table::Map;
use report::{ExitCode, json};

use super::args::{Discard, MapOptions};
use super::output::Output;
use super::{Outcome, input};

/// Prints the image page by page, and what its layout alone shows.
pub(crate) fn map(options: &MapOptions, output: &Output) -> Outcome {
    let driver = input::driver(&options.driver)?;
    let map = Map::new(&driver.name, &driver.image, options.discard.into());
    let mut reports = layout::findings(&driver.name, &driver.image);
    let profile = input::profile(&driver, &options.log)?;
    let advice = options.advise.then(|| advice::advise(&driver, profile.as_ref())).transpose().map_err(|error| {
        let path = options.driver.display().to_string();
        input::refuse(Input::NotLoadable { path, reason: error.to_string() })
    })?;
    let (advice, incomplete) = advice.unzip();
    reports.extend(incomplete.flatten());
    if options.json {
        output.result(&json::map(&map, &reports, advice.as_ref()))?;
    } else {
        output.result(&map.text())?;
        output.result(&advice.map_or_else(String::new, |advice| advice.text()))?;
        output.reports(&reports);
    }
    Ok(ExitCode::of(&reports))
}

impl From<Discard> for DiscardMode {
    fn from(discard: Discard) -> DiscardMode {
        match discard {
            Discard::Documented => DiscardMode::Documented,
            Discard::Tail => DiscardMode::Tail,
        }
    }
}
