//! Samples that break in some schedules only, and have no case: what a search finds first, replayed.

use std::process::Command;

use serde_json::Value;

use crate::run::root;

/// Everything that may happen.
const CHOICES: &str = "trim,interrupt,switch,time,cancel,fail,order,order:completion,device";
/// Far more schedules than any of them takes, on one thread, so that the first failure is always the same.
const LIMITS: [&str; 6] = ["--schedules=2000", "--time=1000h", "--threads=1", "--until-first", "--choices", CHOICES];

/// The reports of the first schedule that breaks a driver.
pub(crate) fn reports(driver: &str) -> Vec<Value> {
    let found = json(&[&["explore", driver, "--json"], &LIMITS[..]].concat());
    let token = found["failures"][0]["token"].as_str().unwrap_or_else(|| panic!("{driver}: no schedule breaks it"));
    json(&["replay", token, "--json"])["reports"].as_array().cloned().unwrap_or_default()
}

fn json(arguments: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nonpaged"));
    let output = command.current_dir(root()).args(arguments).output().expect("the program starts");
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}
