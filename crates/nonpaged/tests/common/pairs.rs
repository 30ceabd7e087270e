//! The broken samples with their repaired twins, and what each is put through.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kernel::Verifier;
use nonpaged::Explore;
use nonpaged::explore::{ChoicePoints, Outcome, Strategy};
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

/// What no schedule breaks, why, and the finding of the image alone: `nonpaged map` and `check` report it.
pub(crate) const NOT_IN_A_RUN: [(&str, &str, &str); 2] = [
    ("x23-storport-locks", "calls what Storport miniports must not, which is checked when a driver is built", "K24"),
    ("x31-mixed-section", "has code and data in one section, and runs correctly", "K17"),
];

/// Samples that break only where something happens to a device, which is off by default.
const BY_DEVICE: [&str; 1] = ["x47-line-error"];
/// Samples that break a rule which only Driver Verifier knows, and with which of its options.
const BY_VERIFIER: [(&str, Verifier); 12] = [
    ("c1-one-bit", SPECIAL_POOL),
    ("c1-overrun", SPECIAL_POOL),
    ("c1-underrun", SPECIAL_POOL),
    ("c4-executable-pool", CODE_INTEGRITY),
    ("c4-imports-in-code", CODE_INTEGRITY),
    ("c4-leaves-pool", Verifier { pool_tracking: true, ..Verifier::ON }),
    ("c9-power-flag", Verifier::ON),
    ("cc-string-in-freed-pool", SPECIAL_POOL),
    ("cd-string-without-end", SPECIAL_POOL),
    ("d5-reads-freed-pool", SPECIAL_POOL),
    ("d6-writes-before-pool", SPECIAL_POOL),
    ("d6-writes-beyond-pool", SPECIAL_POOL),
];
const SPECIAL_POOL: Verifier = Verifier { special_pool: true, ..Verifier::ON };
const CODE_INTEGRITY: Verifier = Verifier { code_integrity: true, ..Verifier::ON };

/// A sample whose race is another one on two processors.
const ON_TWO: &str = "x08-page-entire-race";
/// A search that took so many schedules has not found it.
pub(crate) const GIVEN_UP: u64 = 5_000;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

impl Pair {
    /// A search of the broken sample, or of its twin.
    pub(crate) fn search(&self, is_fixed: bool) -> Explore {
        let suffix = if is_fixed { "-fixed" } else { "" };
        let search = Explore::new(root().join(format!("drivers/broken/{}{suffix}.sys", self.name)));
        let search = self.scenario.iter().fold(search, Explore::scenario).choices(self.points());
        match BY_VERIFIER.iter().find(|(name, _)| *name == self.name) {
            Some((_, verifier)) => search.options(|options| options.verifier = *verifier),
            None => search,
        }
    }

    /// What may happen.
    pub(crate) fn points(&self) -> ChoicePoints {
        match BY_DEVICE.contains(&self.name.as_str()) {
            true => ChoicePoints::USUAL.and(ChoicePoints::DEVICE),
            false => ChoicePoints::USUAL,
        }
    }

    /// All schedules of the twin with one deed: of its scenario, and of the exercise with two programs at the same time.
    pub(crate) fn exhaust_twin(&self) -> Vec<Outcome> {
        let exercise = Pair { scenario: None, name: self.name.clone(), expected: None };
        let of_scenario = self.scenario.is_some().then(|| self.search(true));
        let searches = of_scenario.into_iter().chain([exercise.search(true)]);
        let whole = |search: Explore| search.strategy(Strategy::Exhaustive).depth(1).time(Duration::MAX).run();
        searches.map(|search| whole(search).expect("the samples load")).collect()
    }

    /// Why no search finds it, and what reports it instead, where none does.
    pub(crate) fn not_in_a_run(&self) -> Option<(&'static str, &'static str)> {
        NOT_IN_A_RUN.iter().find(|(name, ..)| *name == self.name).map(|(_, why, finding)| (*why, *finding))
    }
}

/// The samples that a search finds, and on how many processors.
pub(crate) fn hunted(pairs: &[Pair]) -> impl Iterator<Item = (&Pair, usize)> {
    let on_one = pairs.iter().filter(|pair| pair.not_in_a_run().is_none()).map(|pair| (pair, 1));
    on_one.chain(pairs.iter().filter(|pair| pair.name == ON_TWO).map(|pair| (pair, 2)))
}

/// The number of the first schedule that fails, and with how many deeds: on one thread and without a limit of time, so that
/// they are the same on any machine.
pub(crate) fn first_failure(search: &Explore, strategy: Strategy, seed: u64) -> Option<(u64, usize)> {
    let search = search.clone().strategy(strategy).seed(seed).threads(NonZeroUsize::MIN).time(Duration::MAX);
    let found = search.schedules(GIVEN_UP).until_first().run().expect("the samples load").failures;
    found.iter().map(|failure| (failure.found_by, failure.schedule.len())).min()
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
