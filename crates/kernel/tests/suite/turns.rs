//! What may have another turn is asked, and what the documents settle is not.

use devices::{Bus, SerialLine, Uart16550};
use kernel::{ChoicePoints, Deed, EventKind, Options, Routine, Turn, Until};
use memory::{InitialResidency, MemoryConfig};
use nt_types::layout::{io_stack_location as sl, irp};
use nt_types::{NtStatus, Va, constants as c};

use crate::probe::Probe;

/// A period of the clock, in microseconds, rounded up.
const TICK_US: u64 = 15_626;
const LOW: u64 = 0;
const MEDIUM: u64 = 1;
const HIGH: u64 = 2;
const MEDIUM_HIGH: u64 = 3;
const DISPATCH: u8 = 2;

fn probe(processors: usize, choices: ChoicePoints) -> Probe {
    Probe::new(Options { processors, choices, ..Options::default() }, MemoryConfig::default())
}

/// A due time so many microseconds from now.
fn after_us(time_us: i64) -> u64 {
    (-10 * time_us).cast_unsigned()
}

fn turns(asked: Vec<Deed>) -> Vec<Turn> {
    let mut turns: Vec<Turn> =
        asked.into_iter().filter_map(|deed| if let Deed::Order(turn) = deed { Some(turn) } else { None }).collect();
    turns.dedup();
    turns
}

/// The answer that takes this turn wherever it is offered.
fn take(turn: Turn) -> impl FnMut(&[Deed]) -> Option<Deed> {
    move |deeds| deeds.contains(&Deed::Order(turn)).then_some(Deed::Order(turn))
}

impl Probe {
    /// Lets time pass and answers each choice.
    fn choosing_for_us(&mut self, time_us: u64, pick: impl FnMut(&[Deed]) -> Option<Deed>) -> Vec<Turn> {
        let end = self.machine.now_ns() + time_us * 1000;
        turns(self.choosing(Until::Time(end), pick))
    }

    /// A DPC at a place, which calls the recorder.
    fn dpc(&mut self, index: u64, importance: u64) -> u64 {
        let (dpc, routine) = (self.place(index), self.recorder().0);
        self.ask("KeInitializeDpc", &[dpc, routine, 0]).expect("it is made");
        self.ask("KeSetImportanceDpc", &[dpc, importance]).expect("it is set");
        dpc
    }

    /// A timer at a place, with a DPC beside it, that is set.
    fn timer(&mut self, index: u64, due: u64) -> Va {
        let (timer, dpc) = (self.place(index), self.dpc(index + 1, MEDIUM));
        self.ask("KeInitializeTimer", &[timer]).expect("it is made");
        self.ask("KeSetTimer", &[timer, due, dpc]).expect("it is set");
        Va(timer)
    }

    /// The place of the DPC that ran last.
    fn last_dpc(&mut self) -> u64 {
        let (_, [dpc, ..]) = self.recorded();
        (dpc - self.place(0)) / 0x80
    }
}

/// Docs: kernel/organization-of-dpc-queues.
#[test]
fn a_queue_that_nobody_began_to_process_may_be_late() {
    let mut seen = Vec::new();
    for (importance, target) in [LOW, MEDIUM, MEDIUM_HIGH, HIGH].into_iter().flat_map(|i| [(i, 0), (i, 1)]) {
        let mut probe = probe(2, ChoicePoints::ORDER);
        let dpc = probe.dpc(0, importance);
        probe.ask("KeSetTargetProcessorDpc", &[dpc, target]).expect("it is set");
        let request = probe.begin_service("KeInsertQueueDpc", &[dpc, 0, 0]);
        let mut asked = turns(probe.choosing(Until::Answered(request), take(Turn::LateDpc(Va(dpc)))));
        asked.extend(probe.choosing_for_us(1, take(Turn::LateDpc(Va(dpc)))));
        let is_queued = |event: &&kernel::Event| matches!(event.kind, EventKind::DpcQueued { .. });
        let queued_on = probe.machine.events.iter().find(is_queued).expect("it was queued").processor;
        let is_here = queued_on as u64 == target;
        let may_wait = importance == LOW || importance == MEDIUM && !is_here;
        assert_eq!(asked.contains(&Turn::LateDpc(Va(dpc))), may_wait, "{importance}, here: {is_here}: {asked:?}");
        assert_eq!(probe.recorded().0, u64::from(!may_wait), "{importance}, here: {is_here}");
        probe.pass_us(TICK_US);
        assert_eq!(probe.recorded().0, 1, "a tick later at the latest");
        seen.push(is_here);
    }
    assert_eq!(seen.iter().filter(|is_here| **is_here).count(), 4, "each importance, here and elsewhere");
}

