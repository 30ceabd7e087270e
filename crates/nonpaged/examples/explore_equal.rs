//! What equal states spare: prints the table of docs/explore.md.
//!
//! `cargo run --release -p nonpaged --example explore_equal`
#![expect(clippy::print_stdout, reason = "it prints a table")]

use std::hash::Hash;
use std::num::NonZeroUsize;
use std::path::Path;

use engine::Engine;
use explore::{Campaign, Ending, Limits, Strategy, Subject};
use kernel::{Bound, ChoicePoints, DeedKind, Machine, StateHasher};
use memory::Memory;
use nonpaged::Explore;
use nonpaged::explore::{Run, engine};

/// One preemption and one trim, or two deeds of any kind.
#[derive(Clone, Copy)]
enum Of {
    PreemptionAndTrim,
    TwoDeeds,
}

const ROWS: [(&str, Of); 8] = [
    ("null/null", Of::PreemptionAndTrim),
    ("beep/beep", Of::PreemptionAndTrim),
    ("serial/serial", Of::PreemptionAndTrim),
    ("broken/x08-page-entire-race-fixed", Of::PreemptionAndTrim),
    ("broken/x34-two-closers-fixed", Of::PreemptionAndTrim),
    ("null/null", Of::TwoDeeds),
    ("broken/x41-late-timer-fixed", Of::TwoDeeds),
    ("broken/x20-unlock-with-pended-irp-fixed", Of::TwoDeeds),
];

/// A run whose states are equal at the same time only.
struct AtOneTime(Run);

impl Subject for AtOneTime {
    fn fork(&mut self) -> AtOneTime {
        AtOneTime(self.0.fork())
    }

    fn machine(&mut self) -> &mut Machine {
        self.0.machine()
    }

    fn state(&mut self) -> Option<u128> {
        let state = self.0.state()?;
        let mut timed = StateHasher::default();
        (state, self.0.machine().now_ns()).hash(&mut timed);
        Some(timed.finish_128())
    }

    fn go_on(&mut self, engine: &mut dyn Engine<Memory>) -> Option<Ending> {
        self.0.go_on(engine)
    }
}

fn main() {
    println!("| driver | bound | schedules | begun | run to the end |");
    println!("|---|---|---|---|---|");
    for (name, of) in ROWS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../drivers").join(name).with_extension("sys");
        let (bound, search, depth) = bounded(Explore::new(path), of);
        let limits = Limits { time: None, schedules: None, until_first: false };
        let threads = NonZeroUsize::MIN;
        let campaign = Campaign { strategy: Strategy::Exhaustive, depth, limits, threads, ..Campaign::default() };
        let any = campaign.run(|| search.subject(), engine, |_| true).expect("the sample loads");
        let one = campaign.run(|| search.subject().map(AtOneTime), engine, |_| true).expect("the sample loads");
        let (driver, all) = (name.rsplit('/').next().unwrap_or(name), any.proven.schedules);
        let begun = [&any, &one].map(|outcome| outcome.progress.schedules);
        let ended = [&any, &one].map(|outcome| all - outcome.progress.equal);
        println!("| `{driver}` | {bound} | {all} | {} ({}) | {} ({}) |", begun[0], begun[1], ended[0], ended[1]);
    }
}

fn bounded(search: Explore, of: Of) -> (&'static str, Explore, u32) {
    match of {
        Of::PreemptionAndTrim => {
            let bound = Bound::default().with(DeedKind::Switch, 1).with(DeedKind::Trim, 1);
            let search = search.choices(ChoicePoints::SWITCH.and(ChoicePoints::TRIM_SECTION)).bound(bound);
            ("1 preemption, 1 trim", search, 2)
        }
        Of::TwoDeeds => ("2 deeds of any kind", search, 2),
    }
}
