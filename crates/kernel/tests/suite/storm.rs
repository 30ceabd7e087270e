//! Between any two instructions another processor or thread may go on, everything that may leave memory may leave it, and
//! time may pass: a seed answers each of these choices, and the invariants of BEHAVIOUR.md section 12 are checked at each.

use devices::Bus;
use kernel::{Action, ChoicePoints, Deed, Options, RequestId, RunEnd, Stop, Until};
use memory::{MemoryConfig, TrimPolicy};
use nt_types::{Irql, PAGE_SIZE, Va};

use crate::good::g04_load::Fates;
use crate::invariants::Invariants;
use crate::sample::{IOCTL, Lab};

const EVERYTHING: ChoicePoints =
    ChoicePoints::SWITCH.and(ChoicePoints::TRIM).and(ChoicePoints::TIME).and(ChoicePoints::EVERY_INSTRUCTION);

/// Answers choices; the same seed always answers alike (xorshift, G. Marsaglia).
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as usize % sides
    }

    /// Mostly nothing, so that threads get on between what happens to them.
    fn choose(&mut self, deeds: &[Deed]) -> Option<Deed> {
        let happens = self.roll(4) == 0;
        happens.then(|| deeds[self.roll(deeds.len())])
    }
}

fn stormy(processors: usize) -> Lab {
    let options = Options { processors, choices: EVERYTHING, ..Options::default() };
    Lab::with(options, MemoryConfig { trim: TrimPolicy::AtOnce, ..MemoryConfig::default() }, Bus::new())
}

/// Runs requests to their ends; the dice decide what happens between any two instructions.
fn weather(lab: &mut Lab, requests: &[RequestId], seed: u64) -> Result<Deeds, Box<Stop>> {
    let (mut dice, mut invariants, mut deeds) = (Dice::new(seed), Invariants::default(), Deeds::default());
    invariants.check(&lab.machine);
    lab.machine.ask_from(Some(lab.machine.choices_made()));
    for request in requests {
        loop {
            let end = lab.machine.run(&mut lab.engine, Until::Answered(*request));
            invariants.check(&lab.machine);
            match end {
                RunEnd::Undecided => {
                    let deed = dice.choose(&lab.machine.choice().expect("it is undecided").deeds);
                    deeds.count(deed);
                    lab.machine.answer_choice(deed);
                }
                RunEnd::Reached => break,
                RunEnd::Stopped(stop) => return Err(stop),
                other => panic!("seed {seed}: a request that never ends: {other:?}"),
            }
        }
    }
    lab.machine.ask_from(None);
    Ok(deeds)
}

/// What the dice did.
#[derive(Default, Debug)]
struct Deeds {
    trims: u32,
    switches: u32,
    times: u32,
}

impl Deeds {
    fn count(&mut self, deed: Option<Deed>) {
        match deed {
            Some(Deed::Trim) => self.trims += 1,
            Some(Deed::Switch(_) | Deed::Processor(_)) => self.switches += 1,
            Some(Deed::Time) => self.times += 1,
            _ => {}
        }
    }

    fn add(&mut self, more: &Deeds) {
        self.trims += more.trims;
        self.switches += more.switches;
        self.times += more.times;
    }
}

/// A section of three pages that nobody uses otherwise.
const SECTION: &str = "PAGESTR1";

/// D6, D21, R97: first locks, repeated locks and unlocks of the same section, and touches of its pages, by four threads on
/// two processors. Whoever has a lock finds every page, whatever left in between.
#[test]
fn d21_lockers_of_one_section_in_any_order() {
    let mut seen = Deeds::default();
    for seed in 1..=40 {
        let mut lab = stormy(2);
        let base = lab.load("stress/stress").expect("the driver starts");
        let (section, pages) = (lab.section_id(base, SECTION), lab.pages(base, SECTION));
        let (page, size) = (pages[0], pages.len() as u64 * PAGE_SIZE - 1);
        let service =
            |lab: &Lab, name: &str| lab.machine.kernel_images().export("ntoskrnl.exe", name).expect("it is one");
        let (lock, compare) = (service(&lab, "MmLockPagableDataSection"), service(&lab, "RtlCompareMemory"));
        // Nobody has locked it yet: pages leave while others are on their way, and both threads see them all in the end.
        let looks = [(); 2]
            .map(|()| lab.machine.call_routine("storm", compare, &[page.0, page.0, size]).expect("a thread is made"));
        seen.add(&weather(&mut lab, &looks, seed).unwrap_or_else(|stop| panic!("seed {seed}: {stop:?}")));
        let calls = [
            (lock, vec![page.0]),
            (compare, vec![page.0, page.0, size]),
            (lock, vec![page.0 + 9000]),
            (lock, vec![page.0]),
        ];
        let requests = calls.map(|(routine, arguments)| {
            lab.machine.call_routine("storm", routine, &arguments).expect("a thread is made")
        });
        let deeds = weather(&mut lab, &requests, seed).unwrap_or_else(|stop| panic!("seed {seed}: {stop:?}"));
        let answers = requests.map(|request| lab.machine.answer_of(request).expect("it ended").information);
        assert_eq!((answers[0], answers[0], answers[1]), (answers[2], answers[3], size), "seed {seed}");
        assert_eq!((lab.counts(section), lab.is_whole(base, SECTION)), (vec![1, 2, 3], true), "seed {seed}");
        let unlock = service(&lab, "MmUnlockPagableImageSection");
        let unlocks =
            [(); 3].map(|()| lab.machine.call_routine("storm", unlock, &[answers[0]]).expect("a thread is made"));
        weather(&mut lab, &unlocks, seed).unwrap_or_else(|stop| panic!("seed {seed}: {stop:?}"));
        assert_eq!(lab.counts(section), [1, 2, 3, 2, 1, 0], "seed {seed}");
        seen.add(&deeds);
    }
    assert!(seen.trims > 20 && seen.switches > 20 && seen.times > 20, "{seen:?}");
}

