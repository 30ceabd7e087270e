//! A function as a whole: the fixed point over its blocks, and what it comes to.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use iced_x86::{FlowControl, Instruction, InstructionInfoFactory, Register};

use super::adapter;
use super::calls::Calls;
use super::events::Events;
use super::handles::Handles;
use super::irql::IrqlSet;
use super::levels;
use super::registers::{self, Registers};
use super::state::{Compared, State};
use super::step::{self, Stepper};
use super::summary::Summary;
use super::value::Value;
use crate::code::{Block, Function, Functions, Graph, Program};

/// How often a block is looked at before values are given up.
const MAX_VISITS: u8 = 12;
/// Instructions and ways between blocks that may be followed: at least, for each instruction of one function, and for each of
/// all. Functions of a compiler need about two for each.
const MIN_STEPS: u64 = 1 << 16;
const STEPS_OF_FUNCTION: u64 = 64;
const STEPS_OF_ALL: u64 = 16;
/// Most blocks of a function that is followed: what is known of each takes half a kilobyte. The longest functions of drivers
/// that others ship have 14,000.
const MAX_BLOCKS: usize = 1 << 15;
/// Blocks for which memory is kept from one function to the next.
const KEPT_POINTS: usize = 1 << 12;

/// Interprets the functions of one image.
pub(crate) struct Interpreter<'p> {
    program: &'p Program<'p>,
    functions: &'p Functions,
    /// By function.
    pub(crate) summaries: Vec<Summary>,
    pub(crate) events: Events,
    handles: Handles,
    graph: Graph,
    space: Space,
    info: InstructionInfoFactory,
    /// Steps that are left for all functions.
    steps: u64,
}

/// How far a function was followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Followed {
    Wholly,
    /// Values were given up to come to an end.
    WithoutValues,
    /// It would have cost too much; nothing is known of it.
    NotAtAll,
}

impl<'p> Interpreter<'p> {
    pub(crate) fn new(program: &'p Program<'p>, functions: &'p Functions) -> Interpreter<'p> {
        let summaries = vec![Summary::default(); functions.all.len()];
        let (events, handles) = (Events::new(functions.all.len()), Handles::unknown(program.locks_sections()));
        Interpreter::again(program, functions, summaries, events, handles)
    }

    /// Goes on with what is known already, and with handles.
    pub(crate) fn again(
        program: &'p Program<'p>,
        functions: &'p Functions,
        summaries: Vec<Summary>,
        events: Events,
        handles: Handles,
    ) -> Interpreter<'p> {
        Interpreter {
            program,
            functions,
            summaries,
            events,
            handles,
            graph: Graph::default(),
            space: Space::default(),
            info: InstructionInfoFactory::new(),
            steps: (MIN_STEPS << 4) + STEPS_OF_ALL * functions.instructions,
        }
    }

    /// Interprets a function with the summaries that there are, and adds its own.
    pub(crate) fn run(&mut self, index: usize) -> Followed {
        let function = &self.functions.all[index];
        self.graph.read(self.program, function);
        if self.graph.blocks.len() > MAX_BLOCKS {
            return Followed::NotAtAll;
        }
        self.space.begin(self.graph.blocks.len());
        let calls = Calls::new(self.program, self.functions, &self.summaries, &self.handles);
        let stepper = Stepper { calls, info: &mut self.info, switched: None };
        let limit = (MIN_STEPS + STEPS_OF_FUNCTION * self.graph.code.instructions.len() as u64).min(self.steps);
        let mut walk =
            Walk { graph: &self.graph, function, stepper, space: &mut self.space, gave_up: false, steps: limit };
        let ended = walk.find_fixed_point();
        if !ended {
            self.steps -= limit - walk.steps;
            return Followed::NotAtAll;
        }
        let mark = self.events.mark();
        let (events, summary) = walk.record(std::mem::take(&mut self.events));
        let gave_up = walk.gave_up;
        let mut events = walk.settle(events, mark, summary.balance.perhaps_below(1));
        self.steps -= limit - walk.steps;
        events.end_function(index, mark);
        self.events = events;
        let keeps = registers::kept(&self.graph, (function, self.functions), &self.summaries, &mut self.info);
        self.summaries[index] = Summary { keeps, ..summary };
        if gave_up { Followed::WithoutValues } else { Followed::Wholly }
    }
}

