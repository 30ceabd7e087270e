//! Project chores.
mod layouts;

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("layouts") => layouts::run(arguments.iter().any(|argument| argument == "--check")),
        _ => Err("usage: cargo xtask layouts [--check]".into()),
    }
}
