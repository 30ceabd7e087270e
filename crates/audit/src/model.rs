//! What is known of a driver before anything is judged: its functions, what they do, and what the system calls.

use std::collections::BTreeSet;

use driver_image::{Image, ImageError};
use nt_types::Rva;

use crate::code::{Functions, ImportId, Program};
use crate::ddi::Does;
use crate::flow::{Event, EventKind, Events, Facts, Followed, Handles, Interpreter, Summary, Target, Value};

/// A driver, interpreted.
pub(crate) struct Model<'a> {
    pub(crate) program: Program<'a>,
    pub(crate) functions: Functions,
    pub(crate) events: Events,
    /// By function.
    pub(crate) summaries: Vec<Summary>,
    /// Functions whose values were given up.
    pub(crate) gave_up: Vec<usize>,
    /// Functions that were not followed at all.
    pub(crate) unfollowed: Vec<usize>,
    /// Addresses of code that the driver stores in its own data: place and code, sorted.
    stores: Vec<(u32, u32)>,
    /// Calls of imports: functions and indices of their events.
    import_calls: Vec<(u32, u32)>,
}

/// Most functions that one place or table is taken to lead to.
const MAX_TARGETS: usize = 64;

impl<'a> Model<'a> {
    /// Reads and interprets a driver. `names` are functions that symbols name.
    pub(crate) fn new(image: &'a Image, names: &BTreeSet<Rva>) -> Result<Model<'a>, ImageError> {
        let program = Program::new(image)?;
        let functions = Functions::find(&program, names);
        let (mut gave_up, mut unfollowed) = (Vec::new(), Vec::new());
        let mut interpreter = Interpreter::new(&program, &functions);
        for index in callees_first(&functions) {
            match interpreter.run(index) {
                Followed::Wholly => {}
                Followed::WithoutValues => gave_up.push(index),
                Followed::NotAtAll => unfollowed.push(index),
            }
        }
        let Interpreter { summaries, events, .. } = interpreter;
        let (stores, import_calls) = (Vec::new(), Vec::new());
        let mut model = Model { program, functions, events, summaries, gave_up, unfollowed, stores, import_calls };
        model.index();
        Ok(model)
    }

    /// Interprets again what depends on calls that are given a handle of which the section is known by now: `calls` are
    /// functions, addresses in them, and indices of sections.
    pub(crate) fn follow_handles(&mut self, calls: &[(usize, u32, usize)]) {
        if calls.is_empty() {
            return;
        }
        let mut depends = vec![false; self.functions.all.len()];
        calls.iter().for_each(|(function, ..)| depends[*function] = true);
        let handles = Handles::known(calls.iter().map(|&(_, at, section)| (at, section)));
        let (summaries, events) = (std::mem::take(&mut self.summaries), std::mem::take(&mut self.events));
        let mut interpreter = Interpreter::again(&self.program, &self.functions, summaries, events, handles);
        for index in callees_first(&self.functions) {
            let calls = || self.functions.callees(index).iter().any(|&callee| depends[callee as usize]);
            if depends[index] || calls() {
                depends[index] = true;
                interpreter.run(index);
            }
        }
        let Interpreter { summaries, events, .. } = interpreter;
        (self.summaries, self.events) = (summaries, events);
        self.index();
    }

    /// Notes the events that are asked for again and again.
    fn index(&mut self) {
        (self.stores, self.import_calls) = (Vec::new(), Vec::new());
        for function in 0..self.functions.all.len() {
            for (index, event) in self.events.of(function).iter().enumerate() {
                match event.kind {
                    EventKind::StoreGlobal { rva, value: Value::Image(code) } => self.stores.push((rva, code)),
                    EventKind::Call { target: Target::Import(_), .. } => {
                        self.import_calls.push((function as u32, index as u32));
                    }
                    _ => {}
                }
            }
        }
        self.stores.sort_unstable();
        self.stores.dedup();
    }

    /// The functions, by index, that a call may lead to.
    pub(crate) fn targets(&self, target: Target) -> impl Iterator<Item = usize> {
        let (function, place, table) = match target {
            Target::Function(index) => (Some(index as usize), None, None),
            Target::Place { rva, table: false } => (None, Some(rva), None),
            Target::Place { rva, table: true } => (None, None, Some(rva)),
            Target::Import(_) | Target::Unknown | Target::Loaded(_) => (None, None, None),
        };
        let at_place = place.into_iter().flat_map(|rva| self.at_place(rva));
        function.into_iter().chain(at_place).chain(table.into_iter().flat_map(|rva| self.in_table(rva)))
    }

    /// May a call lead to functions that are not known?
    pub(crate) fn is_open(&self, target: Target) -> bool {
        match target {
            Target::Function(_) | Target::Import(_) => false,
            Target::Place { .. } => !(1..MAX_TARGETS).contains(&self.targets(target).count()),
            Target::Unknown | Target::Loaded(_) => true,
        }
    }

    /// Functions whose addresses a place of the image may hold.
    fn at_place(&self, rva: u32) -> impl Iterator<Item = usize> {
        self.codes_at(rva).filter_map(|code| self.functions.at(code))
    }

    /// Addresses of code that a place of the image may hold.
    pub(crate) fn codes_at(&self, rva: u32) -> impl Iterator<Item = u32> {
        let first = self.stores.partition_point(|(place, _)| *place < rva);
        let stored = self.stores[first..].iter().take_while(move |(place, _)| *place == rva).map(|(_, code)| *code);
        self.program.pointer_at(rva).into_iter().chain(stored).take(MAX_TARGETS)
    }

    /// Functions whose addresses a table of the image holds.
    fn in_table(&self, rva: u32) -> impl Iterator<Item = usize> {
        let places = (0..MAX_TARGETS as u32).map_while(move |n| self.program.pointer_at(rva.checked_add(n * 8)?));
        places.map_while(|code| self.functions.at(code))
    }

    /// Every event, with the index of its function.
    pub(crate) fn all_events(&self) -> impl Iterator<Item = (usize, &Event)> {
        (0..self.functions.all.len()).flat_map(|index| self.events.of(index).iter().map(move |event| (index, event)))
    }

    /// Every call of an import, with the index of its function and its parameters.
    pub(crate) fn import_calls(&self) -> impl Iterator<Item = (usize, &Event, ImportId, &[Value])> {
        self.import_calls.iter().filter_map(|&(function, index)| {
            let event = self.events.of(function as usize).get(index as usize)?;
            match event.kind {
                EventKind::Call { target: Target::Import(id), arguments } => {
                    Some((function as usize, event, id, self.events.arguments(arguments)))
                }
                _ => None,
            }
        })
    }

    /// Does a routine do this?
    pub(crate) fn does(&self, id: ImportId, does: Does) -> bool {
        self.program.import(id).routine.is_some_and(|routine| routine.does.contains(&does))
    }

    /// Does the driver call a routine that does this, anywhere?
    pub(crate) fn anywhere(&self, does: Does) -> bool {
        self.import_calls().any(|(_, _, id, _)| self.does(id, does))
    }

    /// Sections that the driver locks, anywhere.
    pub(crate) fn locked_anywhere(&self) -> Facts {
        self.summaries.iter().fold(Facts::NONE, |all, summary| all.or(summary.locks))
    }
}

/// Functions in an order in which each follows what it calls, cycles apart.
fn callees_first(functions: &Functions) -> Vec<usize> {
    let mut order = Vec::with_capacity(functions.all.len());
    let mut seen = vec![false; functions.all.len()];
    for root in 0..functions.all.len() {
        let mut stack = vec![(root, 0)];
        while let Some((index, next)) = stack.pop() {
            if next == 0 && std::mem::replace(&mut seen[index], true) {
                continue;
            }
            match functions.callees(index).get(next) {
                Some(&callee) => stack.extend([(index, next + 1), (callee as usize, 0)]),
                None => order.push(index),
            }
        }
    }
    order
}
