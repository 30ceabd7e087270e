//! `cargo xtask drivers`: builds the images of `drivers/drivers.toml` and puts them beside their sources, where they are
//! committed. With `--check` it compares instead, so that what is committed is what the sources give.

mod placement;
mod table;
mod toolchain;

use std::collections::BTreeSet;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use anyhow::{Context, Result, bail, ensure};

use table::Image;
use toolchain::{Object, Toolchain, objects};

/// What `cargo xtask drivers` is asked to do.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Compare with the committed files and change nothing
    #[arg(long)]
    check: bool,
    /// Only images whose path contains one of these words
    names: Vec<String>,
}

/// Builds, verifies and installs (or compares) every selected image.
pub(crate) fn run(root: &Path, arguments: &Arguments) -> Result<()> {
    let sources = root.join("drivers");
    let images = selected(table::load(&sources.join("drivers.toml"))?, &arguments.names)?;
    let work = root.join("target/drivers");
    let toolchain = Toolchain::prepare(&sources, &work)?;
    let objects: Vec<Object> = images.iter().flat_map(objects).collect::<BTreeSet<_>>().into_iter().collect();
    for_each_parallel(&objects, |object| toolchain.compile(object))?;
    let differing = for_each_parallel(&images, |image| {
        let built = toolchain.link(image).with_context(|| format!("linking drivers/{}.sys", image.output))?;
        placement::verify(image, &built).with_context(|| format!("checking drivers/{}.sys", image.output))?;
        if arguments.check { compare(&built, &sources, image) } else { install(&built, &sources, image) }
    })?;
    finish(images.len(), &differing.concat(), arguments.check)
}

fn selected(images: Vec<Image>, names: &[String]) -> Result<Vec<Image>> {
    let wanted = |image: &Image| names.is_empty() || names.iter().any(|name| image.output.contains(name.as_str()));
    let images: Vec<Image> = images.into_iter().filter(wanted).collect();
    ensure!(!images.is_empty(), "drivers.toml has no image named like {}", names.join(", "));
    Ok(images)
}

fn finish(total: usize, differing: &[String], check: bool) -> Result<()> {
    if check && !differing.is_empty() {
        bail!("not what the sources give (run `cargo xtask drivers`):\n  {}", differing.join("\n  "));
    }
    for file in differing {
        println!("wrote {file}");
    }
    println!("drivers: {total} images, {} files changed", differing.len());
    Ok(())
}

/// The two files of an image: where they were built, and where they are committed.
fn files(built: &Path, sources: &Path, image: &Image) -> [(PathBuf, PathBuf); 2] {
    ["sys", "pdb"].map(|extension| {
        let committed = sources.join(format!("{}.{extension}", image.output));
        (built.with_extension(extension), committed)
    })
}

/// Names the committed files that differ from the built ones.
fn compare(built: &Path, sources: &Path, image: &Image) -> Result<Vec<String>> {
    let mut differing = Vec::new();
    for (new, old) in files(built, sources, image) {
        if fs::read(&new).with_context(|| format!("reading {}", new.display()))? != fs::read(&old).unwrap_or_default() {
            differing.push(format!("drivers/{}", old.strip_prefix(sources)?.display()));
        }
    }
    Ok(differing)
}

fn install(built: &Path, sources: &Path, image: &Image) -> Result<Vec<String>> {
    let differing = compare(built, sources, image)?;
    for (new, old) in files(built, sources, image) {
        fs::write(&old, fs::read(&new)?).with_context(|| format!("writing {}", old.display()))?;
    }
    Ok(differing)
}

/// Runs `task` for every item on all processors; the results are in the order of the items.
fn for_each_parallel<T: Sync, R: Send>(items: &[T], task: impl Fn(&T) -> Result<R> + Sync) -> Result<Vec<R>> {
    let queue = Mutex::new(items.iter().enumerate());
    let results = Mutex::new(Vec::new());
    let next = || queue.lock().ok().and_then(|mut queue| queue.next());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(|| {
                while let Some((index, item)) = next() {
                    let result = task(item);
                    if let Ok(mut results) = results.lock() {
                        results.push((index, result));
                    }
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_default();
    ensure!(results.len() == items.len(), "a build thread panicked");
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}
