//! Virtual time: everything that will happen at a known moment.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use nt_types::Va;

use crate::machine::Machine;
use crate::run::Until;
use crate::thread::ThreadId;

/// Something due at a moment of virtual time.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Deadline {
    /// The wait of a thread times out.
    WaitTimeout(ThreadId),
    /// A KTIMER expires.
    Timer(Va),
    /// A read from the paging file ends.
    PageRead(memory::ReadTicket),
    /// The DPCs of a processor that nobody began to process are processed.
    Dpcs(usize),
}

/// A deadline, and whether it was put off.
#[derive(Clone, Hash, Debug)]
struct Queued {
    deadline: Deadline,
    is_late: bool,
}

/// Deadlines in order of time, then of arrival.
#[derive(Clone, Default, Debug)]
pub(crate) struct Deadlines {
    queue: BTreeMap<(u64, u64), Queued>,
    arrivals: u64,
}

impl Deadlines {
    /// What tells their state at this time: how long it is to each.
    pub(crate) fn hash_at(&self, now_ns: u64, state: &mut impl Hasher) {
        // The order of arrival is that of the queue.
        let Deadlines { queue, arrivals: _ } = self;
        state.write_usize(queue.len());
        queue.iter().for_each(|((at_ns, _), deadline)| (at_ns.wrapping_sub(now_ns), deadline).hash(state));
    }

    /// Adds a deadline at `at_ns`.
    pub(crate) fn add(&mut self, at_ns: u64, deadline: Deadline) {
        self.insert(at_ns, Queued { deadline, is_late: false });
    }

    fn insert(&mut self, at_ns: u64, queued: Queued) {
        self.arrivals += 1;
        self.queue.insert((at_ns, self.arrivals), queued);
    }

    /// Removes every deadline equal to this one; true where there was any.
    pub(crate) fn remove(&mut self, deadline: &Deadline) -> bool {
        let before = self.queue.len();
        self.queue.retain(|_, queued| queued.deadline != *deadline);
        self.queue.len() != before
    }

    /// True where this deadline is queued.
    pub(crate) fn holds(&self, deadline: &Deadline) -> bool {
        self.queue.values().any(|queued| queued.deadline == *deadline)
    }

    /// Timers that are queued.
    pub(crate) fn timers(&self) -> impl Iterator<Item = Va> {
        self.queue.values().filter_map(|queued| match &queued.deadline {
            Deadline::Timer(timer) => Some(*timer),
            _ => None,
        })
    }

    /// When the next one is due.
    pub(crate) fn next_ns(&self) -> Option<u64> {
        self.queue.keys().next().map(|(at_ns, _)| *at_ns)
    }

    /// When the one after the next is due.
    pub(crate) fn second_ns(&self) -> Option<u64> {
        self.queue.keys().nth(1).map(|(at_ns, _)| *at_ns)
    }

    /// The next one and its time, if it is due at `now_ns`.
    fn due(&self, now_ns: u64) -> Option<(u64, Queued)> {
        let ((at_ns, _), queued) = self.queue.first_key_value()?;
        (*at_ns <= now_ns).then(|| (*at_ns, queued.clone()))
    }

    /// Takes the next one, or puts it off.
    fn take_first(&mut self, late_ns: Option<u64>) {
        if let (Some((_, queued)), Some(late_ns)) = (self.queue.pop_first(), late_ns) {
            self.insert(late_ns, Queued { is_late: true, ..queued });
        }
    }
}

impl Machine {
    /// Lets everything happen that is due, up to a choice without an answer.
    pub(crate) fn fire_due(&mut self) {
        while let Some((due_ns, Queued { deadline, is_late })) = self.deadlines.due(self.now_ns()) {
            let delay = if is_late { Some(None) } else { self.choose_delay(&deadline) };
            let Some(late_ns) = delay else { return };
            self.deadlines.take_first(late_ns);
            match deadline {
                _ if late_ns.is_some() => {}
                Deadline::WaitTimeout(thread) => self.wait_timed_out(thread),
                Deadline::Timer(timer) => self.timer_due(timer, due_ns),
                Deadline::PageRead(ticket) => self.page_read_ended(ticket),
                Deadline::Dpcs(processor) => self.begin_dpcs(processor),
            }
        }
        self.advance_devices();
        self.update_shared_time();
    }

    /// When something is due next.
    pub(crate) fn next_due(&self) -> Option<u64> {
        [self.deadlines.next_ns(), self.bus.next_deadline()].into_iter().flatten().min()
    }

    /// With nothing to run, lets time pass to the next deadline, or to the end of the run; false where there is neither.
    pub(crate) fn skip_to_next_deadline(&mut self, until: Until) -> bool {
        let end = match until {
            Until::Time(time_ns) | Until::AnsweredOrTime(_, time_ns) => Some(time_ns),
            Until::Quiescent | Until::Answered(_) => None,
        };
        let next = self.next_due().into_iter().chain(end).min();
        let Some(next_ns) = next else { return false };
        self.skipped_ns += next_ns.saturating_sub(self.now_ns());
        true
    }
}
