//! A run is named by its deeds: whatever is answered to whatever is asked, the token gives the same report and the same log,
//! byte for byte.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use devices::SerialLine;
use explore::Token;
use kernel::{ChoicePoints, Deed, DeedKind, Options};
use memory::MemoryConfig;
use nonpaged::Driver;
use nonpaged::explore::{Inputs, blank_token, player};
use nonpaged::scenario::{PlayError, Scenario};
use nonpaged::session::{PLENTY_OF_FRAMES, Session, SessionError};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use report::{Ended, Verdict, json};

const DRIVERS: [&str; 4] = ["serial/serial", "ftvol/ftvol", "mixer/mixer", "parallel/parallel"];
const PROCESSORS: [usize; 3] = [1, 2, 4];
/// Where a run ends that goes astray.
const STEP_LIMIT: u64 = 400_000;

/// What is run.
#[derive(Clone, Copy, Debug)]
struct Case {
    driver: &'static str,
    processors: usize,
    points: ChoicePoints,
    /// Of a thousand choices so many are answered by a deed.
    rate: u64,
    seed: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    let places = (0..DRIVERS.len(), 0..PROCESSORS.len(), any::<bool>());
    (places, 0..200u64, any::<u64>()).prop_map(|((driver, processors, everywhere), rate, seed)| {
        let all = ChoicePoints::from_bits(u16::MAX);
        let points = ChoicePoints::from_bits(all.bits() & !ChoicePoints::EVERY_INSTRUCTION.bits());
        let points = if everywhere { all } else { points };
        // Between any two instructions there are a hundred times as many choices.
        let rate = if everywhere { rate / 20 } else { rate };
        Case { driver: DRIVERS[driver], processors: PROCESSORS[processors], points, rate, seed }
    })
}

/// A log that the test keeps.
#[derive(Clone, Default)]
struct Kept(Rc<RefCell<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Everything that a run says: report, log, and its deeds.
struct Told {
    report: String,
    log: Vec<u8>,
    token: Token,
}

/// Runs the exercise with two rivals, following a token, or with answers by chance where there is none.
fn run(case: Case, token: Option<&Token>) -> Told {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../drivers/{}.sys", case.driver));
    let driver = Arc::new(Driver::read(&path).expect("the sample is there"));
    let Case { processors, points: choices, .. } = case;
    let options = Options { choices, processors, step_limit: STEP_LIMIT, ..Options::default() };
    let memory = MemoryConfig { frames: PLENTY_OF_FRAMES, ..MemoryConfig::default() };
    let mut session = Session::new(options, memory, SerialLine::loopback_plug()).expect("it boots");
    let log = Kept::default();
    session.chronicle.log_to(Box::new(log.clone()));
    let base = session.load_file(&driver).expect("it loads");
    match token {
        Some(token) => session.machine.follow(token.schedule.clone()),
        None => session.decide(by_chance(case.seed, case.rate)),
    }
    let player = player(base, Arc::clone(&driver), session.devices(), &Scenario::default());
    let result = session.play(player, |_, _| {});
    let report = report(&mut session, result);
    session.chronicle.finish_log(&session.machine).expect("the test keeps it");
    let schedule = session.machine.schedule_so_far().clone();
    let token = Token { schedule, ..blank_token(Vec::new(), &driver, &Inputs::default(), case.points) };
    Told { report, log: log.0.take(), token }
}

/// What `nonpaged run --json` prints.
fn report(session: &mut Session, result: Result<(), PlayError>) -> String {
    let mut reports = std::mem::take(&mut session.chronicle.reports);
    reports.extend(session.parted());
    let ended = match result {
        Ok(()) => Ended::Finished,
        Err(PlayError::Session(SessionError::Stopped(stop))) => {
            reports.push(session.chronicle.stopped(&session.machine, &stop));
            Ended::Limit
        }
        Err(error) => panic!("{error}"),
    };
    let verdict = Verdict::new(ended, &reports);
    json::run(&reports, Some(&session.chronicle.summary(&session.machine)), &verdict)
}

fn by_chance(seed: u64, rate: u64) -> impl FnMut(&kernel::Choice) -> Option<Deed> {
    let mut state = seed;
    // SplitMix64.
    let mut next = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    move |choice| {
        let chosen = choice.deeds[next() as usize % choice.deeds.len()];
        (next() % 1000 < rate).then_some(chosen)
    }
}

#[test]
fn whatever_is_answered_replays_byte_for_byte() {
    let met = RefCell::new(BTreeSet::new());
    let mut runner =
        TestRunner::new(Config { cases: 64, max_shrink_iters: 64, failure_persistence: None, ..Config::default() });
    let result = runner.run(&cases(), |case| {
        let first = run(case, None);
        let word = first.token.encode();
        let token = Token::decode(&word).expect("it was encoded");
        let again = run(case, Some(&token));
        prop_assert_eq!(&again.token.schedule, &first.token.schedule);
        let difference = again.report.lines().zip(first.report.lines()).find(|(again, first)| again != first);
        prop_assert_eq!((difference, again.report.len()), (None, first.report.len()));
        prop_assert!(again.log == first.log, "the logs differ");
        prop_assert!(first.log.len() > 1000, "the log is there");
        met.borrow_mut().extend(first.token.schedule.iter().map(|(_, deed)| deed.kind()));
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    let all: BTreeSet<DeedKind> = DeedKind::ALL.iter().map(|(kind, ..)| *kind).collect();
    assert_eq!(met.into_inner(), all, "each kind of deed was met");
}
