//! Threads of the guest.

use std::hash::{Hash, Hasher};
use std::ops::{Index, IndexMut};
use std::sync::Arc;

use engine::Cpu;
use nt_types::{NtStatus, Va};

use crate::attempt::{Attempt, CallName};
use crate::call::{Frame, Next, Outcome, Then};
use crate::machine::Machine;
use crate::wait::Wait;

/// Number of a thread; never reused in a run.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ThreadId(pub u32);

/// What a thread is doing.
#[derive(Clone, Debug)]
pub enum ThreadState {
    /// Wants a processor.
    Ready,
    /// Has one.
    Running,
    /// Waits.
    Waiting {
        /// For what.
        wait: Wait,
        /// A continuation takes the wait status; else what the thread did starts over.
        gives_status: bool,
        /// Order in which waits began.
        since: u64,
    },
    /// Has ended.
    Ended(NtStatus),
}

/// A thread.
#[derive(Clone, Debug)]
pub struct Thread {
    /// Its number.
    pub id: ThreadId,
    /// For reports.
    pub name: String,
    /// What it is doing.
    pub state: ThreadState,
    /// Registers while it does not run.
    pub context: Box<Cpu>,
    /// Modelled frames below the guest code, outermost first.
    pub frames: Vec<Frame>,
    /// The call that it is in, while that may have to start over.
    pub(crate) call: Option<CallName>,
    /// What that call needed.
    pub attempt: Option<Attempt>,
    /// Its ETHREAD in guest memory.
    pub object: Va,
    /// Lowest and highest address of its kernel stack, which is given back after the thread has ended.
    pub stack: (Va, Va),
    /// Scheduling priority, 0 to 31.
    pub priority: u8,
    /// The only processor that it runs on.
    pub processor: Option<usize>,
    /// The processor's idle thread: runs only what interrupts it.
    pub idle: bool,
    /// The processors that it may run on, one bit each; 0 for all.
    pub affinity: u64,
    /// Nesting of guarded regions (`KeEnterGuardedRegion`).
    pub guarded_regions: u32,
    /// Nesting of critical regions (`KeEnterCriticalRegion`).
    pub critical_regions: u32,
    /// A release with Wait = TRUE raised to `DISPATCH_LEVEL`; the wait that follows goes back to this.
    pub wait_next: Option<nt_types::Irql>,
    /// Spin locks held, in order of acquisition.
    pub spin_locks: Vec<Va>,
    /// Its stack may leave memory while it waits in user mode (`KeSetKernelStackSwapEnable`).
    pub stack_swap: bool,
    /// Its stack may leave memory now.
    pub stack_may_leave: bool,
}

impl Hash for ThreadState {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            ThreadState::Ready | ThreadState::Running => {}
            // The order of waits counts, not their numbers: the machine sees to it.
            ThreadState::Waiting { wait, gives_status, since: _ } => (wait, gives_status).hash(state),
            ThreadState::Ended(status) => status.hash(state),
        }
    }
}

impl Hash for Thread {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Thread {
            id,
            name: _, // for reports
            state: doing,
            context,
            frames,
            call,
            attempt,
            object,
            stack,
            priority,
            processor,
            idle,
            affinity,
            guarded_regions,
            critical_regions,
            wait_next,
            spin_locks,
            stack_swap,
            stack_may_leave,
        } = self;
        (id, doing, frames, call, attempt, object, stack, priority).hash(state);
        (processor, idle, affinity, guarded_regions, critical_regions, wait_next, spin_locks).hash(state);
        (stack_swap, stack_may_leave).hash(state);
        // The processor has the registers of a thread that runs, and nobody those of one that has ended.
        if matches!(doing, ThreadState::Ready | ThreadState::Waiting { .. }) {
            context.hash(state);
        }
    }
}

impl Thread {
    /// The number of its wait.
    pub(crate) fn waiting_since(&self) -> Option<u64> {
        match self.state {
            ThreadState::Waiting { since, .. } => Some(since),
            _ => None,
        }
    }

