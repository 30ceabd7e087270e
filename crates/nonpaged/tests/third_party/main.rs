//! Drivers that others built and published as part of Python packages: WinDivert, on KMDF and the Windows Filtering
//! Platform, and winpmem, a plain WDM driver. They are fetched with pip and never become part of this repository; where
//! pip or the registry is out of reach, the tests say so and pass.

mod package;
mod published;

use std::path::Path;
use std::process::{Command, Output};

use package::Package;
use serde_json::Value;

const WIN_DIVERT: Package = Package {
    requirement: "pydivert==2.1.0",
    sha256: "382db488e3c37c03ec9ec94e061a0b24334d78dbaeebb7d4e4d32ce4355d9da1",
    driver: "pydivert/windivert_dll/WinDivert64.sys",
};

const WINPMEM: Package = Package {
    requirement: "rekall==1.7.1",
    sha256: "d3fdeff06f1045fb26828c0c519e712e1aed3ebbd828c237c76ffb6fa24ce29a",
    driver: "rekall-1.7.1/tools/pmem/resources/winpmem/winpmem_x64.sys",
};

fn program(arguments: &[&str], driver: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nonpaged"));
    command.args(arguments).arg(driver).output().expect("the program starts")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    })
}

/// The status that each request ended with, by the verb it begins with.
fn statuses<'a>(run: &'a Value, verb: &str) -> Vec<&'a str> {
    let requests = run["summary"]["requests"].as_array().expect("requests are listed");
    let named = requests.iter().filter(|request| request["name"].as_str().is_some_and(|name| name.starts_with(verb)));
    named.map(|request| request["status"].as_str().unwrap_or("no answer")).collect()
}

fn assert_maps(driver: &Path) {
    let output = program(&["map", "--json"], driver);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(json(&output)["runs"].as_array().is_some_and(|runs| !runs.is_empty()));
}

/// A framework that is not modelled is named, import by import, and stops the run where it is first used.
#[test]
fn windivert_stops_at_a_named_import() {
    let Some(driver) = WIN_DIVERT.driver() else { return };
    assert_maps(&driver);
    let output = program(&["run", "--json"], &driver);
    assert_eq!(output.status.code(), Some(20), "{}", String::from_utf8_lossy(&output.stderr));
    let run = json(&output);
    let reports = run["reports"].as_array().expect("there are reports");
    let remark = reports.first().map(Value::to_string).unwrap_or_default();
    for import in ["WDFLDR.SYS!WdfVersionBind", "fwpkclnt.sys!FwpmEngineOpen0", "NDIS.SYS!NdisGetDataBuffer"] {
        assert!(remark.contains(import), "{remark}");
    }
    let last = reports.last().expect("there is a last one");
    assert_eq!(last["title"], "call of `WDFLDR.SYS!WdfVersionBind`");
    assert_eq!(last["class"], "unsupported");
}

/// A plain WDM driver lives its whole life.
#[test]
fn winpmem_runs_from_driver_entry_to_unload() {
    let Some(driver) = WINPMEM.driver() else { return };
    assert_maps(&driver);
    let output = program(&["run", "--json"], &driver);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let run = json(&output);
    assert_eq!(run["ended"], "finished");
    for verb in ["DriverEntry", "open", "close", "unload"] {
        assert_eq!(statuses(&run, verb), ["0x00000000"], "{verb}");
    }
    let answers = statuses(&run, "ioctl");
    assert!(answers.contains(&"0x00000000"), "it answers its control codes: {answers:?}");
    assert!(!answers.contains(&"no answer"), "{answers:?}");
}
