//! Source files, read line by line: formatting gives each head of a function a line of its own.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// `driver_image::pageability` for `pageability/mod.rs` and `pageability.rs`; `main.rs` and `lib.rs` are the crate.
pub(crate) fn place(package: &str, file: &Path) -> String {
    let parts = file.with_extension("");
    let parts = parts.iter().filter_map(|part| part.to_str());
    let parts = parts.filter(|part| !["main", "lib", "mod"].contains(part));
    [package].into_iter().chain(parts).collect::<Vec<_>>().join("::")
}

/// The name in the head of a function.
pub(crate) fn function_name(line: &str) -> Option<&str> {
    line.strip_prefix("fn ")?.split(['(', '<']).next()
}

/// Files `.rs` below the folder, which need not exist, in the order of their paths.
pub(crate) fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in if folder.exists() { entries(folder)? } else { Vec::new() } {
        if entry.is_dir() {
            files.extend(sources(&entry)?);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            files.push(entry);
        }
    }
    Ok(files)
}

/// What lies in a folder, sorted.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_named_by_their_files() {
        assert_eq!(place("memory", Path::new("paging.rs")), "memory::paging");
        assert_eq!(place("driver_image", Path::new("pageability/mod.rs")), "driver_image::pageability");
        assert_eq!(place("section_paging", Path::new("rules/main.rs")), "section_paging::rules");
    }
}