/// What begins to process the queue processes all of it, in its order.
#[test]
fn a_dpc_that_waits_runs_before_the_next_that_does_not() {
    let mut probe = probe(1, ChoicePoints::ORDER);
    let (waits, runs) = (probe.dpc(0, LOW), probe.dpc(1, MEDIUM));
    let request = probe.begin_service("KeInsertQueueDpc", &[waits, 0, 0]);
    probe.choosing(Until::Answered(request), take(Turn::LateDpc(Va(waits))));
    assert_eq!(probe.recorded().0, 0);
    probe.ask("KeInsertQueueDpc", &[runs, 0, 0]).expect("it is queued");
    probe.pass_us(1);
    assert_eq!((probe.recorded().0, probe.last_dpc()), (2, 1));
}

/// ddi: KeFlushQueuedDpcs: all DPCs have run when it returns.
#[test]
fn a_flush_begins_to_process_what_waits() {
    let mut probe = probe(1, ChoicePoints::ORDER);
    let dpc = probe.dpc(0, LOW);
    let request = probe.begin_service("KeInsertQueueDpc", &[dpc, 0, 0]);
    probe.choosing(Until::Answered(request), take(Turn::LateDpc(Va(dpc))));
    let before = probe.machine.now_ns();
    probe.ask("KeFlushQueuedDpcs", &[]).expect("it returns");
    assert_eq!(probe.recorded().0, 1);
    assert!(probe.machine.now_ns() - before < 1_000_000, "it did not wait for the clock");
}

/// Docs: kernel/timer-accuracy: one tick finds all that came due since the one before, and documents no order.
#[test]
fn timers_of_one_tick_come_in_any_order() {
    for (first_us, second_us, may_swap) in [(100, 100, true), (100, 900, true), (100, 17_000, false)] {
        let run = |takes: bool| {
            let mut probe = probe(1, ChoicePoints::ORDER);
            let (_, second) = (probe.timer(0, after_us(first_us)), probe.timer(2, after_us(second_us)));
            // Both are due before the processor can handle the first.
            let stall = probe.export("KeStallExecutionProcessor");
            let request = probe.begin(DISPATCH, stall, [20_000, 0]);
            let pick = |deeds: &[Deed]| take(Turn::FirstTimer(second))(deeds).filter(|_| takes);
            let mut asked = turns(probe.choosing(Until::Answered(request), pick));
            asked.extend(probe.choosing_for_us(1, pick));
            assert_eq!(probe.recorded().0, 2);
            (asked.contains(&Turn::FirstTimer(second)), probe.last_dpc())
        };
        assert_eq!(run(false), (may_swap, 3), "{first_us} and {second_us}");
        assert_eq!(run(true), (may_swap, if may_swap { 1 } else { 3 }), "{first_us} and {second_us}");
    }
}

/// Docs: kernel/timer-accuracy: up to one period of the clock later.
#[test]
fn a_timer_may_be_late_by_a_tick_and_no_more() {
    let mut probe = probe(1, ChoicePoints::ORDER);
    let (late, _) = (probe.timer(0, after_us(100)), probe.timer(2, after_us(900)));
    let asked = probe.choosing_for_us(1_000, take(Turn::LateTimer(late)));
    assert!(asked.contains(&Turn::LateTimer(late)), "{asked:?}");
    assert_eq!((probe.recorded().0, probe.last_dpc()), (1, 3), "the other one came");
    let asked = probe.choosing_for_us(TICK_US, take(Turn::LateTimer(late)));
    assert_eq!((asked, probe.recorded().0, probe.last_dpc()), (vec![], 2, 1));
}

/// Nobody can tell whether a timer is late where nothing else happens before the tick.
#[test]
fn a_delay_that_nobody_sees_is_not_offered() {
    let mut probe = probe(1, ChoicePoints::ORDER);
    probe.timer(0, after_us(100));
    assert_eq!(probe.choosing_for_us(TICK_US, |_| None), []);
    assert_eq!(probe.recorded().0, 1);
}

