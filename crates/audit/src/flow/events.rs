//! The events of all functions, kept together.

use core::ops::Range;

use super::event::{Arguments, Event};
use super::value::Value;

/// What every function does. Each function's events lie one after the other, in the order of its blocks.
#[derive(Default)]
pub(crate) struct Events {
    all: Vec<Event>,
    arguments: Vec<Value>,
    /// By function.
    of_function: Vec<Range<u32>>,
}

impl Events {
    pub(super) fn new(functions: usize) -> Events {
        Events { of_function: vec![0..0; functions], ..Events::default() }
    }

    /// What a function does.
    pub(crate) fn of(&self, function: usize) -> &[Event] {
        let range = &self.of_function[function];
        &self.all[range.start as usize..range.end as usize]
    }

    /// The parameters of a call.
    pub(crate) fn arguments(&self, arguments: Arguments) -> &[Value] {
        let first = arguments.first as usize;
        &self.arguments[first..first + usize::from(arguments.count)]
    }

    pub(super) fn push(&mut self, event: Event) {
        self.all.push(event);
    }

    /// What calls one after the other hand on without change is kept once.
    pub(super) fn keep_arguments(&mut self, values: &[Value]) -> Arguments {
        if !self.arguments.ends_with(values) {
            self.arguments.extend(values);
        }
        Arguments { first: (self.arguments.len() - values.len()) as u32, count: values.len() as u8 }
    }

    /// Where the events of the next function begin.
    pub(super) fn mark(&self) -> usize {
        self.all.len()
    }

    /// What was recorded since `mark`.
    pub(super) fn since(&self, mark: usize) -> &[Event] {
        &self.all[mark..]
    }

    pub(super) fn retain_since(&mut self, mark: usize, keep: impl Fn(&Event) -> bool) {
        let kept: Vec<Event> = self.all.drain(mark..).filter(keep).collect();
        self.all.extend(kept);
    }

    /// Says that what was recorded since `mark` belongs to a function.
    pub(super) fn end_function(&mut self, function: usize, mark: usize) {
        self.of_function[function] = mark as u32..self.all.len() as u32;
    }
}
