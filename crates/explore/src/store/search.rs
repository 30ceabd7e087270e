//! What is searched, as data that is written and compared.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use kernel::{Bound, ChoicePoints, DeedKind};
use serde::{Deserialize, Serialize};

use crate::bound::{Done, Proven};
use crate::campaign::Campaign;
use crate::campaign::plan::Plan;
use crate::strategy::Strategy;
use crate::token::Token;

/// What is searched: a search goes on only where all of it is the same.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Search {
    /// The run without deeds: arguments, driver, and where is asked.
    token: String,
    strategy: Strategy,
    seed: u64,
    depth: u32,
    /// How many deeds of each kind a schedule may have, by name.
    bound: BTreeMap<DeedName, u32>,
}

/// The name of a kind of deed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct DeedName(String);

impl TryFrom<String> for DeedName {
    type Error = String;

    fn try_from(text: String) -> Result<DeedName, String> {
        let is_known = DeedKind::ALL.iter().any(|(_, _, name, _)| *name == text);
        if is_known { Ok(DeedName(text)) } else { Err(format!("`{text}` is no kind of deed")) }
    }
}

impl From<DeedName> for String {
    fn from(name: DeedName) -> String {
        name.0
    }
}

impl Search {
    /// What this campaign searches; `token` is the run without deeds.
    pub fn new(token: &Token, campaign: &Campaign, bound: Bound) -> Search {
        let Campaign { strategy, seed, depth, .. } = *campaign;
        let name = |name: &str| DeedName(name.to_owned());
        let bounded = DeedKind::ALL.iter().filter_map(|(kind, _, word, _)| Some((name(word), bound.most(*kind)?)));
        Search { token: token.encode(), strategy, seed, depth, bound: bounded.collect() }
    }

    fn bound(&self) -> Bound {
        let most = |kind: &str| self.bound.iter().find(|(name, _)| name.0 == kind).map(|(_, most)| *most);
        DeedKind::ALL.iter().fold(Bound::default(), |bound, (kind, _, name, _)| match most(name) {
            Some(most) => bound.with(*kind, most),
            None => bound,
        })
    }

    /// The order of its units, where there are so many single deeds.
    fn plan(&self, singles: u64) -> Plan {
        Plan { strategy: self.strategy, depth: self.depth, singles }
    }

    /// What all parts together have shown.
    pub(super) fn proven(&self, done: &Done) -> Proven {
        let points = Token::decode(&self.token).map_or(ChoicePoints::NONE, |token| token.points);
        Proven::new(&self.plan(done.singles), done, (1, 1), self.bound(), points)
    }

    /// True where this part was ended before it came to its end; chance has none.
    pub(super) fn is_unfinished(&self, shard: (u64, u64), done: &Done) -> bool {
        let plan = self.plan(done.singles);
        let has_end = matches!(self.strategy, Strategy::Exhaustive | Strategy::Mixed);
        has_end && plan.unit(next_own(done.units, shard)).is_some()
    }
}

/// The first unit of this part from `number` on.
fn next_own(number: u64, (index, count): (u64, u64)) -> u64 {
    let (own, place) = (index - 1, number % count);
    let ahead = if own >= place { own - place } else { count - (place - own) };
    number.saturating_add(ahead)
}

/// What lies between these numbers, ascending, from 1 to `last`.
pub(super) fn gaps(numbers: impl Iterator<Item = u64>, last: u64) -> Vec<RangeInclusive<u64>> {
    let (mut gaps, mut next) = (Vec::new(), 1);
    for number in numbers {
        gaps.push(next..=number - 1);
        next = number.saturating_add(1);
    }
    gaps.push(next..=last);
    gaps.retain(|gap| !gap.is_empty());
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_unit_of_a_part_is_found() {
        let own = |shard| (0..6).map(|number| next_own(number, shard)).collect::<Vec<_>>();
        assert_eq!(own((1, 3)), [0, 3, 3, 3, 6, 6]);
        assert_eq!(own((3, 3)), [2, 2, 2, 5, 5, 5]);
        assert_eq!(own((1, 1)), [0, 1, 2, 3, 4, 5]);
        assert_eq!(next_own(u64::MAX - 1, (u64::MAX, u64::MAX)), u64::MAX - 1);
        assert_eq!(next_own(3, (1, u64::MAX)), u64::MAX);
    }

    #[test]
    fn missing_parts_are_ranges_however_many_there_are() {
        assert_eq!(gaps([2, 5].into_iter(), u64::MAX), [1..=1, 3..=4, 6..=u64::MAX]);
        assert_eq!(gaps([1, 2].into_iter(), 2), []);
    }
}
