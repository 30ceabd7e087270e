//! The images that files and folders stand for.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Folders within folders that are looked into.
const MAX_DEPTH: usize = 32;

/// The files themselves, and every `.sys` below a folder, in the order of their paths. Links to folders are not followed.
///
/// # Errors
/// What the host says of a folder that cannot be read, with its path; also a folder in which nothing is found: whoever names
/// it expects something there.
pub fn images(paths: &[PathBuf]) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
    let mut images = Vec::new();
    for path in paths {
        if path.is_dir() {
            let first = images.len();
            below(path, MAX_DEPTH, &mut images)?;
            if images.len() == first {
                return Err((path.clone(), io::Error::new(io::ErrorKind::NotFound, "there is no `.sys` file in it")));
            }
            images[first..].sort();
        } else {
            images.push(path.clone());
        }
    }
    Ok(images)
}

fn below(folder: &Path, depth: usize, images: &mut Vec<PathBuf>) -> Result<(), (PathBuf, io::Error)> {
    let failed = |error| (folder.to_owned(), error);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(failed)?);
        let is_image = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("sys"));
        if kind.is_dir() && depth > 0 {
            below(&path, depth - 1, images)?;
        } else if is_image && !kind.is_dir() {
            images.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::images;

    #[test]
    fn folders_are_searched_in_order() {
        let folder = tempfile::TempDir::new().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("b")).expect("it can be made");
        for name in ["c.sys", "b/d.SYS", "a.txt"] {
            std::fs::write(folder.path().join(name), "").expect("it can be written");
        }
        let found = images(&[folder.path().join("a.txt"), folder.path().to_owned()]).expect("it can be read");
        let names = ["a.txt", "b/d.SYS", "c.sys"].map(|name| folder.path().join(name));
        assert_eq!(found, names);
    }

    #[test]
    fn a_folder_without_images_is_an_error() {
        let folder = tempfile::TempDir::new().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("below")).expect("it can be made");
        let (path, error) = images(&[folder.path().to_owned()]).expect_err("there is nothing");
        assert_eq!((path.as_path(), error.to_string()), (folder.path(), "there is no `.sys` file in it".to_owned()));
    }
}
