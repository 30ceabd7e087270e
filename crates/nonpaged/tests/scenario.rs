//! Scenario files, good and bad.

use std::process::Command;

use kernel::WmiRequest;
use nonpaged::scenario::{Action, Expect, PageInFault, PnpRequest, Scenario, ScenarioError, SerialEnd};
use nt_types::NtStatus;

fn error(text: &str) -> ScenarioError {
    Scenario::parse(text).expect_err("the file is wrong")
}

#[test]
fn each_verb_is_read() {
    let scenario = Scenario::parse(include_str!("scenarios/each_verb.toml")).expect("the file is right");
    let actions: Vec<&Action> = scenario.steps.iter().map(|step| &step.action).collect();
    let (port, file, r1) = (|| "port".to_owned(), || "file".to_owned(), || "r1".to_owned());
    let expected = [
        Action::Start,
        Action::Open { device: Some(r"\Device\Serial0".into()), handle: port() },
        Action::Open { device: None, handle: file() },
        Action::Read { handle: port(), bytes: 16, offset: Some(4) },
        Action::Write { handle: file(), data: b"hello".to_vec(), offset: None },
        Action::Write { handle: file(), data: vec![0xde, 0xad], offset: None },
        Action::Ioctl { handle: file(), code: 0x001b_0004, input: vec![0; 3], output_bytes: 8 },
        Action::Cancel { request: r1() },
        Action::Wait { request: r1() },
        Action::WaitMs(10),
        Action::Interrupt { vector: Some(4), count: 2 },
        Action::Interrupt { vector: None, count: 1 },
        Action::Receive { data: b"abc".to_vec() },
        Action::Talk { handle: port(), until: 0x1b, idle_ms: 10 },
        Action::Trim { section: Some("PAGESER".into()) },
        Action::Trim { section: None },
        Action::FailPageIn { fault: PageInFault::Status(NtStatus(0xc000_009c)), after: 0, count: 1 },
        Action::Check,
        Action::Close { handle: port() },
        Action::Stop,
        Action::Remove,
        Action::Unload { driver: None },
        Action::Load { driver: "owner.sys".into() },
        Action::Unload { driver: Some("owner.sys".into()) },
        Action::Power { device: None, state: 3 },
        Action::Attach { driver: Some("filter.sys".into()), device: Some(r"BUS\Device".into()) },
        Action::Pnp { device: Some(r"BUS\Device".into()), request: PnpRequest::SurpriseRemoval },
        Action::Wmi {
            device: None,
            block: [1, 0, 0, 0, 2, 0, 3, 0, 4, 5, 6, 7, 8, 9, 10, 11],
            request: WmiRequest::ChangeSingleItem { instance: 2, item: 1, data: vec![0xff] },
            output_bytes: 4,
        },
    ];
    assert_eq!(actions, expected.iter().collect::<Vec<_>>());
}

#[test]
fn fields_of_any_step_are_read() {
    let scenario = Scenario::parse(include_str!("scenarios/each_verb.toml")).expect("the file is right");
    let read = &scenario.steps[3];
    assert_eq!((read.thread.as_str(), read.cpu, read.request.as_deref()), ("reader", Some(1), Some("r1")));
    let expect = Expect {
        status: Some(NtStatus(0xc000_0120)),
        bytes: Some(0),
        data: Some(b"x".to_vec()),
        sent: Some(b"y".to_vec()),
        pending: Some(true),
        resident: [("PAGESER".to_owned(), 3)].into(),
        locks: [("PAGESER".to_owned(), 1)].into(),
    };
    assert_eq!(read.expect, expect);
    assert_eq!(scenario.steps[0].expect, Expect::default());
    assert_eq!(scenario.steps[0].line, 8);
    assert_eq!((scenario.watch, scenario.serial_line), (vec!["PAGESER".to_owned()], SerialEnd::Peer));
}

#[test]
fn no_steps_mean_the_built_in_exercise() {
    assert_eq!(Scenario::parse("").expect("empty is right"), Scenario::default());
}

