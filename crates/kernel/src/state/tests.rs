//! What counts as a difference of states, and what does not.

use devices::{Bus, FlowControl, SerialLine, Uart16550};
use memory::{Backing, MemoryConfig, Protection, Region, TrimReason};
use nt_types::Va;

use crate::deed::Deed;
use crate::event::EventKind;
use crate::machine::Machine;
use crate::options::Options;
use crate::stop::{Limit, StopKind};
use crate::time::Deadline;

/// A change of a machine, by what it changes.
type Change = (&'static str, fn(&mut Machine));

/// The first page of paged pool: `machine` has it.
const PAGED: Va = Region::PagedPool.base();

fn machine() -> Machine {
    let options = Options { processors: 2, ..Options::default() };
    let mut machine = Machine::boot(options, MemoryConfig::default(), Bus::new()).expect("it boots");
    let pool = machine.memory.reserve(Region::PagedPool, 1).expect("there is room");
    machine.memory.map(pool, 1, Backing::Pageable, Protection::READ_WRITE).expect("there is room");
    machine.memory.begin_page_in(pool).expect("there is a frame");
    machine.memory.poke(pool, &[1; 64]).expect("it is resident");
    machine.call_routine("request", Va(0x1000), &[1]).expect("there is room for a thread");
    machine
}

/// One change for each field of a machine that counts, and for each kind of state of memory.
#[rustfmt::skip]
const CHANGES: &[Change] = &[
    ("a byte of memory", |m| m.memory.poke(PAGED + 5, &[9]).expect("it is resident")),
    ("a page that left", |m| drop(m.memory.evict(&[PAGED], TrimReason::Command))),
    ("a new page", |m| drop(m.memory.allocate(Region::NonpagedPool, 1, Backing::Resident, Protection::READ_WRITE))),
    ("an address that is taken", |m| drop(m.memory.reserve(Region::SystemMapping, 1))),
    ("a watch on pages that may leave", |m| m.memory.watch_eligible(true)),
    ("a device line", |m| m.bus.inject_spurious(5)),
    ("a register", |m| m.cpu().gpr[3] ^= 1),
    ("the IRQL", |m| m.cpu().cr8 = 2),
    ("a floating-point register", |m| m.cpu().xmm[15] = 7),
    ("the processor that is active", |m| m.active ^= 1),
    ("a priority", |m| m.thread().priority += 1),
    ("a spin lock", |m| m.thread().spin_locks.push(Va(0x2000))),
    ("registers of a thread that waits for a processor", |m| m.threads.last_mut().expect("one").context.gpr[0] += 1),
    ("a timer", |m| m.deadlines.add(77, Deadline::Timer(Va(0x3000)))),
    ("a request", |m| drop(m.call_routine("request", Va(0x1000), &[1]))),
    ("a stop", |m| { let stop = m.stop_at(Va(1), StopKind::Limit(Limit::Steps(1))); m.stop = Some(Box::new(stop)); }),
    ("a call of the scheduler", |m| m.attention ^= true),
    ("a schedule", |m| m.follow(vec![(3, Deed::Trim)])),
    ("a moment", |m| m.moment ^= true),
    ("the end of a slice", |m| m.slice_end = Some(99)),
    ("a search for a processor", |m| m.round = Some(1..2)),
    ("the registry", |m| { m.cm.registry.create("\\Registry\\Machine\\SOFTWARE\\Other"); }),
    ("drivers", |m| m.io.drivers.push(Va(0x4000))),
    ("attached devices", |m| { m.io.attached_to.insert(Va(1), Va(2)); }),
    ("page-ins in a row", |m| m.mm.page_ins_in_a_row = (m.steps, 2)),
    ("what is left of a quantum", |m| m.processors[0].quantum += 1),
    ("who goes on with what a timer releases", |m| m.timer_due(Va(0x3000), 7)),
    ("whether DPCs are threaded", |m| m.ke.dpcs.threaded = Some(true)),
    ("locked pages of the process", |m| m.process_pages_locked(Va(0x4000), 1, Va(0x5000))),
    ("chance", |m| { m.rtl.random.next(); }),
    ("a finding", |m| { m.findings_seen.insert(("K01", 1, 2), ()); }),
];

/// What leaves the state what it is.
#[rustfmt::skip]
const NO_CHANGES: &[Change] = &[
    ("nothing", |_| {}),
    ("a fork", |m| drop(m.fork())),
    ("an event", |m| m.record(EventKind::Chosen { deed: Deed::Trim })),
    ("coverage", Machine::count_coverage),
    ("waits that were", |m| m.waits += 1),
    ("what was counted", |m| m.counters.raises += 1),
    ("the step of histories", |m| m.memory.set_step(77)),
    ("when to ask", |m| m.ask_from(Some(9))),
    ("time", |m| m.skipped_ns += 1),
    ("instructions, and what they leave of a quantum", |m| { m.steps += 9; m.processors.iter_mut().for_each(|p| p.quantum += 9); }),
    ("a clock that shows another time", |m| { m.skipped_ns += 1_000_000_000; m.update_shared_time(); }),
    ("looks at the time that were", |m| { m.look_at_time(); }),
    ("a byte that is what it was", |m| m.memory.poke(PAGED + 5, &[1]).expect("it is resident")),
    ("the branch before", |m| m.cpu().last_branch.from = 9),
];

#[test]
fn each_component_of_the_state_tells_and_nothing_else() {
    let mut base = machine();
    let hash = base.state_hash();
    for (what, change) in CHANGES {
        let mut fork = base.fork();
        change(&mut fork);
        assert_ne!(fork.state_hash(), hash, "{what}");
    }
    for (what, change) in NO_CHANGES {
        let mut fork = base.fork();
        change(&mut fork);
        assert_eq!(fork.state_hash(), hash, "{what}");
    }
    assert_eq!(base.state_hash(), hash, "forks changed the machine");
}

/// The hash of a page is forgotten when it is written, whoever writes it and however often states are asked for.
#[test]
fn a_page_that_is_written_between_two_states_tells_each_time() {
    let mut machine = machine();
    let mut hashes = vec![machine.state_hash()];
    for value in 2..6u64 {
        machine.memory.write_u64(PAGED, value).expect("it is resident");
        hashes.push(machine.state_hash());
        let mut fork = machine.fork();
        assert_eq!(fork.state_hash(), machine.state_hash());
        fork.memory.write_u64(PAGED, 100 + value).expect("it is resident");
        assert_ne!(fork.state_hash(), machine.state_hash());
    }
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 5);
}

