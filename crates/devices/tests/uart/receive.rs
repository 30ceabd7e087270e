//! Receiver buffer register, FIFO and line status.

use devices::{FlowControl, SerialLine, Signal};

use crate::port::{DATA, FCR, LCR, LSR, MCR, Port};

#[test]
fn a_character_takes_ten_bits_to_arrive() {
    let mut port = Port::with_peer(0);
    port.uart.line_mut().send_bytes(0, b"a");
    port.wait_percent(99);
    assert_eq!(port.read(LSR), 0x60);
    port.wait_percent(2);
    assert_eq!(port.read(LSR), 0x61);
    assert_eq!(port.read(DATA), b'a');
    assert_eq!(port.read(LSR), 0x60);
}

#[test]
fn a_slower_rate_takes_longer() {
    let mut port = Port::with_peer(0);
    port.set_divisor(12);
    port.uart.line_mut().send_bytes(0, b"a");
    port.wait_ns(1_041_000);
    assert_eq!(port.read(LSR) & 1, 0);
    port.wait_ns(1_000);
    assert_eq!(port.read(LSR) & 1, 1);
}

#[test]
fn nothing_arrives_while_the_divisor_is_0_and_all_once_it_is_set() {
    let mut port = Port::with_peer(0);
    port.set_divisor(0);
    port.uart.line_mut().send_bytes(0, b"a");
    port.wait_ns(1_000_000_000);
    assert_eq!(port.read(LSR) & 1, 0);
    port.set_divisor(1);
    port.wait_percent(101);
    assert_eq!(port.read(DATA), b'a');
}

#[test]
fn the_second_character_overruns_the_buffer_register_and_stays() {
    let mut port = Port::with_peer(0);
    port.receive(b"ab");
    assert_eq!(port.read(LSR), 0x63, "overrun");
    assert_eq!(port.read(LSR), 0x61, "reading the status clears it");
    assert_eq!(port.read(DATA), b'b');
    assert_eq!(port.read(LSR), 0x60);
}

#[test]
fn the_seventeenth_character_overruns_the_fifo_and_is_lost() {
    let mut port = Port::with_peer(0x01);
    let bytes: Vec<u8> = (0..17).collect();
    port.receive(&bytes[..16]);
    assert_eq!(port.read(LSR), 0x61);
    port.receive(&bytes[16..]);
    assert_eq!(port.read(LSR), 0x63);
    let received: Vec<u8> = (0..16).map(|_| port.read(DATA)).collect();
    assert_eq!(received, bytes[..16]);
    assert_eq!(port.read(LSR), 0x60);
}

#[test]
fn an_empty_buffer_shows_what_was_read_last() {
    let mut port = Port::with_peer(0x01);
    port.receive(b"x");
    assert_eq!((port.read(DATA), port.read(DATA)), (b'x', b'x'));
}

#[test]
fn short_words_lose_their_high_bits() {
    for (control, mask) in [(0, 0x1f), (1, 0x3f), (2, 0x7f), (3, 0xff)] {
        let mut port = Port::with_peer(0);
        port.write(LCR, control);
        port.receive(&[0xff]);
        assert_eq!(port.read(DATA), mask);
    }
}

fn receive_signals(fcr: u8, control: u8, signals: &[Signal]) -> Port {
    let mut port = Port::with_peer(fcr);
    port.write(LCR, control);
    for signal in signals {
        port.uart.line_mut().send(0, *signal);
    }
    port.wait_percent(100 * signals.len() as u64 + 1);
    port
}

#[test]
fn parity_is_checked_only_where_it_is_enabled() {
    let signals = [Signal::WrongParity(b'p')];
    assert_eq!(receive_signals(0, 0x0b, &signals).read(LSR), 0x65);
    assert_eq!(receive_signals(0, 0x03, &signals).read(LSR), 0x61);
}

