//! What a search has shown: no more than it ran.

use std::fmt;

use kernel::{Bound, ChoicePoints, DeedKind};
use serde::{Deserialize, Serialize};

use crate::campaign::plan::Plan;
use crate::seen::Tally;

/// A round of the exhaustive search: all schedules with one number of deeds.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Round {
    /// Units of work done.
    pub units: u64,
    /// Schedules that they have: run, or known because they come to a state from which the rest was run.
    pub schedules: u64,
    /// How many of these failed.
    pub failed: u64,
    /// How many ended at a limit or at something not modelled.
    pub unknown: u64,
}

impl From<Tally> for Round {
    fn from(Tally { schedules, failed, unknown }: Tally) -> Round {
        Round { units: 0, schedules, failed, unknown }
    }
}

impl Round {
    pub(crate) fn add(&mut self, more: Round) {
        self.units = self.units.saturating_add(more.units);
        self.schedules = self.schedules.saturating_add(more.schedules);
        self.failed = self.failed.saturating_add(more.failed);
        self.unknown = self.unknown.saturating_add(more.unknown);
    }
}

/// What a search has done so far, as far as a later one need not do it again.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Done {
    /// Every unit of work before this one.
    pub units: u64,
    /// Schedules that they have, and the one without deeds.
    pub schedules: u64,
    /// Number of single deeds: so many units each round of the exhaustive search has.
    pub singles: u64,
    /// By number of deeds, what the exhaustive search has done in them.
    pub rounds: Vec<Round>,
}

impl Done {
    /// Counts the work of one more unit; `round` is its number of deeds in the exhaustive search.
    pub(crate) fn add(&mut self, round: Option<usize>, work: Round) {
        self.schedules = self.schedules.saturating_add(work.schedules);
        if let Some(round) = round {
            self.round(round).add(work);
        }
    }

    pub(crate) fn round(&mut self, round: usize) -> &mut Round {
        if self.rounds.len() <= round {
            self.rounds.resize(round + 1, Round::default());
        }
        &mut self.rounds[round]
    }
}

/// What can be said of all schedules, and not only of those that chance chose.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Proven {
    /// All schedules with at most this many deeds were run; `None` where not even the one without any ended as it should.
    pub deeds: Option<u32>,
    /// How many those are.
    pub schedules: u64,
    /// How many of the next round were run, and how many of its beginnings there are.
    pub next_round: (u64, u64),
    /// Schedules that ended at a limit or at something not modelled: of these nothing is known.
    pub unknown: u64,
    /// How many schedules failed.
    pub failed: u64,
    /// Only one part of several was searched.
    pub shard: Option<(u64, u64)>,
    /// How many deeds of each kind a schedule may have.
    pub bound: Bound,
    /// Which deeds are possible.
    pub points: ChoicePoints,
}

impl Proven {
    /// What this work of a part has shown.
    pub(crate) fn new(plan: &Plan, done: &Done, shard: (u64, u64), bound: Bound, points: ChoicePoints) -> Proven {
        let units = |round: usize| plan.beginnings(round, shard);
        let whole = done.rounds.iter().enumerate().take_while(|(number, round)| round.units >= units(*number)).count();
        let mut sum = Round::default();
        done.rounds[..whole].iter().for_each(|round| sum.add(*round));
        Proven {
            deeds: whole.checked_sub(1).map(|deeds| deeds as u32),
            schedules: sum.schedules,
            next_round: done.rounds.get(whole).map_or((0, 0), |round| (round.units, units(whole))),
            unknown: sum.unknown,
            failed: sum.failed,
            shard: (shard.1 > 1).then_some(shard),
            bound,
            points,
        }
    }

    /// Has something been run, and nothing of it come to its end?
    pub fn is_nothing_known(&self) -> bool {
        self.unknown > 0 && self.schedules <= self.unknown
    }

    /// What came of them; nothing is said of those of which nothing is known.
    fn outcome(&self) -> String {
        let Proven { schedules, failed, unknown, .. } = *self;
        let known = schedules.saturating_sub(unknown);
        let nothing = "ended at a limit or at something not modelled";
        let outcome = match failed {
            _ if self.is_nothing_known() => return format!(" {nothing}: nothing is shown"),
            0 if unknown > 0 => format!(": no failure in {known}"),
            0 => ": no failure".to_owned(),
            1 => ": 1 fails".to_owned(),
            failed => format!(": {failed} fail"),
        };
        match unknown {
            0 => outcome,
            1 => format!("{outcome}; 1 {nothing}, and says nothing"),
            unknown => format!("{outcome}; {unknown} {nothing}, and say nothing"),
        }
    }

