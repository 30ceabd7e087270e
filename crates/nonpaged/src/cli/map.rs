//! `nonpaged map`.

use driver_image::pageability::DiscardMode;
use nonpaged::{Driver, layout};
use report::table::Map;
use report::{ExitCode, json};

use super::args::{Discard, MapOptions};
use super::output::Output;
use super::{Outcome, input};

/// Prints the image page by page, and what its layout alone shows.
pub(crate) fn map(options: &MapOptions, output: &Output) -> Outcome {
    let Driver { name, image, .. } = input::driver(&options.driver)?;
    let map = Map::new(&name, &image, options.discard.into());
    let findings = layout::findings(&name, &image);
    if options.json {
        output.result(&json::map(&map, &findings))?;
    } else {
        output.result(&map.text())?;
        output.reports(&findings);
    }
    Ok(ExitCode::of(&findings))
}

impl From<Discard> for DiscardMode {
    fn from(discard: Discard) -> DiscardMode {
        match discard {
            Discard::Documented => DiscardMode::Documented,
            Discard::Tail => DiscardMode::Tail,
        }
    }
}
