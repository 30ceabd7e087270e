//! Samples that break in some schedules only, and have no case: what a search finds first, replayed.

use std::process::Command;

use serde_json::Value;

use crate::run::root;

/// Everything that may happen.
const CHOICES: &str = "trim,interrupt,switch,time,cancel,fail,order,order:completion,device";
/// Far more than any of them takes.
const MOST_SCHEDULES: &str = "2000";

/// The reports of the first schedule that breaks a driver.
pub(crate) fn reports(driver: &str) -> Vec<Value> {
    let limits = ["--schedules", MOST_SCHEDULES, "--time", "10m", "--until-first"];
    let found = json(&[&["explore", driver, "--json", "--choices", CHOICES], &limits[..]].concat());
    let token = found["failures"][0]["token"].as_str().unwrap_or_else(|| panic!("{driver}: no schedule breaks it"));
    json(&["replay", token, "--json"])["reports"].as_array().cloned().unwrap_or_default()
}

fn json(arguments: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nonpaged"));
    let output = command.current_dir(root()).args(arguments).output().expect("the program starts");
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}