#[test]
fn a_read_may_take_longer_than_the_next_thing() {
    let options = Options { choices: ChoicePoints::ORDER, ..Options::default() };
    let memory = MemoryConfig { initial: InitialResidency::Out, ..MemoryConfig::default() };
    let mut probe = Probe::new(options, memory);
    let page = probe.paged();
    probe.timer(0, after_us(150));
    let reader = probe.reader();
    let request = probe.begin(0, reader, [page.0, 0]);
    let asked = turns(probe.choosing(Until::Answered(request), take(Turn::LateRead(page))));
    let late = asked.contains(&Turn::LateRead(page));
    assert!(late && probe.recorded().0 == 1, "the timer came before the read: {asked:?}");
}

/// Threads that wait for an object, in this order, and what wakes one of them.
fn waiters(probe: &mut Probe, object: u64) -> [kernel::RequestId; 2] {
    [0, 1].map(|_| {
        let request = probe.begin_service("KeWaitForSingleObject", &[object, 0, 0, 0, 0]);
        probe.choosing_for_us(5, |_| None);
        request
    })
}

/// Waits satisfied after `wake`, by default and where another turn was taken, and whether one was offered.
fn woken(make: (&str, &[u64]), wake: (&str, &[u64]), missing: bool) -> [([bool; 2], bool); 2] {
    [false, true].map(|takes| {
        let mut probe = probe(1, ChoicePoints::ORDER);
        let object = probe.place(0);
        probe.ask(make.0, &[&[object], make.1].concat()).expect("it is made");
        let requests = waiters(&mut probe, object);
        let is_it = |deed: &&Deed| match deed {
            Deed::Order(Turn::FirstWaiter(_)) => !missing,
            Deed::Order(Turn::MissedPulse(_)) => missing,
            _ => false,
        };
        let request = probe.begin_service(wake.0, &[&[object], wake.1].concat());
        let pick = |deeds: &[Deed]| deeds.iter().find(is_it).copied().filter(|_| takes);
        let mut asked = probe.choosing(Until::Answered(request), pick);
        // A timer expires by then.
        let end = probe.machine.now_ns() + 200_000;
        asked.extend(probe.choosing(Until::Time(end), pick));
        (<[bool; 2]>::try_from(probe.answered(&requests)).expect("two"), asked.iter().any(|deed| is_it(&deed)))
    })
}

/// Win32: Event Objects, Semaphore Objects; KB Q125657: a kernel APC changes the order of those that wait.
#[test]
fn who_waits_may_be_overtaken_where_not_all_are_satisfied() {
    let (first, second, both) = ([true, false], [false, true], [true, true]);
    let event = |kind: &'static [u64]| ("KeInitializeEvent", kind);
    let set = ("KeSetEvent", &[0u64, 0][..]);
    assert_eq!(woken(event(&[1, 0]), set, false), [(first, true), (second, true)]);
    assert_eq!(woken(event(&[0, 0]), set, false), [(both, false), (both, false)]);
    let semaphore = ("KeInitializeSemaphore", &[0u64, 9][..]);
    assert_eq!(woken(semaphore, ("KeReleaseSemaphore", &[0, 1, 0]), false), [(first, true), (second, true)]);
    assert_eq!(woken(semaphore, ("KeReleaseSemaphore", &[0, 2, 0]), false), [(both, false), (both, false)]);
    let timer = |kind: &'static [u64]| ("KeInitializeTimerEx", kind);
    let due = [after_us(100), 0];
    assert_eq!(woken(timer(&[1]), ("KeSetTimer", &due), false), [(first, true), (second, true)]);
    assert_eq!(woken(timer(&[0]), ("KeSetTimer", &due), false), [(both, false), (both, false)]);
}

