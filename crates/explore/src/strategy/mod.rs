//! What to try next.

mod coverage;
pub(crate) mod exhaustive;
mod pct;
mod random;

use std::fmt;
use std::str::FromStr;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use crate::spine::Survey;
use crate::walk::Decider;

pub(crate) use coverage::Corpus;

/// How a campaign chooses its schedules.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Every schedule with one deed, then turns of the three that follow, then every schedule with two deeds and more.
    #[default]
    Mixed,
    /// Every schedule with one deed, with two, and so on.
    Exhaustive,
    /// Deeds at random choices.
    Random,
    /// Threads with random priorities, and a few moments at which something else happens.
    Pct,
    /// Changes of the schedules that came to new places or states.
    Coverage,
}

impl Strategy {
    /// Each, with the name that it has on the command line.
    pub const ALL: [(Strategy, &'static str); 5] = [
        (Strategy::Mixed, "mixed"),
        (Strategy::Exhaustive, "exhaustive"),
        (Strategy::Random, "random"),
        (Strategy::Pct, "pct"),
        (Strategy::Coverage, "coverage"),
    ];
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Strategy::ALL.iter().find(|(strategy, _)| strategy == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

impl FromStr for Strategy {
    type Err = String;

    fn from_str(text: &str) -> Result<Strategy, String> {
        let names = Strategy::ALL.map(|(_, name)| name).join(", ");
        let found = Strategy::ALL.iter().find(|(_, name)| *name == text).map(|(strategy, _)| *strategy);
        found.ok_or_else(|| format!("expected one of {names}"))
    }
}

/// The decider of a schedule that chance makes: the same for the same seed and number, whoever runs it.
pub(crate) fn by_chance(
    strategy: Strategy,
    survey: &Survey,
    corpus: &Corpus,
    (seed, number): (u64, u64),
    depth: u32,
) -> Box<dyn Decider> {
    let mut rng = Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(number));
    match strategy {
        Strategy::Pct => Box::new(pct::Pct::new(rng, survey, depth)),
        Strategy::Coverage => corpus.decider(&mut rng, survey, depth),
        Strategy::Random | Strategy::Exhaustive | Strategy::Mixed => Box::new(random::Random::new(rng, survey, depth)),
    }
}

/// Choices at which something happens, ascending: `count` of those of the run without deeds, at random.
fn random_points(rng: &mut Rng, survey: &Survey, count: usize) -> Vec<u32> {
    if survey.points.is_empty() {
        return Vec::new();
    }
    let mut points: Vec<u32> = (0..count).map(|_| survey.points[rng.usize(..survey.points.len())].index).collect();
    points.sort_unstable();
    points
}
