//! What is missing, ranked by how many drivers it keeps from going on.

use std::collections::{BTreeMap, BTreeSet};

use report::table::fleet::{Driver, End, Wanted};

/// Rows of the ranking, at most.
const MAX_ROWS: usize = 100;

/// The order in which to model what is missing: each time what leaves the fewest things missing for most drivers. A driver
/// that stopped wants what stopped it and every import that nobody answers, for it may come to them next.
pub(super) fn rank(drivers: &[Driver]) -> Vec<Wanted> {
    let mut open: Vec<BTreeSet<String>> = drivers.iter().filter_map(wants).collect();
    let mut ranking = Vec::new();
    let mut complete = 0;
    while ranking.len() < MAX_ROWS && !open.is_empty() {
        let Some(name) = best(&open) else { break };
        let stopped = drivers.iter().filter(|driver| stops(driver, &name)).count();
        let before = open.len();
        open.retain_mut(|wants| {
            wants.remove(&name);
            !wants.is_empty()
        });
        complete += before - open.len();
        ranking.push(Wanted { name, stopped, complete });
    }
    ranking
}

fn wants(driver: &Driver) -> Option<BTreeSet<String>> {
    let End::Unsupported(wanted, _) = &driver.end else { return None };
    Some(driver.missing.iter().chain([wanted]).cloned().collect())
}

fn stops(driver: &Driver, name: &str) -> bool {
    matches!(&driver.end, End::Unsupported(wanted, _) if wanted == name)
}

/// The thing with the most weight: a driver that wants `n` things gives each of them 1/n², so that what completes a driver
/// comes before what many drivers want among much else. Of equals the first by name.
fn best(open: &[BTreeSet<String>]) -> Option<String> {
    let mut weights: BTreeMap<&String, f64> = BTreeMap::new();
    for wants in open {
        let share = 1.0 / (wants.len() as f64).powi(2);
        wants.iter().for_each(|name| *weights.entry(name).or_default() += share);
    }
    let heavier = |a: &(&String, f64), b: &(&String, f64)| a.1.total_cmp(&b.1).then(b.0.cmp(a.0));
    weights.into_iter().max_by(heavier).map(|(name, _)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn driver(missing: &[&str], stop: &str) -> Driver {
        let mut driver = Driver::new(std::path::Path::new("a.sys"));
        driver.missing = missing.iter().map(|name| (*name).to_owned()).collect();
        driver.end = End::Unsupported(stop.to_owned(), String::new());
        driver
    }

    #[test]
    fn what_completes_most_drivers_comes_first() {
        let drivers = [
            driver(&["a", "b", "c"], "a"),
            driver(&["b"], "b"),
            driver(&["b", "c"], "b"),
            driver(&["d", "e", "f", "g"], "d"),
        ];
        let ranking = rank(&drivers);
        let rows: Vec<(&str, usize, usize)> =
            ranking.iter().map(|row| (row.name.as_str(), row.stopped, row.complete)).collect();
        assert_eq!(rows[..3], [("b", 2, 1), ("c", 0, 2), ("a", 1, 3)]);
        assert_eq!(rows.last().map(|row| row.2), Some(4));
    }

    #[test]
    fn a_driver_that_finished_wants_nothing() {
        let mut finished = driver(&["a"], "a");
        finished.end = End::Finished;
        assert!(rank(&[finished]).is_empty());
    }
}
