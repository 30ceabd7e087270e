//! What is known of a driver before anything is judged: its functions, what they do, and what the system calls.

use driver_image::{Image, ImageError};
use nt_types::Rva;

use crate::code::{Functions, ImportId, Program};
use crate::ddi::Does;
use crate::flow::{Event, EventKind, Facts, Interpreter, Summary, Target, Value};

/// A driver, interpreted.
pub(crate) struct Model<'a> {
    pub(crate) program: Program<'a>,
    pub(crate) functions: Functions,
    /// By function: what it does, in the order of addresses.
    pub(crate) events: Vec<Vec<Event>>,
    /// By function.
    pub(crate) summaries: Vec<Summary>,
    /// Functions whose values were given up.
    pub(crate) gave_up: u32,
    /// Addresses of code that the driver stores in its own data: place and code, sorted.
    stores: Vec<(u32, u32)>,
}

/// Most functions that one place or table is taken to lead to.
const MAX_TARGETS: usize = 64;

impl<'a> Model<'a> {
    /// Reads and interprets a driver. `names` are functions that symbols name.
    pub(crate) fn new(image: &'a Image, names: &[Rva]) -> Result<Model<'a>, ImageError> {
        let program = Program::new(image)?;
        let functions = Functions::find(&program, names);
        let mut events = vec![Vec::new(); functions.all.len()];
        let mut gave_up = 0;
        let mut interpreter = Interpreter::new(&program, &functions);
        for index in callees_first(&functions) {
            let flow = interpreter.run(index);
            gave_up += u32::from(flow.gave_up);
            events[index] = flow.events;
        }
        let summaries = interpreter.summaries;
        let stores = stores(&events);
        Ok(Model { program, functions, events, summaries, gave_up, stores })
    }

    /// The functions, by index, that a call may lead to.
    pub(crate) fn targets(&self, target: &Target) -> Vec<usize> {
        match *target {
            Target::Function(entry) => self.functions.at(entry).into_iter().collect(),
            Target::Place { rva, table: false } => {
                let first = self.stores.partition_point(|(place, _)| *place < rva);
                let stored = self.stores[first..].iter().take_while(|(place, _)| *place == rva).map(|(_, code)| *code);
                let codes = self.program.pointer_at(rva).into_iter().chain(stored);
                codes.filter_map(|code| self.functions.at(code)).take(MAX_TARGETS).collect()
            }
            Target::Place { rva, table: true } => {
                let places = (0..MAX_TARGETS as u32).map_while(|n| self.program.pointer_at(rva.checked_add(n * 8)?));
                places.map_while(|code| self.functions.at(code)).collect()
            }
            Target::Import(_) | Target::Unknown => Vec::new(),
        }
    }

    /// Every event, with the index of its function.
    pub(crate) fn all_events(&self) -> impl Iterator<Item = (usize, &Event)> {
        self.events.iter().enumerate().flat_map(|(index, events)| events.iter().map(move |event| (index, event)))
    }

    /// Every call of an import, with the index of its function and its parameters.
    pub(crate) fn import_calls(&self) -> impl Iterator<Item = (usize, &Event, ImportId, &[Value])> {
        self.all_events().filter_map(|(index, event)| match &event.kind {
            EventKind::Call { target: Target::Import(id), arguments } => Some((index, event, *id, &arguments[..])),
            _ => None,
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
            match functions.all[index].callees.get(next) {
                Some(&callee) => stack.extend([(index, next + 1), (callee as usize, 0)]),
                None => order.push(index),
            }
        }
    }
    order
}

fn stores(events: &[Vec<Event>]) -> Vec<(u32, u32)> {
    let stored = events.iter().flatten().filter_map(|event| match event.kind {
        EventKind::StoreGlobal { rva, value: Value::Image(code) } => Some((rva, code)),
        _ => None,
    });
    let mut stores: Vec<(u32, u32)> = stored.collect();
    stores.sort_unstable();
    stores.dedup();
    stores
}
