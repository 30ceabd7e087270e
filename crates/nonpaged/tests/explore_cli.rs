//! `nonpaged explore`, `replay` and `merge` as a person or a CI system meets them.

use std::path::Path;
use std::process::{Command, Output};

use explore::Token;
use kernel::{Deed, RequestId, Schedule, ThreadId};
use nt_types::Va;

const BROKEN: &str = "drivers/broken/x34-two-closers.sys";

fn nonpaged(arguments: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(env!("CARGO_BIN_EXE_nonpaged")).args(arguments).current_dir(root).output();
    output.expect("the program runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The tokens of a search, shortest first.
fn tokens(output: &Output) -> Vec<String> {
    let words = stdout(output).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let mut tokens: Vec<String> = words.into_iter().filter(|word| word.starts_with("np2-")).collect();
    tokens.sort_by_key(String::len);
    tokens
}

/// Every schedule with one deed, on one thread: of several schedules that show a failure it is always the same that is told.
const WHOLE: [&str; 4] = ["--strategy=exhaustive", "--depth=1", "--time=1000h", "--threads=1"];

fn search(more: &[&str]) -> Output {
    let arguments = [&["explore", BROKEN], &WHOLE[..]].concat();
    nonpaged(&[&arguments[..], more].concat())
}

#[test]
fn a_failure_is_reported_with_a_token_that_replays_it() {
    let found = search(&[]);
    assert_eq!(found.status.code(), Some(10), "{}", stderr(&found));
    assert!(stdout(&found).contains("with at most 1 deed"), "{}", stdout(&found));
    assert!(stderr(&found).contains("by schedule, thread"), "{}", stderr(&found));
    for token in tokens(&found) {
        assert!(token.len() < 200, "{token}");
        let (first, second) = (nonpaged(&["replay", &token]), nonpaged(&["replay", &token]));
        assert_eq!(first.status.code(), Some(10), "{}", stderr(&first));
        assert_eq!((first.stdout, first.stderr), (second.stdout, second.stderr), "{token}");
    }
}

#[test]
fn a_replay_stops_where_it_is_told_and_shows_the_last_events() {
    let token = tokens(&search(&[])).remove(0);
    let stopped = nonpaged(&["replay", &token, "--stop-at", "300"]);
    assert!(stderr(&stopped).contains("this is where the run stands"), "{}", stderr(&stopped));
    let traced = nonpaged(&["replay", &token, "--trace"]);
    assert!(stdout(&traced).contains(r#""what":"thread_ended""#), "{}", stdout(&traced));
}

/// Another driver, and the repaired one: the schedule is followed for as long as it fits.
#[test]
fn a_token_says_that_the_driver_has_changed() {
    let token = tokens(&search(&[])).remove(0);
    let other = nonpaged(&["replay", &token, "--driver", "drivers/broken/x34-two-closers-fixed.sys"]);
    assert!(stderr(&other).contains("is not the driver that the token was made with"), "{}", stderr(&other));
    assert_eq!(other.status.code(), Some(0), "{}", stderr(&other));
}

/// The driver was rebuilt into one in which the schedule fits no longer: the replay says where the two parted, and goes on.
#[test]
fn a_replay_says_where_a_rebuilt_driver_parts_from_the_token() {
    let token = tokens(&search(&[])).remove(0);
    let other = nonpaged(&["replay", &token, "--driver", "drivers/serial/serial.sys"]);
    assert!(stderr(&other).contains("the schedule of the token fits no longer from step"), "{}", stderr(&other));
    assert_eq!(other.status.code(), Some(0), "{}", stderr(&other));
}

/// The driver was rebuilt with another alignment: all of the schedule fits, or as much of it as comes before what does not.
#[test]
fn a_token_goes_on_as_far_as_it_fits_a_rebuilt_driver() {
    let made = Token::decode(&tokens(&search(&["--cpus=2"])).remove(0)).expect("it is a token");
    let of = |driver: &str, schedule: Schedule| {
        let arguments = vec![format!("drivers/{driver}.sys"), "--cpus=2".to_owned()];
        Token { arguments, schedule, ..made.clone() }.encode()
    };
    let rebuilt = |schedule| {
        let output = nonpaged(&["replay", &of("null/null", schedule), "--driver", "drivers/null/null-a80.sys"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(stderr(&output).contains("is not the driver that the token was made with"), "{}", stderr(&output));
        stderr(&output)
    };
    let fits = rebuilt(vec![(2, Deed::Trim)]);
    assert!(!fits.contains("the schedule of the token"), "{fits}");
    for impossible in [Deed::Switch(ThreadId(4_000_000)), Deed::TrimPage(Va(1)), Deed::Cancel(RequestId(usize::MAX))] {
        let parted = rebuilt(vec![(2, Deed::Trim), (5, impossible)]);
        assert!(parted.contains("the schedule of the token fits no longer from step"), "{parted}");
        assert!(parted.contains("what it has happen at choice 5 cannot happen there"), "{parted}");
    }
    let short = rebuilt(vec![(2, Deed::Trim), (u32::MAX, Deed::Trim)]);
    assert!(short.contains("before the schedule of the token"), "{short}");
    assert!(short.contains("at choice 4294967295 and later did not happen"), "{short}");
}

/// Its checksum is right, but no search has made it.
#[test]
fn a_choice_with_two_answers_is_no_schedule() {
    let made = Token::decode(&tokens(&search(&[])).remove(0)).expect("it is a token");
    let twice = Token { schedule: vec![(3, Deed::Trim), (3, Deed::Time)], ..made };
    let output = nonpaged(&["replay", &twice.encode()]);
    assert_eq!(output.status.code(), Some(64), "{}", stderr(&output));
    assert!(stderr(&output).contains("what it has is no schedule"), "{}", stderr(&output));
}

#[test]
fn a_word_that_is_no_token_is_a_wrong_argument() {
    for (word, problem) in [
        ("serial.sys", "a token begins with"),
        ("np1-AAAA", "numbers choices differently"),
        ("drivers", "is a folder; name the file in it that has the token"),
        ("np2-AAAAAAAA", "is damaged"),
    ] {
        let output = nonpaged(&["replay", word]);
        assert_eq!(output.status.code(), Some(64), "{word}");
        assert!(stderr(&output).contains(problem), "{word}: {}", stderr(&output));
    }
}

/// Each is one line that names the argument and what would be right.
#[test]
fn wrong_arguments_are_said_in_words() {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let out = file.path().display().to_string();
    for (arguments, problem) in [
        (["--strategy", "luck"], "expected one of mixed, exhaustive, random, pct, coverage"),
        (["--shard", "5/4"], "there is no part 5 of 4; the first one is 1/4"),
        (["--shard", "half"], "expected a part such as 1/4"),
        (["--time", "soon"], "expected a time such as 10s, 5m or 2h"),
        (["--choices", "trim,luck"], "`luck` is none of trim, "),
        (["--threads", "0"], "expected a number of threads, 1 to 1024"),
        (["--depth", "0"], "0 is not in 1..=64"),
        (["--out", &out], "is a file, and results need a folder"),
        (["--serial-line", "stdio"], "a search runs many machines at once"),
        (["--scenario", "nothing.toml"], "scenario `nothing.toml` cannot be read"),
    ] {
        let refused = nonpaged(&[&["explore", BROKEN], &arguments[..]].concat());
        assert_eq!(refused.status.code(), Some(64), "{arguments:?}: {}", stderr(&refused));
        assert!(stderr(&refused).contains(problem), "{arguments:?}: {}", stderr(&refused));
        assert!(refused.stdout.is_empty(), "{arguments:?}");
    }
}

/// The last lines say which limit ended the search, or that nothing is left.
#[test]
fn a_search_says_why_it_ended() {
    for (more, why) in [
        (&["--schedules=5"][..], "ended     at `--schedules 5`\n"),
        (&["--time=0.1s", "--depth=3"], "ended     at `--time 0.1s`\n"),
        (&["--until-first"], "ended     at the first failure\n"),
        (&[], "ended     nothing is left to run\n"),
    ] {
        let arguments = ["explore", BROKEN, "--strategy=exhaustive"];
        let limits: &[&str] =
            if more.iter().any(|word| word.contains("--time")) { &[] } else { &["--depth=1", "--time=1000h"] };
        let output = nonpaged(&[&arguments[..], limits, more].concat());
        assert!(stdout(&output).contains(why), "{more:?}: {}", stdout(&output));
    }
}

#[test]
fn a_folder_of_another_search_is_left_alone() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let out = folder.path().display().to_string();
    let first = search(&["--schedules=5", "--out", &out]);
    assert!(first.status.code().is_some());
    let other = search(&["--schedules=5", "--seed=1", "--out", &out]);
    assert_eq!(other.status.code(), Some(64), "{}", stderr(&other));
    assert!(stderr(&other).contains("has results of another search"), "{}", stderr(&other));
}

#[test]
fn json_has_what_the_text_has() {
    let output = search(&["--json"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!(document["exhausted"], true);
    assert!(document["failures"].as_array().is_some_and(|failures| !failures.is_empty()));
    assert!(document["shown"].as_str().is_some_and(|shown| shown.contains("at most 1 deed")));
}

/// A bound for each kind: the last line names them, and nothing more was run.
#[test]
fn a_bound_for_each_kind_is_searched_to_its_end_and_named() {
    let arguments = ["explore", "drivers/broken/x34-two-closers-fixed.sys", "--strategy=exhaustive", "--time=1000h"];
    let more = ["--choices=switch,trim:section", "--bound=switch=1,trim=1"];
    let output = nonpaged(&[&arguments[..], &more[..]].concat());
    let expected = "all 2451 schedules with at most 1 trim and 1 preemption: no failure";
    assert!(stdout(&output).contains(expected), "{}{}", stdout(&output), stderr(&output));
    assert!(include_str!("../../../docs/explore.md").contains(expected), "it is the example there");
    let wrong = nonpaged(&["explore", "drivers/null/null.sys", "--bound=luck=1"]);
    assert_eq!(wrong.status.code(), Some(64), "{}", stderr(&wrong));
}

/// One section leaves and the others stay; the report says which, and the token replays it.
#[test]
fn a_section_leaves_alone() {
    let found = search(&["--choices=switch,trim:section"]);
    let token = tokens(&found).remove(0);
    let replayed = nonpaged(&["replay", &token]);
    assert_eq!(replayed.status.code(), Some(10), "{}", stderr(&replayed));
}

const OPEN_AND_CLOSE: &str = "[[steps]]\nopen = {}\n\n[[steps]]\nclose = {}\n";
const WITH_IOCTL: &str = "[[steps]]\nopen = {}\n\n[[steps]]\nioctl = { code = 0x222000 }\n\n[[steps]]\nclose = {}\n";

/// A search of every schedule with one deed, with a scenario.
fn search_with(driver: &str, scenario: &Path, more: &[&str]) -> Output {
    let scenario = format!("--scenario={}", scenario.display());
    nonpaged(&[&["explore", driver, &scenario], &WHOLE[..], more].concat())
}

/// What a search knows of a scenario says nothing about what the file became later; comments are no part of it.
#[test]
fn a_folder_is_not_gone_on_with_when_the_scenario_has_changed() {
    let driver = "drivers/broken/x18-locks-the-other-section.sys";
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let (scenario, out) = (folder.path().join("s.toml"), folder.path().join("out").display().to_string());
    let resumed = |text: &str| {
        std::fs::write(&scenario, text).expect("it is writable");
        search_with(driver, &scenario, &["--out", &out])
    };
    let clean = resumed(OPEN_AND_CLOSE);
    assert_eq!(clean.status.code(), Some(0), "{}{}", stdout(&clean), stderr(&clean));
    let other = resumed(WITH_IOCTL);
    assert_eq!(other.status.code(), Some(64), "{}{}", stdout(&other), stderr(&other));
    assert!(stderr(&other).contains("or a file that it read has changed"), "{}", stderr(&other));
    let same = resumed(&format!("# the same\n{OPEN_AND_CLOSE}"));
    assert_eq!(same.status.code(), Some(0), "{}", stderr(&same));
    assert_eq!(stdout(&same).lines().last(), stdout(&clean).lines().last());
}

#[test]
fn a_token_says_that_the_scenario_has_changed() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let scenario = folder.path().join("s.toml");
    std::fs::write(&scenario, WITH_IOCTL).expect("it is writable");
    let found = search_with("drivers/broken/x18-locks-the-other-section.sys", &scenario, &["--until-first"]);
    let token = tokens(&found).remove(0);
    let note = format!("`{}` is not what the token was made with", scenario.display());
    let same = nonpaged(&["replay", &token]);
    assert_eq!(same.status.code(), Some(10), "{}", stderr(&same));
    assert!(!stderr(&same).contains(&note), "{}", stderr(&same));
    std::fs::write(&scenario, OPEN_AND_CLOSE).expect("it is writable");
    let other = nonpaged(&["replay", &token]);
    assert_eq!(other.status.code(), Some(0), "{}", stderr(&other));
    assert!(stderr(&other).contains(&note), "{}", stderr(&other));
}

/// The registry, what came over the serial line, a driver that the scenario loads, and one that is imported from.
#[test]
fn a_folder_is_not_gone_on_with_when_a_further_file_has_changed() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let drivers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../drivers");
    let at = |name: &str| folder.path().join(name);
    let path = |name: &str| at(name).display().to_string();
    for (from, to) in [("library/client", "client"), ("library/library", "library"), ("null/null", "other")] {
        std::fs::copy(drivers.join(from).with_extension("sys"), at(to).with_extension("sys")).expect("it is copied");
    }
    let write = |name: &str, text: &[u8]| std::fs::write(at(name), text).expect("it is writable");
    write("s.toml", b"[[steps]]\nload = { driver = \"other.sys\" }\n");
    write("r.reg", b"Windows Registry Editor Version 5.00\n");
    write("line.txt", b"1 41\n");
    let (registry, line) =
        (format!("--registry={}", path("r.reg")), format!("--serial-line=replay:{}", path("line.txt")));
    let search = || {
        let more = ["--schedules=1", &registry, &line, "--out", &path("out")];
        search_with(&path("client.sys"), &at("s.toml"), &more)
    };
    for (name, more) in [("r.reg", "\n"), ("line.txt", "2 42\n"), ("other.sys", "x"), ("library.sys", "x")] {
        let same = search();
        assert_eq!(same.status.code(), Some(0), "{name}: {}", stderr(&same));
        let before = std::fs::read(at(name)).expect("it is there");
        write(name, &[&before[..], more.as_bytes()].concat());
        let other = search();
        assert_eq!(other.status.code(), Some(64), "{name}: {}", stderr(&other));
        write(name, &before);
    }
}