    /// True where its affinity includes this processor.
    pub(crate) fn may_run_on(&self, processor: usize) -> bool {
        let allowed = self.affinity == 0 || self.affinity >> processor & 1 != 0;
        allowed && self.processor.is_none_or(|own| own == processor)
    }
}

/// All threads of a machine by number, those that have ended included. A fork shares those that neither side changes.
#[derive(Default, Debug)]
pub(crate) struct Threads {
    all: Vec<Kept>,
    /// Those that have not ended, in ascending order.
    live: Vec<u32>,
}

/// A thread of this machine alone, or one that forks share: a change of the former costs no atomic operation.
#[derive(Debug)]
enum Kept {
    Own(Box<Thread>),
    Shared(Arc<Thread>),
}

impl Kept {
    fn get(&self) -> &Thread {
        match self {
            Kept::Own(thread) => thread,
            Kept::Shared(thread) => thread,
        }
    }

    fn get_mut(&mut self) -> &mut Thread {
        if let Kept::Shared(thread) = self {
            *self = Kept::Own(Box::new(Thread::clone(thread)));
        }
        match self {
            Kept::Own(thread) => thread,
            Kept::Shared(thread) => Arc::make_mut(thread),
        }
    }

    fn share(&mut self) -> Kept {
        let shared = match self {
            Kept::Own(thread) => Arc::new(Thread::clone(thread)),
            Kept::Shared(thread) => Arc::clone(thread),
        };
        *self = Kept::Shared(Arc::clone(&shared));
        Kept::Shared(shared)
    }
}

impl Threads {
    /// The same threads for a second machine.
    pub(crate) fn fork(&mut self) -> Threads {
        Threads { all: self.all.iter_mut().map(Kept::share).collect(), live: self.live.clone() }
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn push(&mut self, thread: Thread) {
        self.live.push(self.all.len() as u32);
        self.all.push(Kept::Own(Box::new(thread)));
    }

    /// A thread ends.
    pub(crate) fn end(&mut self, id: ThreadId, status: NtStatus) {
        self.live.retain(|live| *live != id.0);
        let thread = &mut self[id.0 as usize];
        thread.state = ThreadState::Ended(status);
        thread.frames.clear();
    }

    /// Those that have not ended, in ascending order.
    pub(crate) fn live(&self) -> impl Iterator<Item = &Thread> {
        self.live.iter().map(|index| self.all[*index as usize].get())
    }

    /// The same, those from number `first` on before the others.
    pub(crate) fn live_from(&self, first: u32) -> impl DoubleEndedIterator<Item = &Thread> {
        let (before, after) = self.live.split_at(self.live.partition_point(|index| *index < first));
        after.iter().chain(before).map(|index| self.all[*index as usize].get())
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Thread> {
        self.all.get(index).map(Kept::get)
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut Thread> {
        self.all.get_mut(index).map(Kept::get_mut)
    }

    pub(crate) fn last_mut(&mut self) -> Option<&mut Thread> {
        self.all.last_mut().map(Kept::get_mut)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Thread> {
        self.all.iter().map(Kept::get)
    }
}

impl Index<usize> for Threads {
    type Output = Thread;

    fn index(&self, index: usize) -> &Thread {
        self.all[index].get()
    }
}

impl IndexMut<usize> for Threads {
    fn index_mut(&mut self, index: usize) -> &mut Thread {
        self.all[index].get_mut()
    }
}

/// Continuations of thread bodies.
#[derive(Clone, Hash, Debug)]
pub enum ThreadThen {
    /// The start routine of a system thread returned: the thread ends.
    Returned,
    /// A worker routine returned.
    Worked {
        /// The routine.
        routine: Va,
        /// The work item that it was queued with, and its parameter.
        item: Option<(Va, u64)>,
    },
}

impl ThreadThen {
    pub(crate) fn run(self, m: &mut Machine, _value: u64) -> Outcome {
        match self {
            ThreadThen::Returned => Ok(Next::ExitThread(NtStatus::SUCCESS)),
            ThreadThen::Worked { routine, item } => m.worker_routine_ended(routine, item),
        }
    }
}

impl From<ThreadThen> for Then {
    fn from(then: ThreadThen) -> Then {
        Then::Thread(then)
    }
}
