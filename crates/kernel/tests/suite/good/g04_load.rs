//! G4 under load: volumes are repartitioned while reads and writes come and go at every IRQL (R16).

use std::collections::BTreeMap;

use devices::Bus;
use kernel::{Action, EventKind, Options, Verifier};
use memory::{MemoryConfig, TrimPolicy};
use nt_types::{Irql, Va, constants as c};

use super::g04_ftvol::counts;
use super::{both, code, open};
use crate::invariants::Invariants;
use crate::sample::Lab;

const VOLUME_BYTES: usize = 32_768;

/// R16, R19, R5: while requests come and go at every IRQL, both volumes are repartitioned, again and again. What runs at
/// DISPATCH_LEVEL is locked at every moment, and no section is unlocked while a request of the driver is pending.
#[test]
fn g4_r16_r19_repartition_under_load_on_one_processor() {
    repartition_under_load(1);
}

#[test]
fn g4_r16_r19_repartition_under_load_on_two_processors() {
    repartition_under_load(2);
}

#[test]
fn g4_r16_r19_repartition_under_load_on_four_processors() {
    repartition_under_load(4);
}

fn repartition_under_load(processors: usize) {
    let mut fates = Fates::default();
    let trims = [(TrimPolicy::Never, false), (TrimPolicy::AtOnce, false), (TrimPolicy::OnRaise, true)];
    for (trim, verifier) in trims {
        for (path, slice_steps) in both("ftvol/ftvol").into_iter().flat_map(|path| [(path.clone(), 7), (path, 60)]) {
            let mut load = Load::new(&path, processors, slice_steps, (trim, verifier));
            (0..9).for_each(|round| load.round(round));
            fates.add(&load.lab);
            load.ends_clean(&format!("{path}, {trim:?}, {processors} processors, {slice_steps} steps"));
        }
    }
    // One processor is given up by nobody who does not wait: requests meet an open gate (but see the storm).
    let met_closed_gate = fates.held > 10 && fates.served > 10;
    assert!(fates.queued > 50 && (met_closed_gate || processors == 1), "{fates:?}");
}

/// What became of reads and writes.
#[derive(Default, Debug)]
pub(crate) struct Fates {
    /// Complete, and no section was unlocked in the meantime.
    pub(crate) queued: u32,
    /// Sent below DISPATCH_LEVEL, and a section was unlocked before they were complete: held in their dispatch routine, since
    /// K08 would have been found if they had been pending.
    pub(crate) held: u32,
    /// Sent at DISPATCH_LEVEL and complete before any DPC ran on their processor.
    pub(crate) served: u32,
}

/// A read or write that is not complete yet.
struct Sent {
    irql: Irql,
    processor: usize,
    unlocked: bool,
    dpc: bool,
}

impl Fates {
    pub(crate) fn add(&mut self, lab: &Lab) {
        let mut sent: BTreeMap<Va, Sent> = BTreeMap::new();
        for event in lab.machine.events.iter() {
            let (irql, processor) = (event.irql, event.processor);
            match event.kind {
                EventKind::IrpSent { irp, major, .. }
                    if matches!(u32::from(major), c::IRP_MJ_READ | c::IRP_MJ_WRITE) =>
                {
                    sent.insert(irp, Sent { irql, processor, unlocked: false, dpc: false });
                }
                EventKind::SectionUnlocked { .. } => sent.values_mut().for_each(|request| request.unlocked = true),
                EventKind::Entered { what: kernel::Routine::Dpc, .. } => {
                    sent.values_mut().for_each(|request| request.dpc |= request.processor == processor);
                }
                EventKind::IrpCompleted { irp, .. } => match sent.remove(&irp) {
                    Some(Sent { irql: Irql::DISPATCH, dpc: false, processor: own, .. }) => {
                        self.served += u32::from(own == processor);
                    }
                    Some(Sent { unlocked: true, .. }) => self.held += 1,
                    Some(_) => self.queued += 1,
                    None => {}
                },
                _ => {}
            }
        }
    }
}