/// What is known at the start of a block, and how far it was followed.
#[derive(Default)]
pub(super) struct Point {
    pub(super) state: State,
    pub(super) reached: bool,
    pending: bool,
    pub(super) unlocks: bool,
    pub(super) keeps: bool,
    visits: u8,
}

/// Memory that serves for one function after the other.
#[derive(Default)]
pub(super) struct Space {
    pub(super) points: Vec<Point>,
    /// Blocks to look at; in the order of addresses, which is nearly that of execution.
    pending: BinaryHeap<Reverse<u32>>,
    /// Within a block.
    state: State,
}

impl Space {
    pub(super) fn begin(&mut self, blocks: usize) {
        self.pending.clear();
        self.points.truncate(blocks.max(KEPT_POINTS));
        for point in self.points.iter_mut().take(blocks) {
            (point.reached, point.pending, point.visits) = (false, false, 0);
            (point.unlocks, point.keeps) = (false, false);
        }
        while self.points.len() < blocks {
            self.points.push(Point::default());
        }
    }

    fn push(&mut self, index: u32) {
        if !std::mem::replace(&mut self.points[index as usize].pending, true) {
            self.pending.push(Reverse(index));
        }
    }

    fn pop(&mut self) -> Option<u32> {
        let Reverse(index) = self.pending.pop()?;
        self.points[index as usize].pending = false;
        Some(index)
    }
}

pub(super) struct Walk<'w, 'p> {
    pub(super) graph: &'w Graph,
    function: &'p Function,
    pub(super) stepper: Stepper<'w, 'p>,
    pub(super) space: &'w mut Space,
    pub(super) gave_up: bool,
    /// Steps that are left.
    pub(super) steps: u64,
}

/// Where control goes after a block.
#[derive(PartialEq)]
pub(super) enum After {
    Next,
    Returns,
    Stops,
}

impl Walk<'_, '_> {
    /// False if that takes more steps than there are.
    fn find_fixed_point(&mut self) -> bool {
        let graph = self.graph;
        for (n, &entry) in graph.entries.iter().enumerate() {
            let is_entry = n == 0 && graph.blocks[entry as usize].start == self.function.entry;
            self.enter(entry, &if is_entry { State::default() } else { State::anywhere() });
        }
        self.follow()
    }

    /// Control arrives at a block.
    pub(super) fn enter(&mut self, block: u32, state: &State) {
        let point = &mut self.space.points[block as usize];
        point.state.clone_from(state);
        point.reached = true;
        self.space.push(block);
    }

    /// Follows the blocks that are pending; false if that takes more steps than there are.
    pub(super) fn follow(&mut self) -> bool {
        let graph = self.graph;
        let mut state = std::mem::take(&mut self.space.state);
        while let Some(index) = self.space.pop() {
            let block = &graph.blocks[index as usize];
            let steps = graph.instructions(block).len() + graph.successors(block).len();
            let Some(left) = self.steps.checked_sub(steps as u64) else { return false };
            self.steps = left;
            let point = &mut self.space.points[index as usize];
            point.visits = point.visits.saturating_add(1);
            state.clone_from(&point.state);
            if self.block(block, &mut state) == After::Next {
                self.spread(block, &mut state);
            }
        }
        self.space.state = state;
        true
    }

    fn spread(&mut self, block: &Block, after: &mut State) {
        let last = self.graph.last(block);
        let conditional = last.flow_control() == FlowControl::ConditionalBranch;
        let (held, balance, compared) = (after.held, after.balance, after.compared);
        // What was read of the level, or is the result of a call, is narrowed on each way otherwise.
        let switched = self.stepper.switched.filter(|_| last.flow_control() == FlowControl::IndirectBranch);
        let narrows = switched.is_some() || matches!(compared, Some(Compared::Irql(..) | Compared::Result(_)));
        let wide = narrows.then(|| after.clone());
        for &successor in self.graph.successors(block) {
            if conditional {
                let start = self.graph.blocks[successor as usize].start;
                step::refine(after, last, u64::from(start) == last.near_branch_target());
            }
            if let Some((_, form)) = switched.filter(|(level, _)| *level == after.irql) {
                let (program, start) = (self.stepper.calls.program, self.graph.blocks[successor as usize].start);
                let target = |index| self.graph.code.switch_target(program, last.ip() as u32, index);
                levels::choose(after, form, |index| target(index) == Some(start));
            }
            let point = &mut self.space.points[successor as usize];
            let changed = match (point.visits > MAX_VISITS, point.reached) {
                (true, _) => {
                    self.gave_up = true;
                    let mut state = after.clone();
                    state.give_up();
                    point.state.join(&state)
                }
                (false, true) => point.state.join(after),
                (false, false) => {
                    point.state.clone_from(after);
                    true
                }
            };
            point.reached = true;
            if changed && point.visits < u8::MAX {
                self.space.push(successor);
            }
            match &wide {
                Some(wide) => after.clone_from(wide),
                None => (after.held, after.balance, after.compared) = (held, balance, compared),
            }
        }
    }

