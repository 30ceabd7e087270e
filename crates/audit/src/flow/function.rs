//! A function as a whole: the fixed point over its blocks, and what it comes to.

use std::collections::BTreeSet;

use iced_x86::{FlowControl, Instruction, InstructionInfoFactory, Register};

use super::calls::Calls;
use super::event::{Event, EventKind};
use super::irql::IrqlSet;
use super::state::State;
use super::step::{self, Stepper};
use super::summary::Summary;
use super::value::Value;
use crate::code::{Block, Function, Functions, Graph, Program};

/// How often a block is looked at before values are given up.
const MAX_VISITS: u8 = 12;

/// What a function does, and what it looks like to callers.
#[derive(Default)]
pub(crate) struct FunctionFlow {
    pub(crate) events: Vec<Event>,
    /// Values were given up to come to an end.
    pub(crate) gave_up: bool,
}

/// Interprets the functions of one image.
pub(crate) struct Interpreter<'p> {
    program: &'p Program<'p>,
    functions: &'p Functions,
    /// By function.
    pub(crate) summaries: Vec<Summary>,
}

impl<'p> Interpreter<'p> {
    pub(crate) fn new(program: &'p Program<'p>, functions: &'p Functions) -> Interpreter<'p> {
        Interpreter { program, functions, summaries: vec![Summary::default(); functions.all.len()] }
    }

    /// Interprets a function with the summaries that there are, and adds its own.
    pub(crate) fn run(&mut self, index: usize) -> FunctionFlow {
        let function = &self.functions.all[index];
        let graph = Graph::of(self.program, function);
        let calls = Calls::new(self.program, self.functions, &self.summaries);
        let stepper = Stepper { calls, info: InstructionInfoFactory::new() };
        let mut walk =
            Walk { graph: &graph, function, stepper, states: vec![None; graph.blocks.len()], gave_up: false };
        walk.find_fixed_point();
        let (events, summary) = walk.record();
        let gave_up = walk.gave_up;
        self.summaries[index] = summary;
        FunctionFlow { events, gave_up }
    }
}

struct Walk<'s, 'p> {
    graph: &'s Graph,
    function: &'p Function,
    stepper: Stepper<'s, 'p>,
    /// At the start of each block that is reached.
    states: Vec<Option<State>>,
    gave_up: bool,
}

/// Where control goes after a block.
enum After {
    Next(State),
    Returns(State),
    Stops,
}

impl<'s> Walk<'s, '_> {
    fn find_fixed_point(&mut self) {
        let graph = self.graph;
        let mut visits = vec![0u8; graph.blocks.len()];
        // In the order of addresses, which is nearly that of execution.
        let mut pending = BTreeSet::new();
        for (n, &entry) in graph.entries.iter().enumerate() {
            let state = if n == 0 && graph_entry(graph, entry) == self.function.entry {
                State::entry()
            } else {
                State::anywhere()
            };
            self.states[entry as usize] = Some(state);
            pending.insert(entry);
        }
        while let Some(index) = pending.pop_first() {
            let block = &graph.blocks[index as usize];
            let Some(state) = self.states[index as usize].clone() else { continue };
            let visited = &mut visits[index as usize];
            *visited = visited.saturating_add(1);
            if let After::Next(after) = self.block(block, state) {
                self.spread(block, &after, &visits, &mut pending);
            }
        }
    }

    fn spread(&mut self, block: &Block, after: &State, visits: &[u8], pending: &mut BTreeSet<u32>) {
        let last = self.last(block);
        let conditional = last.flow_control() == FlowControl::ConditionalBranch;
        for &successor in self.graph.successors(block) {
            let mut state = after.clone();
            if conditional {
                let taken = u64::from(graph_entry(self.graph, successor)) == last.near_branch_target();
                step::refine(&mut state, last, taken);
            }
            if visits[successor as usize] > MAX_VISITS {
                state.give_up();
                self.gave_up = true;
            }
            let changed = match &mut self.states[successor as usize] {
                Some(known) => known.join(&state),
                place => {
                    *place = Some(state);
                    true
                }
            };
            if changed && visits[successor as usize] < u8::MAX {
                pending.insert(successor);
            }
        }
    }