/// The two volumes under load.
struct Load {
    lab: Lab,
    base: Va,
    processors: usize,
    files: [Va; 2],
    kinds: [u32; 2],
    invariants: Invariants,
}

impl Load {
    fn new(path: &str, processors: usize, slice_steps: u64, (trim, verifier): (TrimPolicy, bool)) -> Load {
        let page_read_ns = 20 * slice_steps;
        let options = Options {
            processors,
            verifier: if verifier { Verifier::ON } else { Verifier::OFF },
            slice_steps,
            page_read_ns,
            ..Options::default()
        };
        let mut lab = Lab::with(options, MemoryConfig { trim, ..MemoryConfig::default() }, Bus::new());
        let base = lab.load(path).expect("the driver starts");
        let files = [0, 1].map(|index| open(&mut lab, base, index));
        Load { lab, base, processors, files, kinds: [0, 0], invariants: Invariants::default() }
    }

    /// Repartitions one volume or both while reads and writes are under way, then looks whether the last write is there.
    fn round(&mut self, round: u32) {
        let [first, second] = self.files;
        let bytes = vec![round as u8 + 1; if round.is_multiple_of(3) { VOLUME_BYTES } else { 700 }];
        let write = |file: Va| Action::Write { file, data: bytes.clone(), offset: 0 };
        let read = |file: Va| Action::Read { file, length: 512, offset: 100 };
        let at = |irql: Irql, action: Action| Action::At { irql, action: Box::new(action) };
        let mut actions = vec![
            write(first),
            self.repartition(0, (round + 1) % 3),
            at(Irql::APC, read(first)),
            at(Irql::DISPATCH, write(second)),
            at(Irql::DISPATCH, read(first)),
            read(second),
        ];
        if round % 2 == 1 {
            actions.push(self.repartition(1, round % 3));
        }
        self.play(actions);
        let expected = [0, 1, 2].map(|kind| self.kinds.iter().filter(|own| **own == kind).count() as u32);
        assert_eq!(counts(&self.lab, self.base), expected);
        if round.is_multiple_of(2) {
            let read = self.lab.act(Action::Read { file: second, length: 8, offset: 520 }).expect("no bug check");
            assert_eq!(read.expect("it ends").output, [round as u8 + 1; 8], "round {round}");
        }
    }

    fn repartition(&mut self, volume: usize, kind: u32) -> Action {
        self.kinds[volume] = kind;
        let input = kind.to_le_bytes().to_vec();
        Action::Ioctl { file: self.files[volume], code: code(0), input, output_length: 0 }
    }

    /// Does all at once, each on a processor of its own as far as there are so many.
    fn play(&mut self, actions: Vec<Action>) {
        let start = |(index, action)| self.lab.start_on(index % self.processors, action);
        let requests: Vec<_> = actions.into_iter().enumerate().map(start).collect();
        while requests.iter().any(|request| self.lab.machine.answer_of(*request).is_none()) {
            self.lab.slice().expect("no bug check");
            self.invariants.check(&self.lab.machine);
        }
        for request in requests {
            let status = self.lab.machine.answer_of(request).expect("it ended").status;
            assert!(status.is_success(), "{status}");
        }
    }

    fn ends_clean(mut self, what: &str) {
        let at_dispatch = self.lab.events(|event| {
            matches!(event.kind, EventKind::Entered { what: kernel::Routine::Dpc, .. }).then_some(event.irql)
        });
        assert!(!at_dispatch.is_empty() && at_dispatch.iter().all(|irql| *irql == Irql::DISPATCH), "{what}");
        for file in self.files {
            self.lab.close(file).expect("no bug check");
        }
        self.lab.unload(self.base).expect("no bug check");
        assert!(self.lab.codes().is_empty(), "{what}: {:?}", self.lab.codes());
        assert_eq!(self.lab.machine.memory.counters().frames_leaked, 0, "{what}");
    }
}
