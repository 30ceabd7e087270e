//! The comparison over all forms.

mod allowance;
mod arena;
mod case;
mod compare;
mod describe;
mod features;
mod forms;
mod generate;
mod guest;
mod known;
mod native;
mod random;

use std::env;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use engine::flat::FlatMmu;
use iced_x86::Code;

use allowance::{completed_comparisons, concede};
use arena::READ_ONLY;
use case::{BREAKPOINT, Case, FLAGS, Outcome, Stop};
use compare::compare;
use describe::describe;
use forms::Plan;
use generate::Generator;
use guest::Guest;
use native::Host;
use random::Random;

/// Cases of each form, unless the environment says otherwise.
const CASES: u64 = 200;
/// Cases of one form that a failure report shows.
const SHOWN: usize = 2;

/// Native runs share signal handlers and addresses, so there is one at a time.
static TURN: Mutex<()> = Mutex::new(());

/// Waits for this thread's turn to run natively.
pub(crate) fn take_turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The pages as all cases of a session have them; the read-only one has its content for good.
pub(crate) fn background() -> FlatMmu {
    let mut arena = arena::new();
    generate::fill(&mut Random::new(1), &mut arena, READ_ONLY);
    arena
}

/// What a whole session found.
#[derive(Default)]
struct Summary {
    forms: u64,
    cases: u64,
    faults: u64,
    skipped: Vec<String>,
    failures: Vec<String>,
}

struct Session {
    arena: FlatMmu,
    host: Host,
    guest: Guest,
    cases: u64,
    seed: u64,
    summary: Summary,
}

impl Session {
    fn compare_form(&mut self, name: &str, code: Code) {
        let mut generator = Generator::new(self.seed ^ (code as u64) << 32, &self.arena);
        let (mut failed, mut shown) = (0, Vec::new());
        for _ in 0..self.cases {
            let case = generator.case(code);
            let (host, mut guest) = (self.host.run(&case), self.guest.run(&case));
            if guest.stop == Stop::Unsupported {
                return self.summary.failures.push(format!("{name}: not implemented"));
            }
            self.concede(&case, &host, &mut guest);
            let differences = compare(&host, &guest);
            self.summary.faults += u64::from(host.stop != BREAKPOINT);
            if !differences.is_empty() {
                failed += 1;
                if shown.len() < SHOWN {
                    shown.push(describe(&case, &differences));
                }
            }
        }
        self.summary.forms += 1;
        self.summary.cases += self.cases;
        if failed > 0 {
            self.summary.failures.push(format!("{name}: {failed} of {} cases\n{}", self.cases, shown.join("\n")));
        }
    }

    fn concede(&mut self, case: &Case, host: &Outcome, guest: &mut Outcome) {
        concede(case, host, guest);
        if let Some(completed) = completed_comparisons(case, host) {
            let flags = self.guest.run(&completed).cpu.rflags;
            if flags & FLAGS == host.cpu.rflags & FLAGS {
                guest.cpu.rflags = flags;
            }
        }
    }
}

fn variable(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// The 600 most frequent forms and those that belong to them behave as on the host's processor.
#[test]
fn every_unprivileged_form_behaves_as_on_the_host() {
    let _turn = take_turn();
    let filter = env::var("NONPAGED_HOST_FORM").unwrap_or_default();
    let arena = background();
    let mut session = Session {
        host: Host::new(&arena),
        guest: Guest::default(),
        arena,
        cases: variable("NONPAGED_HOST_CASES").unwrap_or(CASES),
        seed: variable("NONPAGED_HOST_SEED").unwrap_or_default(),
        summary: Summary::default(),
    };
    for form in forms::all().into_iter().filter(|form| form.name.contains(&filter)) {
        match form.plan {
            Plan::Compare(code) => session.compare_form(&form.name, code),
            Plan::Skip(reason) => session.summary.skipped.push(format!("{} ({reason})", form.name)),
        }
    }
    report(&session.summary);
}

/// Prints past the test runner's capture: what was skipped must be seen where the test passes, too.
fn report(summary: &Summary) {
    let Summary { forms, cases, faults, skipped, failures } = summary;
    let _ = writeln!(
        std::io::stderr(),
        "host comparison: {forms} forms, {cases} cases ({faults} with a fault), {} forms differ; {} skipped: {}",
        failures.len(),
        skipped.len(),
        skipped.join(", ")
    );
    assert!(failures.is_empty(), "{} forms differ\n{}", failures.len(), failures.join("\n"));
}