/// ddi: KeInitializeTimerEx; which timer is handled first and who of those that wait for it goes on are two choices.
#[test]
fn the_first_timer_and_its_first_waiter_are_asked_one_after_the_other() {
    let mut probe = probe(1, ChoicePoints::ORDER);
    let (released, other) = (probe.place(0), probe.timer(2, after_us(300)));
    probe.ask("KeInitializeTimerEx", &[released, 1]).expect("it is made");
    let requests = waiters(&mut probe, released);
    probe.ask("KeSetTimer", &[released, after_us(100), 0]).expect("it is set");
    let stall = probe.export("KeStallExecutionProcessor");
    let request = probe.begin(DISPATCH, stall, [1_000, 0]);
    let second = |deeds: &[Deed]| deeds.iter().copied().find(|deed| matches!(deed, Deed::Order(Turn::FirstWaiter(_))));
    let mut asked = turns(probe.choosing(Until::Answered(request), second));
    asked.extend(probe.choosing_for_us(100, second));
    asked.retain(|turn| !matches!(turn, Turn::LateTimer(_)));
    assert!(matches!(asked[..], [Turn::FirstTimer(timer), Turn::FirstWaiter(_)] if timer == other), "{asked:?}");
    assert_eq!(probe.answered(&requests), [false, true]);
}

/// Docs: kernel/waits-and-apcs.
#[test]
fn a_pulse_may_be_missed() {
    let made = ("KeInitializeEvent", &[0u64, 0][..]);
    let pulsed = woken(made, ("KePulseEvent", &[0, 0]), true);
    assert_eq!(pulsed, [([true, true], true), ([false, true], true)]);
}

/// Docs: kernel/queued-spin-locks: in the order of the calls, whichever processor goes on first.
#[test]
fn queued_spin_locks_go_in_the_order_of_the_calls() {
    for prefers in [0, 1, 2] {
        let mut probe = probe(3, ChoicePoints::SWITCH);
        let lock = probe.place(0);
        probe.set_word(lock, 1);
        let requests: Vec<_> = (1..3)
            .map(|index| {
                let handle = probe.place(index);
                let request = probe.begin_service("KeAcquireInStackQueuedSpinLock", &[lock, handle]);
                probe.choosing_for_us(1, |_| None);
                request
            })
            .collect();
        assert_eq!(probe.answered(&requests), [false, false]);
        probe.set_word(lock, 0);
        let prefers = Deed::Processor(prefers);
        probe.choosing_for_us(1, |deeds| deeds.contains(&prefers).then_some(prefers));
        assert_eq!(probe.answered(&requests), [true, false], "{prefers:?}");
    }
}

/// A probe with a serial port, and the physical device object of that.
fn with_port(choices: ChoicePoints) -> (Probe, u64) {
    let mut bus = Bus::new();
    let port = Uart16550::install(&mut bus, SerialLine::unconnected(), 0x3F8, 4).expect("the ports are free");
    let mut probe = Probe::on(bus, Options { choices, ..Options::default() }, MemoryConfig::default());
    let recorder = probe.recorder().0;
    let extension = probe.word(probe.driver() + 0x30);
    probe.set_word(extension + 8, recorder);
    let request = probe.machine.add_device(probe.base, port).expect("the device is made");
    let device = probe.finish(request).expect("AddDevice returns");
    (probe, device)
}

impl Probe {
    /// A Plug and Play request for a device below, with the recorder as completion routine.
    fn request_down(&mut self, minor: u32) -> u64 {
        let request = self.ask("IoAllocateIrp", &[1, 0]).expect("there is memory");
        let next = Va(self.word(irp::TAIL_OVERLAY_CURRENT_STACK_LOCATION.at(Va(request)).0) - sl::SIZEOF);
        self.set_bytes(next.0, &[c::IRP_MJ_PNP as u8, minor as u8]);
        let invoke = c::SL_INVOKE_ON_SUCCESS | c::SL_INVOKE_ON_ERROR | c::SL_INVOKE_ON_CANCEL;
        self.set_bytes(sl::CONTROL.at(next).0, &[invoke as u8]);
        let recorder = self.recorder().0;
        self.set_word(sl::COMPLETION_ROUTINE.at(next).0, recorder);
        self.record_returning(NtStatus::MORE_PROCESSING_REQUIRED.0.into());
        let status = NtStatus::NOT_SUPPORTED.0;
        self.machine.write_u32(irp::IO_STATUS_STATUS.at(Va(request)), status).expect("it can be written");
        request
    }

