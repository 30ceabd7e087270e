//! The contexts in which each function is entered.

use std::collections::VecDeque;

use super::roots::Root;
use crate::flow::{Event, EventKind, Facts, Range};
use crate::model::Model;

/// Most contexts of one function. What comes later is left out, and counted.
const MAX_CONTEXTS: usize = 12;

/// What holds when a function is entered.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) irql: Range,
    pub(crate) held: Facts,
    /// Initialisation may be over.
    pub(crate) initialised: bool,
    /// From where: function, its context, and the instruction. `None` for the system.
    pub(crate) from: Option<(usize, usize, u32)>,
    /// Index of the root that the way here begins with.
    pub(crate) root: usize,
}

/// The contexts of every function.
pub(crate) struct Reach {
    pub(crate) roots: Vec<Root>,
    /// By function.
    pub(crate) contexts: Vec<Vec<Context>>,
    /// Contexts left out.
    pub(crate) left_out: u32,
}

impl Reach {
    /// Follows calls from the roots; shortest ways first.
    pub(crate) fn new(model: &Model<'_>, roots: Vec<Root>) -> Reach {
        let contexts = vec![Vec::new(); model.functions.all.len()];
        let mut reach = Reach { roots, contexts, left_out: 0 };
        let (held_between, locked) = (reach.held_between_calls(model), model.locked_anywhere());
        let mut pending = VecDeque::new();
        for index in 0..reach.roots.len() {
            let Root { function, role, .. } = reach.roots[index];
            let held = match role {
                _ if role.is_asynchronous() => locked,
                _ if role.is_initialisation() => Facts::NONE,
                _ => held_between,
            };
            let initialised = !role.is_initialisation();
            let context = Context { irql: role.irql(), held, initialised, from: None, root: index };
            reach.enter(function, context, &mut pending);
        }
        while let Some((function, context)) = pending.pop_front() {
            reach.follow(model, function, context, &mut pending);
        }
        reach
    }

    /// Sections that may stay locked when a routine that the system calls has returned.
    fn held_between_calls(&self, model: &Model<'_>) -> Facts {
        self.roots
            .iter()
            .fold(Facts::NONE, |all, root| all.or(model.summaries[root.function].held.perhaps))
            .and(Facts::ALL_SECTIONS)
    }

    fn enter(&mut self, function: usize, context: Context, pending: &mut VecDeque<(usize, usize)>) {
        let known = &mut self.contexts[function];
        let same = |other: &Context| {
            (other.irql, other.held, other.initialised) == (context.irql, context.held, context.initialised)
        };
        if known.iter().any(same) {
            return;
        }
        if known.len() >= MAX_CONTEXTS {
            self.left_out += 1;
            return;
        }
        pending.push_back((function, known.len()));
        known.push(context);
    }

    fn follow(&mut self, model: &Model<'_>, function: usize, index: usize, pending: &mut VecDeque<(usize, usize)>) {
        let context = self.contexts[function][index].clone();
        for event in &model.events[function] {
            let EventKind::Call { target, .. } = &event.kind else { continue };
            let Some(irql) = event.irql.at(context.irql) else { continue };
            for callee in model.targets(target) {
                let from = Some((function, index, event.at));
                let next = Context { irql, held: event.held.at(context.held), from, ..context };
                self.enter(callee, next, pending);
            }
        }
    }

    /// The levels of an event in each context of its function in which it is reached.
    pub(crate) fn at<'r>(
        &'r self,
        function: usize,
        event: &'r Event,
    ) -> impl Iterator<Item = (usize, &'r Context, Range, Facts)> {
        self.contexts[function].iter().enumerate().filter_map(|(index, context)| {
            Some((index, context, event.irql.at(context.irql)?, event.held.at(context.held)))
        })
    }

    /// Functions that are reached from a root by calls.
    pub(crate) fn reached_from(&self, model: &Model<'_>, function: usize) -> Vec<usize> {
        let mut seen = vec![false; self.contexts.len()];
        let mut found = vec![function];
        seen[function] = true;
        let mut next = 0;
        while next < found.len() {
            for event in &model.events[found[next]] {
                let EventKind::Call { target, .. } = &event.kind else { continue };
                for callee in model.targets(target) {
                    if !std::mem::replace(&mut seen[callee], true) {
                        found.push(callee);
                    }
                }
            }
            next += 1;
        }
        found
    }
}
