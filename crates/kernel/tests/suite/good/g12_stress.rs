//! G12: threads that lock and unlock overlapping sections at random, against a reference model (BEHAVIOUR.md section 12).

use std::num::NonZeroU32;

use devices::Bus;
use kernel::{Action, Answer, Options, Stop};
use memory::{MemoryConfig, TrimPolicy};
use nt_types::Va;

use super::{both, code, interleaved};
use crate::invariants::Invariants;
use crate::sample::{Lab, bug_check};

const SECTIONS: [&str; 3] = ["PAGESTR1", "PAGESTR2", "PAGESTR3"];

/// Runs the driver's threads and checks the invariants after each slice.
fn stress(lab: &mut Lab, file: Va, [seed, threads, rounds]: [u32; 3]) -> Result<Answer, Box<Stop>> {
    let input = [seed, threads, rounds].iter().flat_map(|word| word.to_le_bytes()).collect();
    let request = lab.start(Action::Ioctl { file, code: code(0), input, output_length: 0 });
    let mut invariants = Invariants::default();
    loop {
        if let Some(answer) = lab.machine.answer_of(request).cloned() {
            assert_eq!(invariants.outstanding(), 0);
            return Ok(answer);
        }
        lab.slice()?;
        invariants.check(&lab.machine);
    }
}

fn started(path: &str, processors: usize, slice_steps: u64) -> (Lab, Va, Va) {
    let mut lab = interleaved(TrimPolicy::AtOnce, processors, slice_steps);
    let base = lab.load(path).expect("the driver starts");
    let file = lab.open(base).expect("it opens");
    (lab, base, file)
}

/// Section 12: on 1, 2 and 4 processors, with turns of many lengths and many seeds, the counts are those of a plain model,
/// what is locked is in memory, nothing that is locked ever leaves, and all is balanced in the end.
#[test]
fn g12_section_12_holds_at_every_moment() {
    for path in both("stress/stress") {
        for (processors, slice_steps, seed) in
            [(1, 1, 1), (1, 37, 2), (2, 1, 3), (2, 3, 4), (2, 11, 5), (2, 101, 6), (4, 1, 7), (4, 2, 8), (4, 13, 9)]
        {
            let (mut lab, base, file) = started(&path, processors, slice_steps);
            let answer = stress(&mut lab, file, [seed, 6, 24]).expect("no bug check");
            assert!(answer.status.is_success(), "{path}: {}", answer.status);
            for section in SECTIONS {
                let counts = lab.counts(lab.section_id(base, section));
                assert!(counts.len() > 10 && counts.last() == Some(&0), "{path}, seed {seed}: {section} {counts:?}");
            }
            let found: Vec<_> = lab.codes().into_iter().filter(|code| *code != "K18").collect();
            assert!(found.is_empty(), "{path}, seed {seed}: {found:?}");
        }
    }
}

/// D22, R102: aligned to 128 bytes the sections share pages, and a page stays while any section that covers it is locked.
#[test]
fn g12_d22_overlapping_sections_share_pages() {
    let (lab, base, _) = started("stress/stress-a80", 1, 1000);
    let shared = SECTIONS.windows(2).filter(|pair| {
        let (first, second) = (lab.pages(base, pair[0]), lab.pages(base, pair[1]));
        first.iter().any(|page| second.contains(page))
    });
    assert_eq!(shared.count(), 2);
}

/// D25, R98: with the limit at 5 the lock that would pass it is 0x1A/0xFFFF1001, with the value passed and reason 7; until
/// then the counts are exact, and the count itself stays at the limit.
#[test]
fn g12_d25_a_lock_past_the_limit_is_fatal() {
    const LIMIT: u32 = 5;
    for slice_steps in [1, 7, 50] {
        let options = Options { processors: 2, slice_steps, ..Options::default() };
        let lock_limit = NonZeroU32::new(LIMIT).expect("it is not zero");
        let memory = MemoryConfig { trim: TrimPolicy::AtOnce, lock_limit, ..MemoryConfig::default() };
        let mut lab = Lab::with(options, memory, Bus::new());
        let base = lab.load("stress/stress").expect("the driver starts");
        let file = lab.open(base).expect("it opens");
        let stop = stress(&mut lab, file, [1, 8, 200]).expect_err("eight threads want more than five locks");
        let [subtype, value, reason, caller] = bug_check(&stop).parameters;
        assert_eq!((bug_check(&stop).code.0, subtype, reason), (0x1A, 0xFFFF_1001, 7));
        assert_eq!(lab.section_name(Va(caller)), ".text");
        let counts = SECTIONS.map(|section| lab.count(base, section));
        assert_eq!(counts.iter().max(), Some(&LIMIT), "{counts:?}");
        let full = SECTIONS.iter().find(|section| lab.count(base, section) == LIMIT).expect("one is full");
        let by_address = lab.section_name(Va(value)) == *full;
        assert!(by_address || section_paging::Handle::RANGE.contains(&value), "{value:#x}");
    }
}
