//! A process that is killed: what it was writing can be read up to the last complete event, what was there before is as it
//! was, and a later run begins anew.
#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const STRESS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../drivers/stress/stress.sys");

/// Longer than the test waits.
const LONG: &str = "[[steps]]\nopen = {}\n[[steps]]\n# seed, threads, rounds\n\
                    ioctl = { code = 0x222000, hex = '01 00 00 00  10 00 00 00  00 00 01 00' }\n";
const SHORT: &str = "[[steps]]\nopen = {}\n[[steps]]\n\
                     ioctl = { code = 0x222000, hex = '01 00 00 00  04 00 00 00  10 00 00 00' }\n";

/// A folder with a scenario of each length, and places for a log and a paging file.
struct Place {
    _folder: TempDir,
    long: PathBuf,
    short: PathBuf,
    log: PathBuf,
    pages: PathBuf,
}

impl Place {
    fn new() -> Place {
        let folder = TempDir::new().expect("a temporary folder");
        let [long, short, log, pages] =
            ["long.toml", "short.toml", "run.jsonl", "pages"].map(|name| folder.path().join(name));
        fs::write(&long, LONG).and_then(|()| fs::write(&short, SHORT)).expect("they can be written");
        Place { _folder: folder, long, short, log, pages }
    }

    fn start(&self, scenario: &Path) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nonpaged"));
        command.args(["run", STRESS, "--trim=at-once", "--cpus=2", "--scenario"]).arg(scenario);
        command.arg("--log").arg(&self.log).arg("--paging-file").arg(&self.pages);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
    }

    /// The log as it is while the run goes on.
    fn draft(&self) -> PathBuf {
        self.log.with_file_name("run.jsonl.part")
    }

    /// Starts the long scenario and kills the process once its log has more than so many bytes.
    fn kill_at(&self, bytes: u64) {
        let mut child = self.start(&self.long);
        let patience = Instant::now() + Duration::from_secs(60);
        while fs::metadata(self.draft()).map_or(0, |draft| draft.len()) < bytes {
            assert!(child.try_wait().expect("it can be asked").is_none(), "it ended too early");
            assert!(Instant::now() < patience, "the log does not grow");
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().and_then(|()| child.wait()).expect("it can be killed");
    }
}

/// The complete lines of a log, each of them an event.
fn events(path: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(path).expect("it is there");
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    complete.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// The draft can be read up to the last complete event, in order, and says what the machine did until then.
#[test]
fn the_log_of_a_killed_run_can_be_read() {
    for bytes in [1, 20_000, 200_000] {
        let place = Place::new();
        place.kill_at(bytes);
        let events = events(&place.draft());
        assert!(!events.is_empty(), "{bytes}");
        let steps: Vec<u64> = events.iter().map(|event| event["step"].as_u64().expect("it has one")).collect();
        assert!(steps.is_sorted(), "{bytes}");
        assert_eq!(events[0]["what"], "loaded", "{bytes}");
    }
}

/// A log that is whole stays as it is while another one is being written, and when that comes to nothing.
#[test]
fn a_half_written_log_never_replaces_a_whole_one() {
    let place = Place::new();
    assert!(place.start(&place.short).wait().expect("it ends").success());
    let whole = fs::read(&place.log).expect("it is there");
    place.kill_at(10_000);
    assert_eq!(fs::read(&place.log).expect("it is there"), whole);
    assert!(place.draft().exists());
}

/// What a killed run leaves, a draft and a paging file, is no obstacle: a later run with the same names gives the same
/// bytes as one that found nothing.
#[test]
fn a_later_run_begins_anew() {
    let (fresh, killed) = (Place::new(), Place::new());
    assert!(fresh.start(&fresh.short).wait().expect("it ends").success());
    killed.kill_at(10_000);
    assert!(fs::metadata(&killed.pages).is_ok_and(|pages| pages.len() > 0));
    assert!(killed.start(&killed.short).wait().expect("it ends").success());
    assert_eq!(fs::read(&killed.log).expect("it is there"), fs::read(&fresh.log).expect("it is there"));
    assert!(!killed.draft().exists());
}
