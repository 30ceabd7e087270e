//! Moments: between two instructions, after a call, a fault or a change of IRQL, what nobody planned may happen.

use std::collections::BTreeSet;

use engine::Exit;
use memory::TrimReason;
use nt_types::{Irql, Rva, Va};

use crate::choice::ChoicePoints;
use crate::deed::Deed;
use crate::exports::io::exercise::Action;
use crate::machine::Machine;
use crate::thread::{ThreadId, ThreadState};

impl Machine {
    /// True where the processor has come to a moment at which the machine asks.
    pub(crate) fn is_moment(&self, exit: Exit) -> bool {
        let points = self.options.choices;
        match exit {
            Exit::Hypercall | Exit::PageFault(_) | Exit::IrqlChanged { .. } | Exit::InterruptsEnabled => {
                self.asks_at_moments()
            }
            _ => self.asks_at_moments() && points.has(ChoicePoints::EVERY_INSTRUCTION),
        }
    }

    /// Lets happen what is chosen for this moment; false while that is undecided.
    pub(crate) fn pass_moment(&mut self) -> bool {
        let Some(deed) = self.choose(Machine::possible_now) else { return false };
        self.moment = false;
        self.cover();
        if let Some(deed) = deed {
            self.perform(deed);
        }
        true
    }

    fn possible_now(&mut self) -> Vec<Deed> {
        let points = self.options.choices;
        let mut deeds = Vec::new();
        if points.has(ChoicePoints::SWITCH) {
            deeds.extend(self.other_threads().map(Deed::Switch));
        } else if points.has(ChoicePoints::DELAY) {
            deeds.extend(self.next_in_turn().map(Deed::Switch));
        }
        if points.has(ChoicePoints::ANY_SWITCH) {
            deeds.extend(self.other_processors().map(Deed::Processor));
        }
        self.possible_trims(&mut deeds);
        if points.has(ChoicePoints::INTERRUPT) {
            let vectors = self.connected_interrupts().iter().map(|connected| connected.vector);
            for vector in vectors.filter(|vector| !self.bus.pending(*vector)) {
                if !deeds.contains(&Deed::Interrupt(vector)) {
                    deeds.push(Deed::Interrupt(vector));
                }
            }
        }
        if points.has(ChoicePoints::TIME) && self.next_due().is_some() {
            deeds.push(Deed::Time);
        }
        if points.has(ChoicePoints::CANCEL) {
            deeds.extend(self.pending_actions().map(Deed::Cancel));
        }
        deeds
    }

    fn possible_trims(&mut self, deeds: &mut Vec<Deed>) {
        let points = self.options.choices;
        if !points.has(ChoicePoints::ANY_TRIM) || !self.memory.can_trim() {
            return;
        }
        if points.has(ChoicePoints::TRIM) {
            deeds.push(Deed::Trim);
        }
        if points.has(ChoicePoints::TRIM_SECTION) {
            let sections: BTreeSet<Va> = self.memory.eligible().iter().map(|page| self.section_of(*page)).collect();
            deeds.extend(sections.into_iter().map(Deed::TrimSection));
        }
        if points.has(ChoicePoints::TRIM_PAGE) {
            // A stack leaves as a whole, whichever of its pages is named.
            let mut pages = self.memory.eligible();
            pages.dedup_by_key(|page| self.thread_on_stack(*page).map_or(*page, |thread| thread.stack.0));
            deeds.extend(pages.into_iter().map(Deed::TrimPage));
        }
    }

    /// Where the section of a driver, or the stack, that holds this page begins; null for a page that is in none.
    fn section_of(&self, page: Va) -> Va {
        let start = self.modules.driver_at(page).and_then(|driver| {
            let section = driver.image.section_at(Rva((page - driver.base) as u32))?;
            driver.image.sections().get(section).map(|section| driver.base + section.rva)
        });
        let stack = || self.thread_on_stack(page).map(|thread| thread.stack.0);
        start.or_else(stack).unwrap_or(Va::NULL)
    }

    /// The thread that gets the processor when the current one gives it up.
    fn next_in_turn(&self) -> Option<ThreadId> {
        let current = self.current_thread();
        let preemptible = self.irql() < Irql::DISPATCH && !self.thread_is_idle(current);
        self.next_ready().filter(|next| preemptible && *next != current && !self.outranks(current, *next))
    }

    /// Threads that could run here instead of the current one.
    fn other_threads(&self) -> impl Iterator<Item = ThreadId> {
        let current = self.current_thread();
        let preemptible = self.irql() < Irql::DISPATCH && !self.thread_is_idle(current);
        let ready =
            self.threads.live().filter(move |thread| preemptible && thread.id != current && self.can_run_here(thread));
        ready.map(|thread| thread.id).filter(move |id| !self.outranks(current, *id))
    }

    fn thread_is_idle(&self, id: ThreadId) -> bool {
        self.thread_of(id).is_none_or(|thread| thread.idle)
    }

    /// Processors that could go on instead of this one.
    fn other_processors(&self) -> impl Iterator<Item = u8> {
        let others = (0..self.processors.len()).filter(|&index| index != self.active);
        others.filter(|&index| self.has_work(index)).map(|index| index as u8)
    }

    fn has_work(&self, index: usize) -> bool {
        let current = self.processors[index].current;
        let runs = self.thread_of(current).is_some_and(|thread| {
            matches!(thread.state, ThreadState::Running) && (!thread.idle || !thread.frames.is_empty())
        });
        let waits = |thread: &crate::thread::Thread| {
            !thread.idle && matches!(thread.state, ThreadState::Ready) && thread.may_run_on(index)
        };
        runs || self.threads.live().any(waits)
    }

    /// True where some processor has a thread that can run.
    pub(crate) fn has_work_anywhere(&self) -> bool {
        (0..self.processors.len()).any(|index| self.has_work(index))
    }

    fn evict_chosen(&mut self, is_chosen: impl Fn(&Machine, Va) -> bool) {
        let mut pages = self.memory.eligible();
        pages.retain(|page| is_chosen(self, *page));
        self.evict(&pages, TrimReason::Choice);
    }

    fn perform(&mut self, deed: Deed) {
        self.attention = true;
        match deed {
            Deed::Trim => self.evict_chosen(|_, _| true),
            Deed::TrimSection(start) => self.evict_chosen(|m, page| m.section_of(page) == start),
            Deed::TrimPage(chosen) => self.evict_chosen(|_, page| page == chosen),
            Deed::Interrupt(vector) => self.spurious_interrupt(vector),
            Deed::Switch(thread) => self.switch_to(thread),
            // The next processor in turn is looked at first.
            Deed::Processor(index) => {
                let count = self.processors.len();
                self.active = (usize::from(index) + count - 1) % count;
            }
            Deed::Time => {
                if let Some(due_ns) = self.next_due() {
                    self.skipped_ns += due_ns.saturating_sub(self.now_ns());
                }
            }
            Deed::Cancel(request) => {
                if let Err(trap) = self.act("cancel", Action::Cancel { request }) {
                    let stop = self.trap_to_stop(trap);
                    self.halt(*stop);
                }
            }
            Deed::Fail | Deed::Absent | Deed::Befall(_) | Deed::Order(_) => {}
        }
    }
}
