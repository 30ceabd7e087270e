//! The walk over small random graphs, compared with one that recognises nothing and is written down as simply as can be.

use std::collections::BTreeSet;
use std::hash::Hash;
use std::rc::Rc;

use interpreter::Interpreter;
use kernel::{Coverage, RequestId, StateHasher};
use proptest::prelude::{Strategy, prop, prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::failure::Kind;

/// Nothing is known of a run that has taken so long.
const LIMIT: u64 = 14;

/// A state of a run. Numbers of other nodes are greater than its own, so every run ends.
#[derive(Clone, Debug)]
struct Node {
    /// What is found where a run comes here.
    finds: Option<u8>,
    /// Where each deed leads.
    deeds: Vec<usize>,
    /// Where doing nothing leads; to an end where there is no such node.
    next: usize,
    /// How long it takes.
    takes: u64,
    /// Whoever comes here looks at the time, and finds something where that is even.
    looks: bool,
}

fn graph() -> impl Strategy<Value = Vec<Node>> {
    let edges = (prop::collection::vec(1usize..6, 0..4), 1usize..4);
    let node = (prop::option::weighted(0.2, 0u8..4), edges, 1u64..4, prop::bool::weighted(0.2));
    prop::collection::vec(node, 1..14).prop_map(|nodes| {
        let nodes = nodes.into_iter().enumerate().map(|(at, (finds, (deeds, next), takes, looks))| {
            let deeds = deeds.into_iter().map(|by| at + by).collect();
            Node { finds, deeds, next: at + next, takes, looks }
        });
        nodes.collect()
    })
}

/// A run through the graph.
#[derive(Clone)]
struct Run {
    graph: Rc<Vec<Node>>,
    at: usize,
    is_pending: bool,
    answer: Option<Option<Deed>>,
    stops: Option<bool>,
    found: Vec<Signature>,
    clock: Clock,
    /// States are known.
    sees: bool,
}

impl Node {
    /// What is found where a run comes here at this time.
    fn finds_at(&self, time: u64) -> impl Iterator<Item = Signature> {
        let at_even_times = (self.looks && time.is_multiple_of(2)).then_some(9);
        self.finds.into_iter().chain(at_even_times).map(signature)
    }
}

fn signature(code: u8) -> Signature {
    Signature { kind: Kind::Finding, code: code.to_string(), place: 0 }
}

/// True where nothing is known of what comes after this end.
fn is_unknown(end: usize) -> bool {
    end.is_multiple_of(3)
}

impl Run {
    fn enter(&mut self, node: usize) {
        self.at = node;
        let Some(node) = self.graph.get(node) else { return };
        self.found.extend(node.finds_at(self.clock.steps));
        self.clock = Clock { steps: self.clock.steps + node.takes, looks: self.clock.looks + u64::from(node.looks) };
    }
}

impl Path for Run {
    fn branch(&mut self) -> Run {
        self.clone()
    }

    fn stop(&mut self, at_all: bool) {
        self.stops = Some(at_all);
    }

    fn stop_no_more(&mut self) {
        self.stops = None;
    }

    fn advance(&mut self, _engine: &mut dyn Engine<Memory>) -> Option<Ending> {
        loop {
            if self.clock.steps >= LIMIT {
                return Some(Ending::Impossible(String::new()));
            }
            let Some(node) = self.graph.get(self.at).cloned() else {
                return Some(if is_unknown(self.at) { Ending::Impossible(String::new()) } else { Ending::Finished });
            };
            let stops = self.stops.is_some_and(|at_all| at_all || !node.deeds.is_empty());
            match self.answer.take() {
                None if stops => {
                    self.is_pending = true;
                    return None;
                }
                Some(Some(Deed::Cancel(RequestId(which)))) => self.enter(node.deeds[which]),
                _ => self.enter(node.next),
            }
        }
    }

    fn deeds(&mut self) -> Vec<Deed> {
        (0..self.graph[self.at].deeds.len()).map(|which| Deed::Cancel(RequestId(which))).collect()
    }

    fn answer(&mut self, deed: Option<Deed>) {
        assert!(std::mem::take(&mut self.is_pending), "nothing was asked");
        self.answer = Some(deed);
    }

    fn found(&mut self) -> Vec<Signature> {
        std::mem::take(&mut self.found)
    }

    fn state_with(&mut self, more: u32) -> Option<State> {
        let mut state = StateHasher::default();
        (self.at, more).hash(&mut state);
        let (now_ns, room) = (self.clock.steps, LIMIT.saturating_sub(self.clock.steps));
        self.sees.then(|| State::new(state.finish_128(), now_ns, self.clock, room))
    }

    fn clock(&mut self) -> Clock {
        self.clock
    }

    fn is_landmark(&mut self) -> bool {
        self.at.is_multiple_of(2)
    }

    fn conclude(mut self, end: End, mut found: Vec<Signature>) -> Walked {
        found.extend(self.found());
        Walked { end, schedule: Vec::new(), failures: found, coverage: Coverage::default(), steps: 0, choices: 0 }
    }
}

/// Hears of runs and keeps what they found.
#[derive(Default)]
struct Listener {
    seen: Seen,
    found: BTreeSet<Signature>,
    sum: Tally,
    runs: u64,
}

impl Visitor for Listener {
    fn ended(&mut self, walked: Walked) {
        self.runs += 1;
        self.sum.add(walked.tally_after(0));
        self.found.extend(walked.failures);
    }

    fn known(&mut self, tally: Tally) {
        self.sum.add(tally);
    }

    fn seen(&self) -> &Seen {
        &self.seen
    }

    fn is_over(&self) -> bool {
        false
    }

    fn begin(&mut self) -> bool {
        true
    }
}

/// Every run that begins where `node` is entered at this time, with `more` deeds: what is found after the last of them, and
/// whether its end is unknown.
fn every_run(graph: &[Node], node: usize, time: u64, more: u32) -> Vec<(BTreeSet<Signature>, bool)> {
    let (mut at, mut time) = (node, time);
    let mut found = BTreeSet::new();
    // Where deeds lead, and when.
    let mut deeds = Vec::new();
    while let Some(node) = graph.get(at) {
        found.extend(node.finds_at(time));
        time += node.takes;
        if time >= LIMIT {
            break;
        }
        deeds.extend(node.deeds.iter().map(|target| (*target, time)));
        at = node.next;
    }
    match more {
        0 => vec![(found, time >= LIMIT || is_unknown(at))],
        _ => deeds.into_iter().flat_map(|(target, time)| every_run(graph, target, time, more - 1)).collect(),
    }
}

fn tally(runs: &[(BTreeSet<Signature>, bool)]) -> Tally {
    let failed = runs.iter().filter(|(found, _)| !found.is_empty()).count() as u64;
    let unknown = runs.iter().filter(|(found, unknown)| found.is_empty() && *unknown).count() as u64;
    Tally { schedules: runs.len() as u64, failed, unknown }
}

proptest! {
    #[test]
    fn recognising_states_changes_no_count_and_no_finding(graph in graph(), rounds in 1u32..4) {
        let (graph, mut engine) = (Rc::new(graph), Interpreter::<Memory>::default());
        for sees in [false, true] {
            // What one round has learnt the next one uses.
            let mut listener = Listener::default();
            for more in 0..rounds {
                let mut run = Run {
                    graph: Rc::clone(&graph),
                    at: 0,
                    is_pending: false,
                    answer: None,
                    stops: None,
                    found: Vec::new(),
                    clock: Clock::default(),
                    sees,
                };
                run.enter(0);
                let expected = every_run(&graph, 0, 0, more);
                (listener.sum, listener.runs) = (Tally::default(), 0);
                let sum = all_below(run, &mut engine, more, &mut listener);
                prop_assert_eq!(sum.map(|below| below.tally), Some(tally(&expected)));
                prop_assert_eq!(listener.sum, tally(&expected));
                let spared = listener.sum.schedules - listener.runs;
                prop_assert!(sees || spared == 0);
            }
            let all = (0..rounds).flat_map(|more| every_run(&graph, 0, 0, more)).flat_map(|(found, _)| found);
            prop_assert_eq!(&listener.found, &all.collect::<BTreeSet<_>>());
        }
    }
}