/// A timer that is due as much later as time has passed is as far away.
#[test]
fn deadlines_tell_by_how_far_away_they_are() {
    let mut base = machine();
    base.processors[0].quantum = 5_000;
    let mut later = base.fork();
    later.skipped_ns += 1_000;
    base.deadlines.add(50, Deadline::Timer(Va(0x3000)));
    let mut too_soon = later.fork();
    too_soon.deadlines.add(50, Deadline::Timer(Va(0x3000)));
    later.deadlines.add(1_050, Deadline::Timer(Va(0x3000)));
    assert_eq!(base.state_hash(), later.state_hash());
    assert_ne!(base.state_hash(), too_soon.state_hash());
}

/// What a device will do tells by how far away it is, and what it did not at all.
#[test]
fn devices_tell_by_how_long_it_is_to_what_they_will_do() {
    let (mut bus, cable) = (Bus::new(), SerialLine::peer(FlowControl::None));
    let port = Uart16550::install(&mut bus, cable, 0x3F8, 4).expect("the ports are free");
    let mut base = Machine::boot(Options::default(), MemoryConfig::default(), bus).expect("it boots");
    let mut later = base.fork();
    later.skipped_ns += 1_000;
    assert_eq!(base.state_hash(), later.state_hash(), "nothing will happen");
    let say = |machine: &mut Machine, at_ns: u64| {
        machine.bus.device_mut::<Uart16550>(port).expect("it is there").line_mut().send_bytes(at_ns, b"x");
    };
    let mut too_soon = later.fork();
    say(&mut base, 50_000);
    say(&mut later, 51_000);
    say(&mut too_soon, 50_000);
    assert_eq!(base.state_hash(), later.state_hash(), "a character is on its way");
    assert_ne!(base.state_hash(), too_soon.state_hash());
    let pass = |machine: &mut Machine, more_ns: u64| {
        machine.skipped_ns += more_ns;
        machine.state_hash()
    };
    assert_ne!(pass(&mut base.fork(), 1), base.state_hash(), "it is nearer");
    for machine in [&mut base, &mut later] {
        machine.skipped_ns += 50_000;
        machine.bus.advance(machine.now_ns());
    }
    assert_eq!(base.state_hash(), later.state_hash(), "it is being received");
    assert_eq!(pass(&mut base, 700_000), pass(&mut later, 700_000), "a little of it is left");
}

/// Whatever tells a driver the time is counted, in each fork, and also where its page was read before.
#[test]
fn each_look_at_the_time_is_counted() {
    let mut base = machine();
    for address in [crate::KUSER_SHARED_DATA + 0x14, base.kernel_images.variable("KeTickCount").expect("it is there")] {
        for _ in 0..2 {
            base.state_hash();
            let mut fork = base.fork();
            for machine in [&mut base, &mut fork] {
                let before = machine.looks_at_time();
                machine.memory.read_u64(address).expect("it can be read");
                assert!(machine.looks_at_time() > before);
                machine.state_hash();
                let before = machine.looks_at_time();
                machine.memory.read_u64(address).expect("it can be read");
                assert!(machine.looks_at_time() > before);
            }
        }
    }
    let looks: &[Change] = &[
        ("a timer is set", |m| drop(m.set_timer(PAGED, -1, 0, Va::NULL))),
        ("the system time", |m| _ = m.system_time()),
        ("a moment that has a date", |m| _ = m.moment(1)),
    ];
    for (what, look) in looks {
        let before = base.looks_at_time();
        look(&mut base);
        assert!(base.looks_at_time() > before, "{what}");
    }
    let before = base.looks_at_time();
    base.moment(-1);
    base.memory.read_u64(PAGED).expect("it can be read");
    assert_eq!(base.looks_at_time(), before, "how long something lasts is no look");
}
