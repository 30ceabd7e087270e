//! Panics of a test as answers: where, and what they say.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

use report::Diagnostic;
use report::cause::Cause;

/// An assertion that did not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refutation {
    /// Where it stands, as file and line.
    pub at: String,
    /// What it says.
    pub message: String,
}

impl From<Refutation> for Diagnostic {
    fn from(Refutation { at, message }: Refutation) -> Diagnostic {
        Diagnostic::from(Cause::Assertion { at, message })
    }
}

thread_local! {
    /// What the panic that is to be caught on this thread says: `None` where none is to be caught.
    static HEARD: RefCell<Option<Option<Refutation>>> = const { RefCell::new(None) };
}

/// Runs `work`; a panic in it is an answer, not something to print.
pub(super) fn caught(work: impl FnOnce()) -> Result<(), Refutation> {
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
        assert!(refuted.at.contains("caught.rs:"), "{refuted:?}");
        assert!(refuted.message.contains("sums") && refuted.message.contains("left: 2"), "{refuted:?}");
    }
}