#[test]
fn errors_name_line_and_column() {
    let error = error("name = \"x\"\n\n[[steps]]\nraed = { bytes = 1 }\n");
    assert_eq!((error.line, error.column, error.text.as_str()), (4, 1, "raed = { bytes = 1 }"));
    assert!(error.problem.starts_with("unknown field `raed`, expected one of `start`"), "{error}");
}

#[test]
fn a_step_has_one_verb() {
    let two = error("[[steps]]\nread = { bytes = 1 }\nclose = {}\n");
    assert_eq!(two.problem, "a step has one verb; this one has `close` and `read`");
    let none = error("[[steps]]\nthread = \"a\"\n");
    assert!(none.problem.starts_with("a step has one of the verbs `start`, "), "{none}");
    assert_eq!(none.line, 1);
}

#[test]
fn values_are_checked() {
    for (step, problem) in [
        ("write = {}", "`write` needs one of `text`, `hex` and `zeros`"),
        ("write = { text = \"a\", hex = \"00\" }", "bytes are given by one of `text`, `hex` and `zeros`"),
        ("write = { hex = \"0\" }", "`0` is not a number of bytes in hexadecimal"),
        ("write = { hex = \"+1\" }", "`+1` is not a number of bytes in hexadecimal"),
        ("read = { bytes = 99999999 }", "99999999 bytes are more than a request may have (16777216)"),
        ("write = { zeros = 99999999 }", "99999999 bytes are more than a request may have (16777216)"),
        (
            "trim = {}\nrequest = \"r\"",
            "only `open`, `close`, `read`, `write` and `ioctl` make a request that can have a name",
        ),
        ("open = {}\nwith_next = true", "only a request with a name can run together with the next step"),
        ("check = {}\nexpect = { status = \"STATUS_X\" }", "unknown status `STATUS_X`; its number will do"),
        ("check = {}\nexpect = { status = -1 }", "an NTSTATUS has 32 bits"),
    ] {
        assert_eq!(error(&format!("[[steps]]\n{step}\n")).problem, problem);
    }
}

#[test]
fn a_position_in_the_middle_of_characters_is_right() {
    let error = error("name = \"ä\" x\n");
    assert_eq!((error.line, error.column), (1, 12));
}

/// Runs a driver with `scenarios/serial.toml`: what is printed.
fn serial(driver: &str, arguments: &[&str]) -> String {
    let root = format!("{}/../..", env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_nonpaged"));
    command.current_dir(root).args(["run", driver, "--scenario", "scenarios/serial.toml"]).args(arguments);
    let output = command.output().expect("the program starts");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// R7, R14: what `PAGESER` goes through while the port is opened, closed and opened again, step by step.
#[test]
fn the_serial_scenario_shows_the_section_step_by_step() {
    let text = serial("drivers/serial/serial.sys", &[]);
    let table = text.split("\n\n").find(|part| part.starts_with("after ")).expect("the table is printed");
    let seen = |verb: &str| -> Vec<String> {
        let lines = table.lines().filter(|line| line.split_whitespace().next() == Some(verb));
        lines
            .map(|line| line.split("  ").filter(|cell| !cell.is_empty()).nth(1).unwrap_or("").trim().to_owned())
            .collect()
    };
    let pages = seen("open")[0].split(' ').next().expect("a number").to_owned();
    let (all, none) = (format!("{pages} of {pages}, lock 1"), format!("0 of {pages}"));
    assert_eq!(seen("open"), [all.clone(), all.clone()], "{table}");
    assert_eq!(seen("trim"), [none.clone(), all, none], "{table}");
}

/// The same with the serial driver of the Windows driver kit, where somebody has it: `SERIAL_IMAGE` is its path.
#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn the_serial_scenario_runs_the_driver_of_the_windows_kit() {
    let Ok(image) = std::env::var("SERIAL_IMAGE") else {
        eprintln!("skipped: SERIAL_IMAGE names no driver");
        return;
    };
    assert!(serial(&image, &[]).contains("unload            STATUS_SUCCESS"));
}