    pub(super) fn block(&mut self, block: &Block, state: &mut State) -> After {
        let graph = self.graph;
        let stays = !graph.successors(block).is_empty();
        self.stepper.switched = None;
        let code = graph.instructions(block);
        for (at, instruction) in code.iter().enumerate() {
            let leaves = !stays && is_jump(instruction);
            let called = instruction.flow_control() == FlowControl::IndirectCall;
            let of_adapter = || adapter::routine(self.stepper.calls.program, &code[..at], instruction);
            self.stepper.calls.of_adapter = called.then(of_adapter).flatten();
            self.stepper.step(state, instruction, leaves);
            if self.stepper.calls.stopped {
                return After::Stops;
            }
            if leaves || instruction.flow_control() == FlowControl::Return {
                return After::Returns;
            }
        }
        if stays { After::Next } else { After::Stops }
    }

    /// Does the block end with a conditional jump out of the function? It is a call, and if that returns, so does the function;
    /// `state` becomes that at its end.
    fn leaves_by_condition(&mut self, block: &Block, state: &mut State) -> bool {
        let last = self.graph.last(block);
        let leaves = last.flow_control() == FlowControl::ConditionalBranch && !self.graph.leads_on(last);
        if leaves {
            step::refine(state, last, true);
            self.stepper.step(state, last, true);
        }
        leaves && !self.stepper.calls.stopped
    }

    /// Follows a block; true if the function can return from it, with `state` at its end.
    pub(super) fn returns(&mut self, block: &Block, state: &mut State) -> bool {
        match self.block(block, state) {
            After::Returns => true,
            After::Next => self.leaves_by_condition(block, state),
            After::Stops => false,
        }
    }

    /// Goes over each block once more, now that the states are known, and records.
    fn record(&mut self, events: Events) -> (Events, Summary) {
        let graph = self.graph;
        self.stepper.calls.events = Some(events);
        let mut end: Option<State> = None;
        let mut state = std::mem::take(&mut self.space.state);
        for (index, block) in graph.blocks.iter().enumerate() {
            if !self.space.points[index].reached {
                continue;
            }
            state.clone_from(&self.space.points[index].state);
            (self.stepper.calls.unlocked, self.stepper.calls.kept) = (false, false);
            let returns = self.returns(block, &mut state);
            let returned = returns && matches!(state.get(Register::RAX), Value::Handle(_));
            self.space.points[index].unlocks = self.stepper.calls.unlocked;
            self.space.points[index].keeps = self.stepper.calls.kept || returned;
            match &mut end {
                Some(end) if returns => _ = end.join(&state),
                None if returns => end = Some(state.clone()),
                _ => {}
            }
        }
        self.space.state = state;
        let events = self.stepper.calls.events.take().unwrap_or_default();
        (events, self.summary(end))
    }

    fn summary(&mut self, end: Option<State>) -> Summary {
        let calls = &mut self.stepper.calls;
        let registers = std::mem::take(&mut calls.registers);
        let summary = match end {
            Some(end) => Summary {
                irql: end.irql,
                held: end.held,
                balance: end.balance,
                result: result(end.get(Register::RAX)),
                keeps: Registers::default(),
                never_returns: false,
                registers,
                creates: calls.created,
                locks: calls.locks,
            },
            None => Summary {
                never_returns: !self.graph.code.cut && self.graph.code.unresolved_jumps == 0,
                registers,
                locks: calls.locks,
                ..Summary::default()
            },
        };
        if self.gave_up { Summary { irql: IrqlSet::ENTRY, ..summary } } else { summary }
    }
}

fn is_jump(instruction: &Instruction) -> bool {
    matches!(instruction.flow_control(), FlowControl::UnconditionalBranch | FlowControl::IndirectBranch)
}

/// What callers can use of a result.
fn result(value: Value) -> Value {
    match value {
        Value::Irql(_) | Value::Computed(..) | Value::Handle(_) | Value::Pool { .. } => value,
        _ => Value::Unknown,
    }
}