/// The driver started and opened in fair weather.
fn opened(path: &str, processors: usize) -> (Lab, Va, Va) {
    let mut lab = stormy(processors);
    let base = lab.load(path).expect("the driver starts");
    let file = lab.open(base).expect("it opens");
    (lab, base, file)
}

fn found(lab: &Lab, but: &[&str]) -> Vec<&'static str> {
    lab.codes().into_iter().filter(|code| !but.contains(code)).collect()
}

/// G12, section 12: the threads of the stress driver on two and four processors.
#[test]
fn g12_stress_in_any_weather() {
    for seed in 1..=12 {
        let path = if seed % 2 == 0 { "stress/stress" } else { "stress/stress-a80" };
        let (mut lab, base, file) = opened(path, if seed % 3 == 0 { 4 } else { 2 });
        let input = [seed as u32, 3, 4].iter().flat_map(|word| word.to_le_bytes()).collect();
        let request = lab.start(Action::Ioctl { file, code: IOCTL, input, output_length: 0 });
        weather(&mut lab, &[request], seed).unwrap_or_else(|stop| panic!("seed {seed}: {stop:?}"));
        assert!(lab.machine.answer_of(request).is_some_and(|answer| answer.status.is_success()), "seed {seed}");
        assert_eq!(["PAGESTR1", "PAGESTR2", "PAGESTR3"].map(|name| lab.count(base, name)), [0, 0, 0], "seed {seed}");
        assert!(found(&lab, &["K18"]).is_empty(), "seed {seed}: {:?}", lab.codes());
    }
}

/// G4, D21, R96, R16: both volumes are repartitioned at once, while requests come at every IRQL.
#[test]
fn g4_repartition_in_any_weather() {
    let mut fates = Fates::default();
    for seed in 1..=24 {
        let path = if seed % 2 == 0 { "ftvol/ftvol" } else { "ftvol/ftvol-a80" };
        let (mut lab, base, file) = opened(path, [1, 2, 4][seed as usize % 3]);
        let second = lab.machine.openable_names(base).swap_remove(1);
        let second = Va(lab.act(Action::Open { name: second }).expect("no bug check").expect("it ends").information);
        let repartition = |file: Va, kind: u32| Action::Ioctl {
            file,
            code: IOCTL,
            input: kind.to_le_bytes().to_vec(),
            output_length: 0,
        };
        let write = |file: Va| Action::Write { file, data: vec![1; 64], offset: 480 };
        let at = |irql: Irql, action: Action| Action::At { irql, action: Box::new(action) };
        let requests = [
            write(file),
            repartition(file, 1),
            repartition(second, 2),
            at(Irql::APC, write(second)),
            at(Irql::DISPATCH, write(file)),
            at(Irql::DISPATCH, write(second)),
        ];
        let requests = requests.map(|action| lab.start(action));
        weather(&mut lab, &requests, seed).unwrap_or_else(|stop| panic!("seed {seed}: {stop:?}"));
        let counts = ["PAGEMIRR", "PAGESTRP", "PAGEVOLS"].map(|name| lab.count(base, name));
        assert_eq!(counts, [0, 1, 1], "seed {seed}");
        assert!(lab.codes().is_empty(), "seed {seed}: {:?}", lab.codes());
        fates.add(&lab);
    }
    assert!(fates.queued > 20 && fates.held > 2, "{fates:?}");
}

/// G5, R28: one program closes the last handle while another one opens: the mutex makes each of the two steps one, so that
/// no order of them gives K03, K04, K19 or a bug check.
#[test]
fn g5_r28_close_and_open_in_any_weather() {
    for seed in 1..=24 {
        let (mut lab, base, file) = opened("beep/beep", 2);
        let name = lab.machine.openable_names(base).swap_remove(0);
        let requests = [lab.start(Action::Close { file }), lab.start(Action::Open { name })];
        weather(&mut lab, &requests, seed).unwrap_or_else(|stop| panic!("seed {seed}: {stop:?}"));
        let vector = lab.machine.connected_interrupts().first().expect("one program has it open").vector;
        lab.machine.spurious_interrupt(vector);
        lab.pass_ms(1).expect("the service routine is in memory");
        assert!(lab.is_whole(base, ".text") && lab.codes().is_empty(), "seed {seed}: {:?}", lab.codes());
    }
}

/// G2, R97: two programs open, and feed paper by another address of the section.
#[test]
fn g2_r97_open_and_form_feed_in_any_weather() {
    for seed in 1..=12 {
        let mut lab = stormy(2);
        let base = lab.load("parallel/parallel").expect("the driver starts");
        let name = lab.machine.openable_names(base).swap_remove(0);
        let opens = [(); 2].map(|()| lab.start(Action::Open { name: name.clone() }));
        weather(&mut lab, &opens, seed).unwrap_or_else(|stop| panic!("seed {seed}: {stop:?}"));
        let file = Va(lab.machine.answer_of(opens[0]).expect("it ended").information);
        let feed = || Action::Ioctl { file, code: IOCTL, input: Vec::new(), output_length: 4 };
        let feeds = [(); 2].map(|()| lab.start(feed()));
        weather(&mut lab, &feeds, seed).unwrap_or_else(|stop| panic!("seed {seed}: {stop:?}"));
        assert_eq!((lab.count(base, "PAGEPAR"), lab.is_whole(base, "PAGEPAR")), (1, true), "seed {seed}");
        assert!(found(&lab, &["K18"]).is_empty(), "seed {seed}: {:?}", lab.codes());
    }
}
