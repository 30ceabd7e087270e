//! Threaded DPCs run in threads, or as ordinary ones where that is the setting (docs: kernel/introduction-to-threaded-dpcs).

use kernel::{ChoicePoints, Deed, EventKind, FindingKind, Options, Registry, Routine, Turn, Until};
use memory::MemoryConfig;

use crate::probe::Probe;

const DISPATCH: u8 = 2;
/// `ThreadDpcEnable` is 0.
const DISABLED: &str = "['HKLM\\SYSTEM\\CurrentControlSet\\Control\\Session Manager\\Kernel']\nThreadDpcEnable = 0\n";

fn probe(choices: ChoicePoints) -> Probe {
    Probe::new(Options { choices, ..Options::default() }, MemoryConfig::default())
}

impl Probe {
    /// A threaded DPC at a place, which calls this.
    fn threaded(&mut self, index: u64, routine: u64) -> u64 {
        let dpc = self.place(index);
        self.ask("KeInitializeThreadedDpc", &[dpc, routine, 7]).expect("it is made");
        dpc
    }

    /// What ran as a DPC, and at which IRQL.
    fn ran(&self) -> Vec<(Routine, u8)> {
        let ran = self.machine.events.iter().filter_map(|event| match event.kind {
            EventKind::Entered { what: what @ (Routine::Dpc | Routine::ThreadedDpc), .. } => {
                Some((what, event.irql.level()))
            }
            _ => None,
        });
        ran.collect()
    }
}

#[test]
fn it_runs_at_passive_level_with_its_arguments() {
    let mut probe = probe(ChoicePoints::NONE);
    let recorder = probe.recorder().0;
    let dpc = probe.threaded(0, recorder);
    assert_eq!(probe.ask("KeInsertQueueDpc", &[dpc, 8, 9]).expect("it is queued"), 1);
    probe.pass_us(5);
    assert_eq!(probe.ran(), [(Routine::ThreadedDpc, 0)]);
    let (calls, [first, context, argument1, argument2, _]) = probe.recorded();
    assert_eq!((calls, [first, context, argument1, argument2]), (1, [dpc, 7, 8, 9]));
    assert_eq!(probe.ask("KeInsertQueueDpc", &[dpc, 8, 9]).expect("it is queued"), 1, "it is off the queue");
}

/// It is a setting of the system, so it is asked once, and holds for all.
#[test]
fn x51_it_is_a_choice_whether_they_have_threads() {
    for disabled in [false, true] {
        let mut probe = probe(ChoicePoints::ORDER);
        let recorder = probe.recorder().0;
        let dpcs = [0, 1].map(|index| probe.threaded(index, recorder));
        let deed = Deed::Order(Turn::ThreadedDpcsDisabled);
        let mut asked = Vec::new();
        for dpc in dpcs {
            let request = probe.begin_service("KeInsertQueueDpc", &[dpc, 0, 0]);
            asked.extend(probe.choosing(Until::Answered(request), |_| disabled.then_some(deed)));
            let end = probe.machine.now_ns() + 5_000;
            asked.extend(probe.choosing(Until::Time(end), |_| disabled.then_some(deed)));
        }
        assert_eq!(asked, [deed]);
        assert_eq!(probe.ran(), [if disabled { (Routine::Dpc, DISPATCH) } else { (Routine::ThreadedDpc, 0) }; 2]);
    }
}

#[test]
fn the_registry_disables_them() {
    let mut registry = Registry::default();
    registry.load(DISABLED.as_bytes()).expect("the registry file is right");
    let options = Options { registry, choices: ChoicePoints::ORDER, ..Options::default() };
    let mut probe = Probe::new(options, MemoryConfig::default());
    let recorder = probe.recorder().0;
    let dpc = probe.threaded(0, recorder);
    let request = probe.begin_service("KeInsertQueueDpc", &[dpc, 0, 0]);
    assert_eq!(probe.choosing(Until::Answered(request), |_| None), []);
    assert_eq!(probe.ran(), [(Routine::Dpc, DISPATCH)]);
}

/// No other thread preempts it, and it preempts whatever thread runs; they come one after the other.
#[test]
fn no_other_thread_runs_until_it_has_ended() {
    let mut probe = probe(ChoicePoints::SWITCH);
    let routine = probe.export("KeQueryTimeIncrement").0;
    let dpcs = [0, 1].map(|index| probe.threaded(index, routine));
    let requests = [dpcs[0], dpcs[1], dpcs[0]].map(|dpc| probe.begin_service("KeInsertQueueDpc", &[dpc, 0, 0]));
    for request in requests {
        let switches = probe.choosing(Until::Answered(request), |deeds| deeds.first().copied());
        assert!(!switches.is_empty() || request != requests[0]);
    }
    probe.run(Until::Quiescent).expect("nothing stops the machine");
    let is = |event: &kernel::Event, entered: bool| match event.kind {
        EventKind::Entered { what: Routine::ThreadedDpc, .. } => entered,
        EventKind::Left { what: Routine::ThreadedDpc, .. } => !entered,
        _ => false,
    };
    let events: Vec<_> = probe.machine.events.iter().collect();
    let begins: Vec<usize> = (0..events.len()).filter(|index| is(events[*index], true)).collect();
    assert!(begins.len() >= 2, "{begins:?}");
    for begin in begins {
        let end = (begin..events.len()).find(|index| is(events[*index], false)).expect("it ended");
        assert!(events[begin..=end].iter().all(|event| event.thread == events[begin].thread));
        assert_eq!(events[begin..end].iter().filter(|event| is(event, true)).count(), 1);
    }
}

/// ddi: KeFlushQueuedDpcs, KeRemoveQueueDpc.
#[test]
fn a_flush_waits_for_it_and_it_can_be_removed() {
    let mut probe = probe(ChoicePoints::NONE);
    let recorder = probe.recorder().0;
    let dpc = probe.threaded(0, recorder);
    let (insert, remove) = (probe.export("KeInsertQueueDpc"), probe.export("KeRemoveQueueDpc"));
    probe.call(DISPATCH, insert, [dpc, 0]).expect("it is queued");
    probe.ask("KeFlushQueuedDpcs", &[]).expect("it returns");
    assert_eq!(probe.recorded().0, 1);
    assert_eq!(probe.call(0, remove, [dpc, 0]).expect("it returns"), 0, "it is off the queue");
}

/// K10: at PASSIVE_LEVEL nothing else shows that its routine may be out.
#[test]
fn k10_its_routine_is_not_pageable() {
    let mut probe = probe(ChoicePoints::NONE);
    let paged = probe.paged().0;
    let dpc = probe.threaded(0, paged);
    probe.ask("KeInsertQueueDpc", &[dpc, 0, 0]).expect("it is queued");
    probe.pass_us(500);
    let is_it = |event: &kernel::Event| match &event.kind {
        EventKind::Found(finding) => matches!(finding.kind, FindingKind::K10DpcPageable { threaded: true, .. }),
        _ => false,
    };
    assert!(probe.machine.events.iter().any(is_it));
    assert_eq!(probe.ran(), [(Routine::ThreadedDpc, 0)]);
}
