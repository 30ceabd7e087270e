//! Something that must hold at a point of a scenario, as code that looks at the machine and the answers so far.

use std::cell::RefCell;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::{Arc, Once};

use kernel::{Answer, Machine};
use nt_types::Va;
use report::Diagnostic;
use report::cause::Cause;

use super::player::Player;
use crate::session::{Residency, SectionResidency};

/// A step that asks nothing of the driver and panics unless something holds.
#[derive(Clone)]
pub struct Assertion(Arc<dyn Fn(&Moment<'_>) + Send + Sync>);

/// An assertion that did not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refutation {
    /// Where it stands, as file and line.
    pub at: String,
    /// What it says.
    pub message: String,
}

/// The machine and the answers so far, when an assertion is looked at.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    machine: &'a Machine,
    player: &'a Player,
}

impl Assertion {
    /// An assertion that holds where this does not panic.
    pub fn new(holds: impl Fn(&Moment<'_>) + Send + Sync + 'static) -> Assertion {
        Assertion(Arc::new(holds))
    }

    /// Looks whether it holds.
    pub(super) fn check(&self, machine: &Machine, player: &Player) -> Result<(), Refutation> {
        let moment = Moment { machine, player };
        caught(|| (self.0)(&moment))
    }
}

impl From<Refutation> for Diagnostic {
    fn from(Refutation { at, message }: Refutation) -> Diagnostic {
        Diagnostic::from(Cause::Assertion { at, message })
    }
}

/// The same assertion, not one that says the same.
impl PartialEq for Assertion {
    fn eq(&self, other: &Assertion) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Assertion {}

impl Hash for Assertion {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl fmt::Debug for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Assertion")
    }
}

impl<'a> Moment<'a> {
    /// The answer to the request of this name; `None` while it is outstanding, or where it was never made.
    pub fn answer(&self, request: impl AsRef<str>) -> Option<&'a Answer> {
        self.machine.answer_of(self.player.named_request(request.as_ref())?)
    }

    /// How many locks this section of the driver under test has.
    ///
    /// # Panics
    /// There is no such section, or the driver is not loaded.
    #[track_caller]
    pub fn locks(&self, section: &str) -> u32 {
        self.section(section).locks
    }

    /// How many pages of this section of the driver under test are in memory.
    ///
    /// # Panics
    /// There is no such section, or the driver is not loaded.
    #[track_caller]
    pub fn resident(&self, section: &str) -> u32 {
        self.section(section).resident
    }

    /// The machine. [`Machine::schedule_so_far`] says what unplanned has happened.
    pub fn machine(&self) -> &'a Machine {
        self.machine
    }

    /// Where the driver under test was loaded.
    pub fn base(&self) -> Va {
        self.player.base
    }

    #[track_caller]
    fn section(&self, name: &str) -> SectionResidency {
        let sections = Residency::of(self.machine, self.player.base).sections;
        match sections.into_iter().find(|section| section.name == name) {
            Some(section) => section,
            None => panic!("no section `{name}`: the driver has none of that name, or is not loaded"),
        }
    }
}

thread_local! {
    /// What the panic that is to be caught on this thread says: `None` where none is to be caught.
    static HEARD: RefCell<Option<Option<Refutation>>> = const { RefCell::new(None) };
}

/// Runs `work`; a panic in it is an answer, not something to print.
fn caught(work: impl FnOnce()) -> Result<(), Refutation> {
    static LISTENS: Once = Once::new();
    LISTENS.call_once(listen);
    HEARD.set(Some(None));
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    let heard = HEARD.take().flatten();
    match outcome {
        Ok(()) => Ok(()),
        Err(_) => Err(heard.unwrap_or_else(|| Refutation { at: String::new(), message: "it panicked".to_owned() })),
    }
}

/// Has panics that are to be caught remembered instead of printed; others go where they went before.
fn listen() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        // A thread that is ending has no such value any more, and catches nothing.
        let is_heard = HEARD
            .try_with(|heard| heard.borrow_mut().as_mut().map(|heard| *heard = Some(Refutation::of(info))).is_some());
        if !is_heard.unwrap_or(false) {
            before(info);
        }
    }));
}

impl Refutation {
    fn of(info: &PanicHookInfo<'_>) -> Refutation {
        let at = info.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
        Refutation { at, message: info.payload_as_str().unwrap_or("it panicked").to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_answer_with_its_place() {
        assert_eq!(caught(|| ()), Ok(()));
        let refuted = caught(|| assert_eq!(1 + 1, 3, "sums")).expect_err("it panics");
        assert!(refuted.at.contains("assertion.rs:"), "{refuted:?}");
        assert!(refuted.message.contains("sums") && refuted.message.contains("left: 2"), "{refuted:?}");
    }
}