    /// What the schedules that were run have in common, after "schedules".
    fn extent(&self, deeds: u32) -> String {
        let bounded = DeedKind::ALL.iter().filter(|(_, asked, ..)| self.points.has(*asked));
        let bounded = bounded.filter_map(|(kind, _, _, [one, several])| {
            let most = self.bound.most(*kind)?;
            Some(format!("{most} {}", if most == 1 { one } else { several }))
        });
        let kinds = listed(&bounded.collect::<Vec<_>>());
        let number = format!("at most {deeds} {}", if deeds == 1 { "deed" } else { "deeds" });
        match self.bound.total(self.points) {
            Some(total) if deeds >= total && total > 0 => format!("at most {kinds}"),
            _ if kinds.is_empty() => number,
            _ => format!("{number}, among them at most {kinds}"),
        }
    }
}

/// "a, b and c".
fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [only] => only.clone(),
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    }
}

impl fmt::Display for Proven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.deeds {
            None => return f.write_str("nothing is shown: no round of the search came to its end"),
            Some(0) => "the schedule without a deed".to_owned(),
            Some(deeds) => format!("all {} schedules with {}", self.schedules, self.extent(deeds)),
        };
        write!(f, "{what}")?;
        if let Some((index, count)) = self.shard {
            write!(f, " in part {index} of {count}")?;
        }
        f.write_str(&self.outcome())?;
        let (done, of) = self.next_round;
        if done > 0 && done < of {
            let next = match self.deeds.unwrap_or_default() + 1 {
                1 => "1 deed".to_owned(),
                deeds => format!("{deeds} deeds"),
            };
            write!(f, "; of those with {next}, {done} of {of} beginnings were searched")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_no_more_than_was_run() {
        let proven = Proven { deeds: Some(1), schedules: 812, ..Proven::default() };
        assert_eq!(proven.to_string(), "all 812 schedules with at most 1 deed: no failure");
        let proven = Proven { unknown: 3, next_round: (5, 811), ..proven };
        let expected = "all 812 schedules with at most 1 deed: no failure in 809; 3 ended at a limit or at something not \
                        modelled, and say nothing; of those with 2 deeds, 5 of 811 beginnings were searched";
        assert_eq!(proven.to_string(), expected);
        assert_eq!(Proven::default().to_string(), "nothing is shown: no round of the search came to its end");
        let points = ChoicePoints::SWITCH.and(ChoicePoints::TRIM_SECTION);
        let bound = Bound::default().with(DeedKind::Switch, 2).with(DeedKind::Trim, 1);
        let bounded = Proven { deeds: Some(3), schedules: 9, bound, points, ..Proven::default() };
        assert_eq!(bounded.to_string(), "all 9 schedules with at most 1 trim and 2 preemptions: no failure");
        let fewer = Proven { deeds: Some(2), ..bounded };
        let expected = "all 9 schedules with at most 2 deeds, among them at most 1 trim and 2 preemptions: no failure";
        assert_eq!(fewer.to_string(), expected);
        let part = Proven { deeds: Some(0), schedules: 1, failed: 1, shard: Some((1, 4)), ..Proven::default() };
        assert_eq!(part.to_string(), "the schedule without a deed in part 1 of 4: 1 fails");
    }

    #[test]
    fn nothing_is_said_of_schedules_of_which_nothing_is_known() {
        let of = |deeds, schedules, failed, unknown| {
            Proven { deeds: Some(deeds), schedules, failed, unknown, ..Proven::default() }.to_string()
        };
        let ended = "ended at a limit or at something not modelled";
        assert_eq!(of(0, 1, 0, 1), format!("the schedule without a deed {ended}: nothing is shown"));
        assert_eq!(of(1, 9, 0, 9), format!("all 9 schedules with at most 1 deed {ended}: nothing is shown"));
        assert_eq!(
            of(1, 9, 0, 1),
            format!("all 9 schedules with at most 1 deed: no failure in 8; 1 {ended}, and says nothing")
        );
        assert_eq!(of(1, 9, 2, 3), format!("all 9 schedules with at most 1 deed: 2 fail; 3 {ended}, and say nothing"));
    }
}
