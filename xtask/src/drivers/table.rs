//! `drivers/drivers.toml`: which images there are and what each is made of.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// Section name, as it stands in the image, to the functions and variables that must lie in it.
pub(crate) type Placement = BTreeMap<String, Vec<String>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    driver: Vec<Driver>,
}

/// One row: an image, or a family of images from the same sources.
#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Driver {
    output: String,
    sources: Vec<String>,
    #[serde(default)]
    defines: Vec<String>,
    /// Further options of the compiler.
    #[serde(default)]
    compile: Vec<String>,
    #[serde(default)]
    link: Vec<String>,
    #[serde(default)]
    place: Placement,
    /// Also build `-a80`: section and file alignment of 128 bytes, as many real drivers have.
    sub_page: Option<SubPage>,
    /// Also build `-fixed`, the repaired twin, with `FIXED` defined.
    fixed: Option<Twin>,
    /// How to reach what the image is there to show; for people and for scenario files.
    #[serde(default, rename = "exercise")]
    _exercise: Vec<String>,
}

/// What sections look like that are not aligned to pages.
#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum SubPage {
    /// Whatever lies at their ends shares pages with their neighbours.
    AsIs,
    /// What `place` has in `INIT` and in pageable sections lies between fillers, on pages of the section's own.
    Inner,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Twin {
    #[serde(default)]
    place: Placement,
    /// Options of the linker instead of those of the broken one, where the mistake is among them.
    link: Option<Vec<String>>,
}

/// One image to build.
#[derive(Clone)]
pub(crate) struct Image {
    /// Path below `drivers/`, without extension.
    pub(crate) output: String,
    /// Paths below `drivers/`.
    pub(crate) sources: Vec<String>,
    pub(crate) defines: Vec<String>,
    /// Further options of the compiler.
    pub(crate) compile: Vec<String>,
    /// Further options of the linker.
    pub(crate) link: Vec<String>,
    pub(crate) place: Placement,
    /// Sections that have a page of filler at each end.
    pub(crate) filled: Vec<String>,
}

/// Reads the table and spells out its images.
pub(crate) fn load(path: &Path) -> Result<Vec<Image>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let table: Table = toml::from_str(&text).with_context(|| format!("parsing {}", path.display()))?;
    let images: Vec<Image> = table.driver.iter().flat_map(images).collect();
    for (index, image) in images.iter().enumerate() {
        let twice = images.iter().skip(index + 1).any(|other| other.output == image.output);
        ensure!(!twice, "{}: two images are called {}", path.display(), image.output);
    }
    Ok(images)
}

fn images(driver: &Driver) -> Vec<Image> {
    let mut images = vec![Image {
        output: driver.output.clone(),
        sources: driver.sources.clone(),
        defines: driver.defines.clone(),
        compile: driver.compile.clone(),
        link: driver.link.clone(),
        place: driver.place.clone(),
        filled: Vec::new(),
    }];
    if let Some(twin) = &driver.fixed {
        let mut fixed = images[0].clone();
        fixed.output.push_str("-fixed");
        fixed.defines.push("FIXED".to_owned());
        fixed.place.clone_from(&twin.place);
        fixed.link = twin.link.clone().unwrap_or(fixed.link);
        images.push(fixed);
    }
    if let Some(how) = driver.sub_page {
        images.extend(images.clone().into_iter().map(|image| sub_page(image, how)));
    }
    images
}

fn sub_page(mut image: Image, how: SubPage) -> Image {
    image.output.push_str("-a80");
    if let SubPage::Inner = how {
        let may_leave = |section: &&String| section.starts_with("PAGE") || *section == "INIT";
        image.filled = image.place.keys().filter(may_leave).cloned().collect();
    }
    image.link.extend(["/align:128".to_owned(), "/filealign:128".to_owned()]);
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(row: &str) -> Vec<String> {
        let table: Table = toml::from_str(row).expect("a valid row");
        table.driver.iter().flat_map(images).map(|image| image.output).collect()
    }

    #[test]
    fn one_row_gives_one_image() {
        assert_eq!(outputs("[[driver]]\noutput = 'a/a'\nsources = ['a/a.c']"), ["a/a"]);
    }

    #[test]
    fn twins_and_alignments_multiply() {
        let row = "[[driver]]\noutput = 'a'\nsources = ['a.c']\nsub_page = 'as-is'\nfixed = {}";
        assert_eq!(outputs(row), ["a", "a-fixed", "a-a80", "a-fixed-a80"]);
    }

    #[test]
    fn what_may_leave_is_between_fillers() {
        let row = "[[driver]]\noutput = 'a'\nsources = ['a.c']\nsub_page = 'inner'\n\
            place = { PAGEA = ['F'], INIT = ['DriverEntry'], '.text' = ['G'] }";
        let table: Table = toml::from_str(row).expect("a valid row");
        let filled: Vec<_> = table.driver.iter().flat_map(images).map(|image| image.filled).collect();
        assert_eq!(filled, [vec![], vec!["INIT".to_owned(), "PAGEA".to_owned()]]);
    }

    #[test]
    fn the_twin_has_its_own_placement_define_and_link_options() {
        let row = "[[driver]]\noutput = 'a'\nsources = ['a.c']\nplace = { PAGE = ['F'] }\nlink = ['/x']\n\
                   fixed = { place = { '.text' = ['F'] }, link = [] }";
        let table: Table = toml::from_str(row).expect("a valid row");
        let images = images(&table.driver[0]);
        assert!(images[0].defines.is_empty() && images[0].place.contains_key("PAGE"));
        assert_eq!(images[1].defines, ["FIXED"]);
        assert_eq!(images.iter().map(|image| image.link.len()).collect::<Vec<_>>(), [1, 0]);
        assert!(!images[1].place.contains_key("PAGE") && images[1].place.contains_key(".text"));
    }
}
