//! What README.md shows is what the program prints.

use std::path::{Path, PathBuf};
use std::process::Command;

use nonpaged::scenario::Scenario;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Contents of the fenced blocks of one language.
fn blocks(language: &str) -> Vec<String> {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("README.md is there");
    let fence = format!("\n```{language}\n");
    readme.split(&fence).skip(1).map(|rest| rest.split("```").next().expect("the first part").to_owned()).collect()
}

/// A block is a command after `$ ` and what it prints: reports and results in the order of the program.
#[test]
fn each_console_block_is_what_the_program_prints() {
    let blocks = blocks("console");
    assert!(!blocks.is_empty(), "README.md shows what the program prints");
    for block in blocks {
        let (command, shown) = block.split_once('\n').expect("a command and its output");
        let arguments = command.strip_prefix("$ nonpaged ").expect("a command of this program").split(' ');
        let mut program = Command::new(env!("CARGO_BIN_EXE_nonpaged"));
        let output = program.current_dir(root()).args(arguments).output().expect("the program starts");
        let (result, reports) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let printed = [format!("{result}{reports}"), format!("{reports}{result}")];
        assert!(printed.contains(&shown.to_owned()), "{command}\n{result}{reports}");
    }
}

#[test]
fn each_scenario_is_right() {
    let blocks = blocks("toml");
    assert!(!blocks.is_empty(), "README.md shows a scenario");
    for block in blocks {
        Scenario::parse(&block).unwrap_or_else(|error| panic!("{error}\n{block}"));
    }
}

/// The scenario of the crate's documentation, too.
#[test]
fn the_documented_scenario_is_right() {
    let source = include_str!("../src/scenario/mod.rs");
    let doc: Vec<&str> = source.lines().map_while(|line| line.strip_prefix("//!")).collect();
    let text = doc.join("\n");
    let block = text.split("```toml").nth(1).and_then(|rest| rest.split("```").next()).expect("a block");
    let scenario = Scenario::parse(block).unwrap_or_else(|error| panic!("{error}\n{block}"));
    assert_eq!(scenario.steps.len(), 4);
}
