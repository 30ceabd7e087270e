//! The contexts in which each function is entered.

use std::collections::BTreeSet;

use smallvec::SmallVec;

use super::handles::{self, Kept};
use super::objects::Objects;
use super::roots::{Root, roots};
use crate::ddi::Role;
use crate::flow::{Event, EventKind, Facts, Range, Target};
use crate::model::Model;

/// Most contexts of one function. What comes later is left out, and counted.
const MAX_CONTEXTS: usize = 12;

/// Ways from function to function that are followed: at least, and for each instruction. Drivers need less than one.
const MIN_STEPS: u64 = 1 << 20;
const STEPS: u64 = 8;

/// A context, in the order in which they were found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ContextId(u32);

/// What holds when a function is entered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    pub(crate) function: u32,
    pub(crate) irql: Range,
    pub(crate) held: Facts,
    /// Initialisation may be over.
    pub(crate) initialised: bool,
    /// From where: the context of the caller, and the instruction. `None` for the system.
    pub(crate) from: Option<(ContextId, u32)>,
    /// Index of the root that the way here begins with.
    pub(crate) root: u32,
    /// The next context of the same function.
    next: Option<ContextId>,
}

/// An event as it is in one context of its function.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    pub(crate) context: ContextId,
    /// Initialisation may be over.
    pub(crate) initialised: bool,
    pub(crate) irql: Range,
    pub(crate) held: Facts,
}

/// The contexts of every function.
pub(crate) struct Reach {
    pub(crate) roots: Vec<Root>,
    contexts: Vec<Context>,
    /// By function: its first context.
    first: Vec<Option<ContextId>>,
    /// Contexts left out.
    pub(crate) left_out: u32,
    /// Functions of which contexts were left out.
    pub(crate) crowded: BTreeSet<usize>,
    /// There were more ways than are followed.
    pub(crate) unfinished: bool,
    pub(crate) objects: Objects,
    pub(crate) kept: Kept,
}

impl Reach {
    /// Follows calls from the routines that the system calls; shortest ways first. Which handles of sections lie where is known
    /// only once every function is interpreted; what depends on it is interpreted again.
    pub(crate) fn new(model: &mut Model<'_>) -> Reach {
        let roots = roots(model);
        let mut objects = Objects::of_roots(model, &roots);
        let calls = handles::calls(model, &objects);
        if !calls.is_empty() {
            model.follow_handles(&calls);
            objects = Objects::of_roots(model, &roots);
        }
        Reach::follow_roots(model, roots, objects)
    }

    fn follow_roots(model: &Model<'_>, roots: Vec<Root>, objects: Objects) -> Reach {
        let first = vec![None; model.functions.all.len()];
        let kept = Kept::find(model, &objects);
        let (contexts, crowded) = (Vec::new(), BTreeSet::new());
        let mut reach = Reach { roots, contexts, first, left_out: 0, crowded, unfinished: false, objects, kept };
        let (held_between, locked) = (reach.held_between_calls(model), model.locked_anywhere());
        for index in 0..reach.roots.len() {
            let Root { function, role, .. } = reach.roots[index];
            let held = match role {
                _ if role.is_asynchronous() => locked,
                _ if role.is_initialisation() => Facts::NONE,
                _ => held_between,
            };
            let initialised = !role.is_initialisation();
            let (function, root) = (function as u32, index as u32);
            reach.enter(Context { function, irql: role.irql(), held, initialised, from: None, root, next: None });
        }
        let (mut next, mut steps) = (0, MIN_STEPS + STEPS * model.functions.instructions);
        while next < reach.contexts.len() && !reach.unfinished {
            let taken = reach.follow(model, ContextId(next as u32));
            reach.unfinished = taken > steps;
            steps = steps.saturating_sub(taken);
            next += 1;
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

    fn enter(&mut self, context: Context) {
        let same = |other: &Context| {
            (other.irql, other.held, other.initialised) == (context.irql, context.held, context.initialised)
        };
        let (mut known, mut last) = (0, None);
        for (id, other) in self.of(context.function as usize) {
            if same(other) {
                return;
            }
            (known, last) = (known + 1, Some(id));
        }
        if known >= MAX_CONTEXTS {
            self.left_out += 1;
            self.crowded.insert(context.function as usize);
            return;
        }
        let id = Some(ContextId(self.contexts.len() as u32));
        match last {
            Some(ContextId(last)) => self.contexts[last as usize].next = id,
            None => self.first[context.function as usize] = id,
        }
        self.contexts.push(context);
    }

    /// Follows what a function calls in a context; how many ways that were.
    fn follow(&mut self, model: &Model<'_>, id: ContextId) -> u64 {
        let context = *self.context(id);
        let mut taken = 0;
        for event in model.events.of(context.function as usize) {
            let EventKind::Call { target, .. } = event.kind else { continue };
            let Some(irql) = event.irql.at(context.irql) else { continue };
            let callees: SmallVec<[usize; 4]> = self.targets(model, context.function as usize, target).collect();
            taken += callees.len() as u64;
            for callee in callees {
                let (function, from) = (callee as u32, Some((id, event.at)));
                // It matters only where both may be: it makes no contexts elsewhere.
                let settled = if irql.never_faults() || !irql.may_not_fault() { Facts::WAITS } else { Facts::NONE };
                let held = event.held.at(context.held).without(settled);
                self.enter(Context { function, irql, held, from, next: None, ..context });
            }
        }
        taken
    }

    /// The functions, by index, that a call in a function may lead to.
    pub(crate) fn targets(&self, model: &Model<'_>, function: usize, target: Target) -> impl Iterator<Item = usize> {
        model.targets(target).chain(self.objects.targets(function as u32, target))
    }

    pub(crate) fn context(&self, ContextId(index): ContextId) -> &Context {
        &self.contexts[index as usize]
    }

    /// What the way to a context begins with.
    pub(crate) fn role(&self, id: ContextId) -> Role {
        self.roots[self.context(id).root as usize].role
    }

    /// Does the audit know a way to a function?
    pub(crate) fn is_reached(&self, function: usize) -> bool {
        self.first[function].is_some()
    }

    /// The contexts of a function.
    pub(crate) fn of(&self, function: usize) -> impl Iterator<Item = (ContextId, &Context)> {
        std::iter::successors(self.first[function], |id| self.context(*id).next).map(|id| (id, self.context(id)))
    }

    /// An event in each context of its function in which it is reached.
    pub(crate) fn at(&self, function: usize, event: &Event) -> impl Iterator<Item = Way> {
        let Event { irql, held, .. } = *event;
        self.of(function).filter_map(move |(id, context)| {
            let (irql, held) = (irql.at(context.irql)?, held.at(context.held));
            Some(Way { context: id, initialised: context.initialised, irql, held })
        })
    }

    /// These functions, and those that are reached from them by calls.
    pub(crate) fn reached_from(&self, model: &Model<'_>, functions: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let mut seen = vec![false; self.first.len()];
        let new = |function: &usize| !std::mem::replace(&mut seen[*function], true);
        let mut found: Vec<usize> = functions.into_iter().filter(new).collect();
        let mut next = 0;
        while next < found.len() {
            for event in model.events.of(found[next]) {
                let EventKind::Call { target, .. } = event.kind else { continue };
                for callee in self.targets(model, found[next], target) {
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
