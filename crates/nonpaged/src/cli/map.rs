//! `nonpaged map`.

use driver_image::pageability::DiscardMode;
use report::table::Map;
use report::{ExitCode, json};

use super::args::{Discard, MapOptions};
use super::output::Output;
use super::{Outcome, image};

/// Prints the image page by page.
pub(crate) fn map(options: &MapOptions, output: &Output) -> Outcome {
    let image = image::load(&options.driver)?;
    let name = options.driver.file_name().unwrap_or_default().to_string_lossy();
    let map = Map::new(&name, &image, options.discard.into());
    output.result(&if options.json { json::map(&map) } else { map.text() })?;
    Ok(ExitCode::Clean)
}

impl From<Discard> for DiscardMode {
    fn from(discard: Discard) -> DiscardMode {
        match discard {
            Discard::Documented => DiscardMode::Documented,
            Discard::Tail => DiscardMode::Tail,
        }
    }
}