    /// Sends one down and answers each choice: the request, what IoCallDriver returned, and what was asked.
    fn send_down(&mut self, device: u64, minor: u32, how: Option<fn(Va) -> Turn>) -> (u64, NtStatus, Vec<Turn>) {
        let request = self.request_down(minor);
        let call = self.begin_service("IofCallDriver", &[device, request]);
        let turn = how.map(|how| Deed::Order(how(Va(request))));
        let asked = self.choosing(Until::Answered(call), |deeds| turn.filter(|turn| deeds.contains(turn)));
        let result = self.finish(call).expect("it returns");
        (request, NtStatus(result as u32), turns(asked))
    }

    /// Status of a request, and whether it came back pending.
    fn outcome(&mut self, request: u64) -> (NtStatus, bool) {
        let pending = self.bytes(irp::PENDING_RETURNED.at(Va(request)).0, 1)[0] != 0;
        (NtStatus(self.half(irp::IO_STATUS_STATUS.at(Va(request)).0)), pending)
    }
}

/// Docs: kernel/irp-mn-start-device, devtest/force-pending-i-o-requests; for the DPC
/// kernel/postponing-pnp-irp-processing-until-lower-drivers-finish.
#[test]
fn x49_x50_the_bus_driver_may_complete_a_request_later_and_in_a_dpc() {
    for how in [None, Some(Turn::LateCompletion as fn(Va) -> Turn), Some(Turn::CompletionInDpc)] {
        let is_late = how.is_some();
        let (mut probe, device) = with_port(ChoicePoints::COMPLETION);
        let before = probe.recorded().0;
        let (request, status, asked) = probe.send_down(device, c::IRP_MN_START_DEVICE, how);
        let turns = [Turn::LateCompletion(Va(request)), Turn::CompletionInDpc(Va(request))];
        assert_eq!(asked, turns);
        assert_eq!(status, if is_late { NtStatus::PENDING } else { NtStatus::SUCCESS });
        assert_eq!(probe.recorded().0 - before, u64::from(!is_late));
        let old = if is_late { NtStatus::NOT_SUPPORTED } else { NtStatus::SUCCESS };
        assert_eq!(probe.outcome(request), (old, false), "nothing has ended while it is pending");
        probe.pass_us(100);
        assert_eq!(probe.recorded().0 - before, 1);
        assert_eq!(probe.outcome(request), (NtStatus::SUCCESS, is_late));
        let is_dpc = |event: &kernel::Event| matches!(event.kind, EventKind::Entered { what: Routine::Dpc, .. });
        assert_eq!(probe.machine.events.iter().any(is_dpc), turns.get(1).copied() == how.map(|how| how(Va(request))));
    }
}

/// Of two requests, the one that was sent first is completed last.
#[test]
fn x49_the_bus_driver_completes_two_requests_in_either_order() {
    let (mut probe, device) = with_port(ChoicePoints::COMPLETION);
    let [first, second] =
        [c::IRP_MN_QUERY_STOP_DEVICE, c::IRP_MN_CANCEL_STOP_DEVICE].map(|minor| probe.request_down(minor));
    let calls = [first, second].map(|request| probe.begin_service("IofCallDriver", &[device, request]));
    probe.choosing(Until::Answered(calls[1]), take(Turn::LateCompletion(Va(first))));
    assert_eq!(probe.recorded().1[1], second);
    probe.pass_us(100);
    assert_eq!(probe.recorded().1[1], first);
    assert_eq!([first, second].map(|request| probe.outcome(request).1), [true, false]);
}

/// Nobody above waits for a removal; and old tokens, whose machines ask for other orders only, count choices as before.
#[test]
fn the_bus_driver_is_not_asked_about_removal_or_unasked() {
    let removal = (ChoicePoints::COMPLETION, c::IRP_MN_REMOVE_DEVICE);
    for (choices, minor) in [removal, (ChoicePoints::ORDER, c::IRP_MN_START_DEVICE)] {
        let (mut probe, device) = with_port(choices);
        let made = probe.machine.choices_made();
        let (request, status, asked) = probe.send_down(device, minor, None);
        assert_eq!((asked, status), (Vec::new(), NtStatus::SUCCESS));
        assert_eq!(probe.outcome(request), (NtStatus::SUCCESS, false));
        assert_eq!(probe.machine.choices_made(), made);
    }
}
