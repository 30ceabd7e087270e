//! An emulator in miniature: guest threads are data, time is virtual, and the whole machine can be cloned to see what
//! would happen otherwise. `cargo run -p section_paging --example emulator`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use nt_types::Va;
use section_paging::{
    Failure, Handle, ImageKind, LockStep, LockWait, NewImage, NewSection, PageRun, Paging, Transition,
};

const BASE: Va = Va(0xFFFF_F800_0010_0000);
const PAGE_SECTION: Va = Va(BASE.0 + 0x1000);
/// What the disk takes, in ticks.
const READ_TICKS: u32 = 3;

/// A guest thread: where its call of MmLockPagableCodeSection stands. The tickets of the machine are its continuation.
#[derive(Clone)]
enum Thread {
    /// It calls at this tick.
    Calls { at: u32 },
    /// Another thread brings the section in.
    Waits(LockWait),
    /// Its own read ends at this tick.
    Reads { transition: Transition, done: u32 },
    /// The call returned.
    Returned { handle: Handle, count: u32 },
    /// Windows would stop.
    BugCheck(String),
}

#[derive(Clone)]
struct Emulator {
    paging: Paging,
    threads: Vec<Thread>,
    tick: u32,
    /// The disk fails from this tick on.
    disk_fails: Option<u32>,
}

impl Emulator {
    fn new() -> Self {
        let mut paging = Paging::default();
        let loaded = paging.load(&NewImage {
            name: "serial.sys",
            kind: ImageKind::Driver,
            base: BASE,
            size_bytes: 0x3000,
            sections: &[NewSection { va: 0x1000, span: 0x1800, pageable: true }],
            load_map: &[PageRun::at(PAGE_SECTION, 2)],
        });
        loaded.expect("the layout is sound");
        let threads = vec![Thread::Calls { at: 0 }, Thread::Calls { at: 1 }];
        Emulator { paging, threads, tick: 0, disk_fails: None }
    }

    /// Every thread goes as far as it can, then time passes.
    fn tick(&mut self) {
        for index in 0..self.threads.len() {
            let thread = self.threads[index].clone();
            self.threads[index] = self.advance(thread);
        }
        self.tick += 1;
    }

    fn advance(&mut self, thread: Thread) -> Thread {
        match thread {
            Thread::Calls { at } if at == self.tick => {
                let return_address = BASE + 0x10;
                let step = self.paging.lock_by_address(PAGE_SECTION, return_address).map(|answer| answer.step);
                self.after(step)
            }
            Thread::Waits(wait) if self.paging.is_over(wait.event()) => {
                let step = self.paging.resume_lock(wait);
                self.after(step)
            }
            Thread::Reads { transition, done } if done == self.tick => {
                if self.disk_fails.is_some_and(|from| from <= self.tick) {
                    self.paging.abort(transition);
                    return Thread::BugCheck("0x7A, the page cannot be read".into());
                }
                let step = self.paging.finish(transition).map(LockStep::Locked);
                self.after(step)
            }
            thread => thread,
        }
    }

    fn after(&self, step: Result<LockStep, Failure>) -> Thread {
        match step {
            Ok(LockStep::Locked(locked)) => Thread::Returned { handle: locked.handle, count: locked.count },
            Ok(LockStep::Wait(wait)) => Thread::Waits(wait),
            Ok(LockStep::PageIn(transition)) => Thread::Reads { transition, done: self.tick + READ_TICKS },
            Err(failure) => Thread::BugCheck(failure.to_string()),
        }
    }

    fn show(&self, title: &str) {
        println!("{title}, tick {}:", self.tick);
        for (index, thread) in self.threads.iter().enumerate() {
            match thread {
                Thread::Calls { at } => println!("  thread {index} will call at tick {at}"),
                Thread::Waits(_) => println!("  thread {index} waits for the other"),
                Thread::Reads { transition, done } => {
                    println!("  thread {index} reads {:?} until tick {done}", transition.pages());
                }
                Thread::Returned { handle, count } => println!("  thread {index} holds {handle}, count {count}"),
                Thread::BugCheck(text) => println!("  thread {index}: {text}"),
            }
        }
    }
}

fn main() {
    let mut emulator = Emulator::new();
    (0..2).for_each(|_| emulator.tick());
    emulator.show("both have called");

    // From here on there are two futures.
    let mut other = emulator.clone();
    other.disk_fails = Some(2);
    for future in [&mut emulator, &mut other] {
        (0..6).for_each(|_| future.tick());
    }
    emulator.show("the disk works");
    other.show("the disk fails");

    let counts = |emulator: &Emulator| match &emulator.threads[..] {
        [Thread::Returned { count: first, .. }, Thread::Returned { count: second, .. }] => Some((*first, *second)),
        _ => None,
    };
    assert_eq!(counts(&emulator), Some((1, 2)), "one transition, two locks");
    assert!(other.threads.iter().all(|thread| matches!(thread, Thread::BugCheck(_))), "the waiting thread reads anew");
}