    fn last(&self, block: &Block) -> &'s Instruction {
        let graph = self.graph;
        &graph.code[block.code.end as usize - 1]
    }

    fn block(&mut self, block: &Block, mut state: State) -> After {
        let graph = self.graph;
        for instruction in graph.instructions(block) {
            let leaves = self.leaves(block, instruction);
            self.stepper.step(&mut state, instruction, leaves);
            if self.stepper.calls.stopped {
                return After::Stops;
            }
            if leaves || instruction.flow_control() == FlowControl::Return {
                return After::Returns(state);
            }
        }
        if graph.successors(block).is_empty() { After::Stops } else { After::Next(state) }
    }

    /// Does a jump leave the function?
    fn leaves(&self, block: &Block, instruction: &Instruction) -> bool {
        let jump = matches!(instruction.flow_control(), FlowControl::UnconditionalBranch | FlowControl::IndirectBranch);
        jump && self.graph.successors(block).is_empty()
    }

    /// Goes over each block once more, now that the states are known, and records.
    fn record(&mut self) -> (Vec<Event>, Summary) {
        let graph = self.graph;
        self.stepper.calls.events = Some(Vec::new());
        let mut end: Option<State> = None;
        let mut unlocking = vec![false; graph.blocks.len()];
        for (index, block) in graph.blocks.iter().enumerate() {
            let Some(state) = self.states[index].take() else { continue };
            self.stepper.calls.unlocked = false;
            let after = self.block(block, state);
            unlocking[index] = self.stepper.calls.unlocked;
            if let After::Returns(state) = after {
                match &mut end {
                    Some(end) => _ = end.join(&state),
                    none => *none = Some(state),
                }
            }
        }
        let calls = &mut self.stepper.calls;
        let mut events = calls.events.take().unwrap_or_default();
        events.retain(|event| event.kind != EventKind::Fails || !unlocks_after(graph, event.at, &unlocking));
        let registers = std::mem::take(&mut calls.registers);
        let summary = match end {
            Some(end) => Summary {
                irql: end.irql,
                held: end.held,
                result: result(end.get(Register::RAX)),
                never_returns: false,
                registers,
                locks: calls.locks,
            },
            None => Summary {
                never_returns: !graph.cut && graph.unresolved_jumps == 0,
                registers,
                locks: calls.locks,
                ..Summary::default()
            },
        };
        (events, if self.gave_up { Summary { irql: IrqlSet::ENTRY, ..summary } } else { summary })
    }
}

/// Can code that unlocks follow an instruction?
fn unlocks_after(graph: &Graph, at: u32, unlocking: &[bool]) -> bool {
    let holds = |block: &Block| graph.instructions(block).iter().any(|instruction| instruction.ip() as u32 == at);
    let Some(start) = graph.blocks.iter().position(holds) else { return false };
    let mut seen = vec![false; graph.blocks.len()];
    let mut pending = vec![start as u32];
    while let Some(block) = pending.pop() {
        if std::mem::replace(&mut seen[block as usize], true) {
            continue;
        }
        if unlocking[block as usize] {
            return true;
        }
        pending.extend(graph.successors(&graph.blocks[block as usize]));
    }
    false
}

/// Where a block begins.
fn graph_entry(graph: &Graph, block: u32) -> u32 {
    graph.code[graph.blocks[block as usize].code.start as usize].ip() as u32
}

/// What callers can use of a result.
fn result(value: Value) -> Value {
    match value {
        Value::Irql(_) | Value::Handle(_) | Value::Pool { .. } => value,
        _ => Value::Unknown,
    }
}
