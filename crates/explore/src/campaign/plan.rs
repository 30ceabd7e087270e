//! The units of a search in their order, so that threads, parts and resumed searches agree on what is whose.

use crate::spine::Survey;
use crate::strategy::Strategy;

use super::Campaign;

/// A unit of work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unit {
    /// All schedules that begin with this single deed and have so many more.
    Exhaustive { single: usize, more: u32 },
    /// One schedule that chance makes.
    Chance { strategy: Strategy, number: u64 },
}

/// The order of units.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) strategy: Strategy,
    pub(crate) depth: u32,
    /// Number of single deeds: the beginnings of each round of the exhaustive search.
    pub(crate) singles: u64,
}

/// Schedules by chance in the mixed strategy before it goes on with two deeds: for each schedule with one deed.
const CHANCES_FOR_ONE: u64 = 8;
/// What takes turns.
const TURNS: [Strategy; 3] = [Strategy::Random, Strategy::Coverage, Strategy::Pct];

impl Plan {
    pub(crate) fn new(campaign: &Campaign, survey: &Survey) -> Plan {
        let singles = survey.single_deeds().count() as u64;
        Plan { strategy: campaign.strategy, depth: campaign.depth, singles }
    }

    /// How many beginnings of a round of the exhaustive search a part has; the round without deeds has one.
    pub(crate) fn beginnings(&self, round: usize, (index, count): (u64, u64)) -> u64 {
        let Some(before) = (round as u64).checked_sub(1) else { return 1 };
        let skipped = if self.strategy == Strategy::Mixed && before > 0 { CHANCES_FOR_ONE } else { 0 };
        let first = (before + skipped).saturating_mul(self.singles);
        let up_to = |end: u64| end.saturating_add(count - index) / count;
        up_to(first.saturating_add(self.singles)) - up_to(first)
    }

    /// The unit of this number; `None` after the last one.
    pub(crate) fn unit(&self, number: u64) -> Option<Unit> {
        match self.strategy {
            Strategy::Exhaustive => self.exhaustive(number, 0),
            Strategy::Mixed => self.mixed(number),
            strategy if self.singles > 0 => Some(Unit::Chance { strategy, number }),
            _ => None,
        }
    }

    fn mixed(&self, number: u64) -> Option<Unit> {
        let chances = CHANCES_FOR_ONE.saturating_mul(self.singles);
        let Some(after) = number.checked_sub(self.singles) else { return self.exhaustive(number, 0) };
        if after < chances {
            let strategy = TURNS[(after % TURNS.len() as u64) as usize];
            return Some(Unit::Chance { strategy, number: after });
        }
        self.exhaustive(after - chances, 1)
    }

    /// Unit `number` of the rounds from the one with `first` more deeds on.
    fn exhaustive(&self, number: u64, first: u32) -> Option<Unit> {
        let round = number.checked_div(self.singles)?;
        let more = u32::try_from(round).ok()?.checked_add(first)?;
        (more < self.depth).then_some(Unit::Exhaustive { single: (number % self.singles) as usize, more })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(strategy: Strategy) -> Plan {
        Plan { strategy, depth: 2, singles: 3 }
    }

    #[test]
    fn an_exhaustive_search_goes_round_by_round_and_ends() {
        let units: Vec<Unit> = (0..).map_while(|number| plan(Strategy::Exhaustive).unit(number)).collect();
        let expected = [0, 1].map(|more| (0..3).map(move |single| Unit::Exhaustive { single, more }));
        assert_eq!(units, expected.into_iter().flatten().collect::<Vec<_>>());
    }

    #[test]
    fn a_mixed_search_has_single_deeds_first_then_chance_then_pairs() {
        let units: Vec<Unit> = (0..).map_while(|number| plan(Strategy::Mixed).unit(number)).collect();
        assert_eq!(units.len(), 3 + 24 + 3);
        assert_eq!(units[2], Unit::Exhaustive { single: 2, more: 0 });
        assert_eq!(units[3], Unit::Chance { strategy: Strategy::Random, number: 0 });
        assert_eq!(units[27], Unit::Exhaustive { single: 0, more: 1 });
    }

    #[test]
    fn the_parts_of_a_round_make_the_whole() {
        for (strategy, _) in [Strategy::ALL[0], Strategy::ALL[1]] {
            for (round, whole) in [(0, 2), (1, 3), (2, 3)] {
                let parts = (1..=2).map(|index| plan(strategy).beginnings(round, (index, 2)));
                assert_eq!(parts.sum::<u64>(), whole, "{strategy}, round {round}");
            }
            let second = (0..).map_while(|number| Some((number, plan(strategy).unit(number)?)));
            let second =
                second.filter(|(number, unit)| matches!(unit, Unit::Exhaustive { more: 1, .. }) && number % 2 == 0);
            assert_eq!(plan(strategy).beginnings(2, (1, 2)), second.count() as u64, "{strategy}");
        }
    }

    #[test]
    fn without_choices_there_is_nothing_to_do() {
        for (strategy, _) in Strategy::ALL {
            assert_eq!(Plan { strategy, depth: 2, singles: 0 }.unit(0), None);
        }
    }
}