#[test]
fn framing_error_and_break() {
    assert_eq!(receive_signals(0, 0x03, &[Signal::WrongFraming(b'f')]).read(LSR), 0x69);
    let mut port = receive_signals(0, 0x03, &[Signal::Break]);
    assert_eq!(port.read(LSR), 0x79, "the stop bit of a break is low too");
    assert_eq!(port.read(LSR), 0x61);
    assert_eq!(port.read(DATA), 0, "one character of zeros is loaded");
}

#[test]
fn errors_in_the_fifo_show_when_their_character_is_at_the_top() {
    let signals = [Signal::Character(b'a'), Signal::WrongFraming(b'b'), Signal::Character(b'c'), Signal::Break];
    let mut port = receive_signals(0x01, 0x03, &signals);
    assert_eq!(port.read(LSR), 0xe1, "bit 7: some error is in the FIFO");
    assert_eq!(port.read(DATA), b'a');
    assert_eq!(port.read(LSR), 0xe9);
    assert_eq!(port.read(LSR), 0xe1, "another error follows");
    assert_eq!((port.read(DATA), port.read(DATA)), (b'b', b'c'));
    assert_eq!(port.read(LSR), 0xf9);
    assert_eq!(port.read(LSR), 0x61, "bit 7 goes with the last error");
}

#[test]
fn without_fifos_bit_7_stays_0() {
    assert_eq!(receive_signals(0x00, 0x03, &[Signal::WrongFraming(1)]).read(LSR) & 0x80, 0);
}

#[test]
fn clearing_the_receiver_fifo_and_changing_the_mode_empty_it() {
    let mut port = Port::with_peer(0x01);
    port.receive(b"abc");
    port.write(FCR, 0x02);
    assert_eq!(port.read(LSR) & 1, 0, "bit 0 off changes the mode");
    port.write(FCR, 0x01);
    port.receive(b"abc");
    port.write(FCR, 0x05);
    assert_eq!(port.read(LSR) & 1, 1, "bit 2 is the other FIFO");
    port.write(FCR, 0x03);
    assert_eq!(port.read(LSR) & 1, 0);
    port.receive(b"d");
    assert_eq!(port.read(DATA), b'd', "bit 1 clears itself");
}

#[test]
fn a_character_on_its_way_survives_clearing() {
    let mut port = Port::with_peer(0x01);
    port.uart.line_mut().send_bytes(0, b"z");
    port.wait_percent(50);
    port.write(FCR, 0x03);
    port.wait_percent(60);
    assert_eq!(port.read(DATA), b'z');
}

#[test]
fn a_peer_with_flow_control_waits_for_rts_and_dtr() {
    let mut port = Port::new(SerialLine::peer(FlowControl::RequestToSend), 0x01);
    port.uart.line_mut().send_bytes(0, b"hi");
    port.wait_percent(500);
    assert_eq!(port.read(LSR) & 1, 0);
    port.write(MCR, 0x0b);
    port.wait_percent(150);
    port.write(MCR, 0x08);
    port.wait_percent(500);
    assert_eq!((port.read(DATA), port.read(DATA)), (b'h', b'i'), "what has begun is completed");
    assert_eq!(port.uart.line().unsent(), 0);
}

#[test]
fn loopback_mode_makes_the_outputs_inactive() {
    let mut port = Port::new(SerialLine::peer(FlowControl::RequestToSend), 0x01);
    port.write(MCR, 0x1b);
    port.uart.line_mut().send_bytes(0, b"a");
    port.wait_percent(500);
    assert_eq!(port.uart.line().unsent(), 1);
    port.write(MCR, 0x0b);
    port.wait_percent(101);
    assert_eq!(port.read(DATA), b'a');
}

#[test]
fn bytes_of_a_script_come_at_their_times() {
    let mut port = Port::with_peer(0x01);
    port.uart.line_mut().send_bytes(1_000_000, b"a");
    port.uart.line_mut().send_bytes(5_000_000, b"b");
    port.wait_ns(4_000_000);
    assert_eq!((port.read(DATA), port.read(LSR) & 1), (b'a', 0));
    port.wait_ns(2_000_000);
    assert_eq!(port.read(DATA), b'b');
}
