//! The broken samples with their repaired twins, and what each is put through.

use std::fs;
use std::path::{Path, PathBuf};

use nonpaged::Explore;
use nonpaged::explore::ChoicePoints;
use nonpaged::scenario::Scenario;

/// A broken sample.
pub(crate) struct Pair {
    /// Its file name without the extension.
    pub(crate) name: String,
    /// The scenario of its golden report; the exercise where there is none.
    pub(crate) scenario: Option<PathBuf>,
    /// The error of that report, where the run had no special arguments.
    pub(crate) expected: Option<String>,
}

/// What no search without further arguments can find, and why.
pub(crate) const OUT_OF_REACH: [(&str, &str); 4] = [
    ("c4-executable-pool", "breaks a rule that only `--verifier=0x2000000` checks"),
    ("c4-timer-in-freed-pool", "breaks a rule that only `--verifier` checks"),
    ("x23-storport-locks", "imports a module that is not modelled"),
    ("x31-mixed-section", "wastes memory and breaks nothing: a matter for `nonpaged check`"),
];

/// Twins with a fault of their own under the default choices, and why.
pub(crate) const IMPERFECT_TWINS: [(&str, &str); 1] =
    [("x25-foreign-unlock", "the request that unlocks needs memory, and the twin gives up where there is none")];

/// Samples that break only where something happens to a device, which is off by default.
const BY_DEVICE: [&str; 1] = ["x47-line-error"];

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

impl Pair {
    /// A search of the broken sample, or of its twin.
    pub(crate) fn search(&self, is_fixed: bool) -> Explore {
        let suffix = if is_fixed { "-fixed" } else { "" };
        let search = Explore::new(root().join(format!("drivers/broken/{}{suffix}.sys", self.name)));
        self.scenario.iter().fold(search, Explore::scenario).choices(self.points())
    }

    /// What may happen.
    pub(crate) fn points(&self) -> ChoicePoints {
        match BY_DEVICE.contains(&self.name.as_str()) {
            true => ChoicePoints::USUAL.and(ChoicePoints::DEVICE),
            false => ChoicePoints::USUAL,
        }
    }

    /// Why no search finds it, where none does.
    pub(crate) fn out_of_reach(&self) -> Option<&'static str> {
        OUT_OF_REACH.iter().find(|(name, _)| *name == self.name).map(|(_, why)| *why)
    }

    /// Why its twin is not clean, where it is not.
    pub(crate) fn imperfection(&self) -> Option<&'static str> {
        IMPERFECT_TWINS.iter().find(|(name, _)| *name == self.name).map(|(_, why)| *why)
    }
}

/// All of them, by name.
pub(crate) fn pairs() -> Vec<Pair> {
    let scenarios = scenarios();
    let files = fs::read_dir(root().join("drivers/broken")).expect("the samples are there");
    let names = files.filter_map(|file| file.expect("a file").file_name().into_string().ok());
    let mut names: Vec<String> = names.filter_map(|name| Some(name.strip_suffix("-fixed.sys")?.to_owned())).collect();
    names.sort();
    names.into_iter().map(|name| pair(name, &scenarios)).collect()
}

/// With the scenario of its own name, if there is one for a run.
fn pair(name: String, scenarios: &[(PathBuf, Scenario)]) -> Pair {
    let is_namesake = |path: &Path| path.file_stem().is_some_and(|stem| *stem == *name);
    let found = scenarios.iter().find_map(|(path, scenario)| {
        let test = scenario.test.as_ref().filter(|test| test.command == "run" && is_namesake(path))?;
        Some((path.clone(), test)).filter(|_| !scenario.steps.is_empty())
    });
    let plain = found.as_ref().filter(|(_, test)| test.arguments.is_empty());
    let error = plain.and_then(|(_, test)| test.expect_error.as_deref());
    let expected = error.and_then(|error| Some(error.split_once(' ')?.0.to_owned()));
    let scenario = found.map(|(path, _)| path);
    Pair { name, scenario, expected }
}

fn scenarios() -> Vec<(PathBuf, Scenario)> {
    let folders = ["broken", "bug-check"].map(|area| root().join("tests/ui/fail").join(area));
    let files =
        folders.iter().flat_map(|folder| fs::read_dir(folder).expect("cases")).map(|file| file.expect("a file").path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    let mut parsed: Vec<_> = files
        .map(|path| {
            let scenario = Scenario::parse(&fs::read_to_string(&path).expect("it is readable")).expect("it is valid");
            (path, scenario)
        })
        .collect();
    parsed.sort_by(|(first, _), (second, _)| first.cmp(second));
    parsed
}
