//! Images with random bytes changed: none makes the program panic, run past its limit or take more memory than it may.
//!
//! `SOAK_IMAGES` names a folder of further images, `SOAK_ROUNDS` how often each is changed anew (once without it).

use std::path::{Path, PathBuf};
use std::time::Duration;

use kernel::Options;
use memory::MemoryConfig;
use nonpaged::fleet::{self, Settings};
use nonpaged::scenario::Scenario;
use report::table::fleet::End;
use tempfile::TempDir;

/// Frames of a machine: 64 MiB.
const FRAMES: u32 = 1 << 14;
/// Instructions of a driver.
const STEPS: u64 = 300_000;
/// A machine at a time may take so much of the host beside its frames, in KiB: decoded code, events, the image.
const HOST_KIB: u64 = 256 << 10;

/// Splitmix64: the same sequence in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// Changes some bytes: half of the time anywhere, otherwise in the headers, where each counts.
fn change(image: &mut [u8], random: &mut Random) {
    let end = if random.below(2) == 0 { image.len() } else { image.len().min(0x400) };
    for _ in 0..=random.below(24) {
        let at = random.below(end);
        if let Some(byte) = image.get_mut(at) {
            *byte = random.next() as u8;
        }
    }
}

fn settings(jobs: usize) -> Settings {
    Settings {
        options: Options { step_limit: STEPS, ..Options::default() },
        memory: MemoryConfig { frames: FRAMES, ..MemoryConfig::default() },
        scenario: Scenario::default(),
        time_limit: Duration::from_secs(60),
        jobs,
    }
}

/// The most memory that this process has had, in KiB, where the host tells.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

fn soak(images: &[PathBuf], rounds: usize, random: &mut Random) {
    let folder = TempDir::new().expect("a temporary folder");
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    for round in 0..rounds {
        let mut changed = Vec::new();
        for (index, image) in images.iter().enumerate() {
            let mut bytes = std::fs::read(image).expect("it can be read");
            change(&mut bytes, random);
            let path = folder.path().join(format!("{index:05}.sys"));
            std::fs::write(&path, bytes).expect("it can be written");
            changed.push(path);
        }
        for driver in fleet::run(&changed, &settings(jobs), &|_| ()).drivers {
            let bad = matches!(driver.end, End::OwnBug(_) | End::TimeUp(_));
            let kept = || keep(&driver.path);
            assert!(!bad, "round {round}: {:?}, kept as {}", driver.end, kept().display());
            assert!(driver.frames <= FRAMES && driver.steps <= STEPS + 1, "{driver:?}, kept as {}", kept().display());
        }
    }
    let limit = jobs as u64 * (u64::from(FRAMES) * 4 + HOST_KIB);
    assert!(peak_kib().is_none_or(|peak| peak <= limit), "{:?} KiB of memory, more than {limit}", peak_kib());
}

/// Saves what failed from the temporary folder.
fn keep(path: &Path) -> PathBuf {
    let kept = std::env::temp_dir().join("soak-failed.sys");
    std::fs::copy(path, &kept).expect("it can be copied");
    kept
}

#[test]
fn changed_images_do_no_harm() {
    let samples = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../drivers"));
    let folders: Vec<PathBuf> = [samples].into_iter().chain(std::env::var_os("SOAK_IMAGES").map(Into::into)).collect();
    let images = fleet::images(&folders).expect("the folders can be read");
    let rounds = std::env::var("SOAK_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1);
    soak(&images, rounds, &mut Random(rounds as u64));
}
