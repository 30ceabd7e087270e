//! Whole reports and tables, compared with files. `UPDATE=1` writes them anew.

mod causes;
mod check;
mod fixture;
mod json;
mod tables;
mod text;

use std::path::Path;

/// Compares with a file in this folder, whole and byte for byte.
#[track_caller]
fn assert_golden(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens").join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, actual).expect("the golden can be written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(actual, expected, "{name}");
}
