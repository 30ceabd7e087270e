//! Too few frames, however few: a clean end, or one clear limit that says what ran short (D27).

use std::process::{Command, Output};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../drivers");

fn run(driver: &str, frames: u32) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nonpaged"));
    command.arg("run").arg(format!("{FOLDER}/{driver}.sys")).args(["--cpus=2", "--frames", &frames.to_string()]);
    command.output().expect("the program starts")
}

/// D27: never a panic, an endless loop or a silent success: exit code 0, or 30 and a report about frames. Where pages that
/// the driver needs do not fit, it is 0x7A and names the budget.
#[test]
fn d27_every_frame_budget_has_a_clear_end() {
    let mut in_page_errors = 0;
    let mut clean = 0;
    for driver in ["stress/stress", "serial/serial", "ftvol/ftvol"] {
        for frames in (32..=240).step_by(4) {
            let output = run(driver, frames);
            let text = String::from_utf8(output.stderr).expect("UTF-8");
            match output.status.code() {
                Some(0) => clean += 1,
                Some(30) => assert!(text.contains("frames"), "{driver}, {frames}: {text}"),
                other => panic!("{driver}, {frames}: exit code {other:?}: {text}"),
            }
            if text.contains("error[0x7A]") {
                assert!(text.contains(&format!("`--frames={frames}`")), "{driver}, {frames}: {text}");
                in_page_errors += 1;
            }
        }
    }
    assert!(in_page_errors > 0 && clean > 0, "{in_page_errors}, {clean}");
}
