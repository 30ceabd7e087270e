//! What every engine must do: a suite over [`Engine`] and [`FlatMmu`].
//!
//! The arithmetic of single instructions is compared with a processor elsewhere; here it is the contract that counts:
//! where faults lie, what is committed, how much is counted, and when a run ends.

mod answers;
mod budget;
mod exceptions;
mod fetch;
mod guest;
mod interrupts;
mod memory_faults;
mod registers;
mod repeat;
mod segments;
mod self_modification;

use crate::Engine;
use crate::flat::FlatMmu;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Makes a new engine for each case.
pub type MakeEngine<'a> = &'a dyn Fn() -> Box<dyn Engine<FlatMmu>>;

/// One test: its name and what it does.
pub type Case = (&'static str, fn(MakeEngine<'_>));

/// Groups of cases that belong together.
pub const AREAS: [(&str, &[Case]); 10] = [
    ("memory faults", memory_faults::CASES),
    ("fetch", fetch::CASES),
    ("repeat", repeat::CASES),
    ("budget", budget::CASES),
    ("interrupts", interrupts::CASES),
    ("exceptions", exceptions::CASES),
    ("registers", registers::CASES),
    ("segments", segments::CASES),
    ("answers", answers::CASES),
    ("self-modification", self_modification::CASES),
];

/// Runs every case.
///
/// # Panics
///
/// Panics with the names of the cases that failed, after all have run.
pub fn run_all(make: MakeEngine<'_>) {
    let cases = AREAS.iter().flat_map(|(area, cases)| cases.iter().map(move |case| (area, case)));
    let failed: Vec<String> = cases
        .filter(|(_, (_, test))| catch_unwind(AssertUnwindSafe(|| test(make))).is_err())
        .map(|(area, (name, _))| format!("{area}: {name}"))
        .collect();
    assert!(failed.is_empty(), "{} cases failed: {failed:#?}", failed.len());
}

/// The cases of a file, each under the name of its function.
macro_rules! cases {
    ($($name:ident),+ $(,)?) => {
        pub(super) const CASES: &[super::Case] = &[$((stringify!($name), $name)),+];
    };
}

use cases;
