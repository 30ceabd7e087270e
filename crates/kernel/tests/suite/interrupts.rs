//! Interrupts: when they are delivered, to whom, and synchronised execution.

use kernel::{EventKind, Options, Routine, Verifier};
use memory::MemoryConfig;
use nt_types::{Irql, Va};

use crate::probe::Probe;

const VECTOR: u64 = 4;
const DEVICE_IRQL: u64 = 5;

/// Connects `routine`; the KINTERRUPT.
fn connect(probe: &mut Probe, routine: Va) -> Va {
    let object = probe.data();
    let arguments = [object.0, routine.0, 0, 0, VECTOR, DEVICE_IRQL, DEVICE_IRQL, 0, 1, 1, 0];
    assert_eq!(probe.ask("IoConnectInterrupt", &arguments).expect("it is connected"), 0);
    probe.machine.read_va(object).expect("it is there")
}

/// The routine and IRQL of each service routine entered.
fn entered(probe: &Probe) -> Vec<(Va, Irql)> {
    let isr = |event: &kernel::Event| match event.kind {
        EventKind::Entered { what: Routine::Isr { .. }, routine } => Some((routine, event.irql)),
        _ => None,
    };
    probe.machine.events.iter().filter_map(isr).collect()
}

/// A service routine runs at the IRQL it was connected with, and no longer once it is disconnected.
#[test]
fn a_service_routine_runs_at_its_level() {
    let mut probe = Probe::plain();
    let routine = probe.nothing();
    let interrupt = connect(&mut probe, routine);
    probe.machine.spurious_interrupt(VECTOR as u32);
    probe.pass_us(10);
    assert_eq!(entered(&probe), [(routine, Irql::new(DEVICE_IRQL as u8))]);
    probe.ask("IoDisconnectInterrupt", &[interrupt.0]).expect("it is disconnected");
    probe.machine.spurious_interrupt(VECTOR as u32);
    probe.pass_us(10);
    assert_eq!(entered(&probe).len(), 1);
}

/// A shared vector: routines are asked in turn until one claims the interrupt. What `read` reads here is 0.
#[test]
fn a_shared_interrupt_goes_to_the_next_that_may_know_it() {
    let mut probe = Probe::plain();
    let (first, second) = (probe.reader(), probe.nothing());
    connect(&mut probe, first);
    connect(&mut probe, second);
    probe.machine.spurious_interrupt(VECTOR as u32);
    probe.pass_us(10);
    let routines: Vec<Va> = entered(&probe).into_iter().map(|(routine, _)| routine).collect();
    assert_eq!(routines, [first, second]);
}

/// CR8 masks what is not above it.
#[test]
fn cr8_masks_an_interrupt() {
    let mut probe = Probe::new(Options { slice_steps: 1, ..Options::default() }, MemoryConfig::default());
    let routine = probe.nothing();
    connect(&mut probe, routine);
    let stall = probe.export("KeQueryTimeIncrement");
    let busy = probe.begin(8, stall, [0, 0]);
    while probe.machine.irql() < Irql::new(8) {
        probe.step();
    }
    probe.machine.spurious_interrupt(VECTOR as u32);
    probe.finish(busy).expect("it ends");
    probe.pass_us(10);
    let order: Vec<&str> = probe
        .machine
        .events
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::IrqlLowered { from, .. } if from == Irql::new(8) => Some("lowered"),
            EventKind::Entered { what: Routine::Isr { .. }, .. } => Some("interrupt"),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["lowered", "interrupt"]);
}

/// R180: a synchronised execution runs at the interrupt's level, is a trigger of its own, and is no raise of its caller's.
#[test]
fn r180_synchronised_execution_trims_and_counts() {
    let mut probe = Probe::new(Options { verifier: Verifier::ON, ..Options::default() }, MemoryConfig::default());
    let routine = probe.nothing();
    let interrupt = connect(&mut probe, routine);
    probe.ask("KeSynchronizeExecution", &[interrupt.0, routine.0, 0]).expect("it runs");
    let counts = probe.machine.verifier_counters().rows().map(|(_, count)| count);
    assert_eq!(counts[..4], [0, 0, 1, 1]);
    let raised = probe
        .machine
        .events
        .iter()
        .any(|event| matches!(event.kind, EventKind::IrqlRaised { to, .. } if to == Irql::new(DEVICE_IRQL as u8)));
    assert!(raised);
    assert!(!probe.codes().contains(&"K26"));
}
