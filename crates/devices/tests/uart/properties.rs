//! What holds for any sequence of accesses.

use std::collections::VecDeque;

use devices::{Device, FlowControl, ModemInputs, SerialLine, Signal, Uart16550};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};

use crate::port::{DATA, LSR, Port};

#[derive(Clone, Copy, Debug)]
enum Step {
    Read(u16),
    Write(u16, u8),
    Wait(u64),
    WaitUntilDue,
    Send(u64, Signal),
    Modem(u8),
}

fn signal() -> impl Strategy<Value = Signal> {
    prop_oneof![
        any::<u8>().prop_map(Signal::Character),
        any::<u8>().prop_map(Signal::WrongParity),
        any::<u8>().prop_map(Signal::WrongFraming),
        Just(Signal::Break),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u16..8).prop_map(Step::Read),
        4 => (0u16..8, any::<u8>()).prop_map(|(register, value)| Step::Write(register, value)),
        1 => any::<u16>().prop_map(Step::Read),
        1 => (any::<u16>(), any::<u8>()).prop_map(|(register, value)| Step::Write(register, value)),
        2 => (0u64..2_000_000).prop_map(Step::Wait),
        1 => any::<u64>().prop_map(Step::Wait),
        2 => Just(Step::WaitUntilDue),
        2 => (0u64..1_000_000, signal()).prop_map(|(at_ns, signal)| Step::Send(at_ns, signal)),
        1 => any::<u8>().prop_map(Step::Modem),
    ]
}

fn cable() -> impl Strategy<Value = SerialLine> {
    prop_oneof![
        Just(SerialLine::unconnected()),
        Just(SerialLine::loopback_plug()),
        Just(SerialLine::peer(FlowControl::None)),
        Just(SerialLine::peer(FlowControl::RequestToSend)),
    ]
}

/// Does one step at `now_ns`, which only grows, and returns what was read.
fn take(uart: &mut Uart16550, now_ns: &mut u64, step: Step) -> u64 {
    match step {
        Step::Wait(ns) => *now_ns = now_ns.saturating_add(ns),
        Step::WaitUntilDue => *now_ns = uart.next_deadline().map_or(*now_ns, |due_ns| due_ns.max(*now_ns)),
        Step::Send(after_ns, signal) => uart.line_mut().send(now_ns.saturating_add(after_ns), signal),
        Step::Modem(bits) => {
            let bit = |bit| bits & bit != 0;
            let lines = ModemInputs { clear_to_send: bit(1), data_set_ready: bit(2), ring: bit(4), carrier: bit(8) };
            uart.line_mut().set_modem_lines(*now_ns, lines);
        }
        Step::Read(_) | Step::Write(..) => {}
    }
    uart.advance(*now_ns);
    match step {
        Step::Read(register) => uart.port_read(register, 1),
        Step::Write(register, value) => {
            uart.port_write(register, 1, value.into());
            0
        }
        _ => 0,
    }
}

proptest! {
    /// No access pattern panics or hangs, time always comes forward, and a clone goes the same way.
    #[test]
    fn any_use_is_survived_and_repeatable(line in cable(), steps in prop::collection::vec(step(), 0..150)) {
        let mut uart = Uart16550::new(line);
        let mut now_ns = 0;
        let half = steps.len() / 2;
        for step in &steps[..half] {
            take(&mut uart, &mut now_ns, *step);
        }
        let (mut twin, mut twin_now_ns) = (uart.clone(), now_ns);
        for step in &steps[half..] {
            let read = take(&mut uart, &mut now_ns, *step);
            assert_eq!(read, take(&mut twin, &mut twin_now_ns, *step));
            uart.advance(now_ns);
            twin.advance(now_ns);
            let later = uart.next_deadline().is_none_or(|due_ns| due_ns > now_ns || now_ns == u64::MAX);
            assert!(later, "something is due now and did not happen");
        }
        assert!(uart == twin);
    }

    /// It makes no difference whether time comes in one step or in many.
    #[test]
    fn time_may_come_in_any_portions(steps in prop::collection::vec(step(), 0..100), portions in 1u64..50) {
        let mut uart = Uart16550::new(SerialLine::loopback_plug());
        let mut now_ns = 0;
        for step in steps {
            take(&mut uart, &mut now_ns, step);
        }
        let mut twin = uart.clone();
        let end_ns = now_ns.saturating_add(10_000_000);
        uart.advance(end_ns);
        (1..=portions).for_each(|portion| twin.advance(now_ns + (end_ns - now_ns) / portions * portion));
        twin.advance(end_ns);
        assert!(uart == twin);
    }

    /// The receiver FIFO against the simplest model of one: a queue of 16, a flag for what did not fit.
    #[test]
    fn the_receiver_fifo_is_a_queue_of_sixteen(actions in prop::collection::vec(any::<Option<u8>>(), 0..200)) {
        let mut port = Port::with_peer(0x01);
        let (mut model, mut overrun) = (VecDeque::new(), false);
        for action in actions {
            match action {
                Some(byte) => {
                    port.receive(&[byte]);
                    if model.len() < 16 { model.push_back(byte) } else { overrun = true }
                }
                None => {
                    let read = port.read(DATA);
                    if let Some(byte) = model.pop_front() { assert_eq!(read, byte) }
                }
            }
            let expected = u8::from(!model.is_empty()) | if std::mem::take(&mut overrun) { 2 } else { 0 };
            assert_eq!(port.read(LSR) & 0x9f, expected);
        }
    }

    /// Nothing that the driver writes while there is room is lost, doubled or put out of order.
    #[test]
    fn what_is_written_with_room_goes_out_in_order(bytes in prop::collection::vec(any::<u8>(), 0..200), fifo: bool) {
        let mut port = Port::with_peer(u8::from(fifo));
        for chunk in bytes.chunks(if fifo { 16 } else { 1 }) {
            while port.read(LSR) & 0x20 == 0 {
                port.wait_percent(10);
            }
            chunk.iter().for_each(|byte| port.write(DATA, *byte));
        }
        port.wait_percent(2_000);
        assert_eq!(port.uart.line().sent_bytes(), bytes);
    }
}
