//! Transmitter holding register, FIFO, shift register, break and loopback.

use devices::{SerialLine, Signal};

use crate::port::{DATA, FCR, IER, IIR, LCR, LSR, MCR, NONE, Port};

#[test]
fn reset_state() {
    let mut port = Port::with_peer(0);
    assert_eq!((port.read(LSR), port.read(IIR), port.read(IER)), (0x60, NONE, 0));
}

#[test]
fn a_character_leaves_after_ten_bits() {
    let mut port = Port::with_peer(0);
    port.write(DATA, b'a');
    port.write(DATA, b'b');
    assert_eq!(port.read(LSR), 0x00, "one in the shift register, one in the holding register");
    port.wait_percent(101);
    assert_eq!(port.read(LSR), 0x20);
    assert_eq!(port.uart.line().sent_bytes(), b"a");
    port.wait_percent(100);
    assert_eq!(port.read(LSR), 0x60);
    assert_eq!(port.uart.line().sent_bytes(), b"ab");
    let times: Vec<u64> = port.uart.line().sent().iter().map(|sent| sent.at_ns).collect();
    assert_eq!(times, [86_806, 173_612]);
}

#[test]
fn a_full_holding_register_loses_what_it_had() {
    let mut port = Port::with_peer(0);
    b"abc".iter().for_each(|byte| port.write(DATA, *byte));
    port.wait_percent(500);
    assert_eq!(port.uart.line().sent_bytes(), b"ac");
}

#[test]
fn a_full_fifo_takes_no_more() {
    let mut port = Port::with_peer(0x01);
    (0..20).for_each(|byte| port.write(DATA, byte));
    port.wait_percent(2_000);
    let first_seventeen: Vec<u8> = (0..17).collect();
    assert_eq!(port.uart.line().sent_bytes(), first_seventeen, "one in the shift register and sixteen in the FIFO");
}

#[test]
fn fifo_says_empty_when_its_last_character_is_loaded() {
    let mut port = Port::with_peer(0x01);
    b"abc".iter().for_each(|byte| port.write(DATA, *byte));
    port.wait_percent(150);
    assert_eq!(port.read(LSR), 0x00);
    port.wait_percent(51);
    assert_eq!(port.read(LSR), 0x20);
    port.wait_percent(100);
    assert_eq!(port.read(LSR), 0x60);
}

/// "The transmitter FIFO empty indications will be delayed 1 character time minus the last stop bit time whenever [...]
/// there have not been at least two bytes at the same time in the transmit FIFO, since the last THRE = 1."
#[test]
fn a_single_character_in_the_fifo_delays_the_empty_indication() {
    let mut port = Port::with_peer(0x01);
    port.write(DATA, b'a');
    port.wait_percent(89);
    assert_eq!(port.read(LSR), 0x00);
    port.wait_percent(2);
    assert_eq!(port.read(LSR), 0x20);
    port.wait_percent(10);
    assert_eq!(port.read(LSR), 0x60);
}

#[test]
fn the_delay_is_decided_anew_for_each_filling() {
    let mut port = Port::with_peer(0x01);
    b"abc".iter().for_each(|byte| port.write(DATA, *byte));
    port.wait_percent(400);
    port.write(DATA, b'd');
    assert_eq!(port.read(LSR), 0x00);
}

/// Eleven bits with two stop bits, of which only the last is not waited for.
#[test]
fn the_delay_with_two_stop_bits() {
    let mut port = Port::with_peer(0x01);
    port.write(LCR, 0x07);
    port.write(DATA, b'a');
    port.wait_percent(90);
    assert_eq!(port.read(LSR), 0x00);
    port.wait_percent(2);
    assert_eq!(port.read(LSR), 0x20);
}

#[test]
fn fifo_control_does_nothing_else_while_it_disables_the_fifos() {
    let mut port = Port::with_peer(0);
    b"ab".iter().for_each(|byte| port.write(DATA, *byte));
    port.write(FCR, 0x04);
    port.wait_percent(300);
    assert_eq!(port.uart.line().sent_bytes(), b"ab");
}

#[test]
fn clearing_the_transmitter_fifo_leaves_the_shift_register() {
    let mut port = Port::with_peer(0x01);
    b"abcd".iter().for_each(|byte| port.write(DATA, *byte));
    port.write(FCR, 0x05);
    assert_eq!(port.read(LSR), 0x20);
    port.wait_percent(500);
    assert_eq!(port.uart.line().sent_bytes(), b"a");
}

#[test]
fn the_divisor_latch_hides_data_and_interrupt_enable() {
    let mut port = Port::with_peer(0);
    port.write(IER, 0x05);
    port.write(LCR, 0x83);
    assert_eq!((port.read(DATA), port.read(IER)), (0x01, 0x00));
    port.write(DATA, 0x34);
    port.write(IER, 0x12);
    assert_eq!((port.read(DATA), port.read(IER)), (0x34, 0x12));
    port.write(LCR, 0x03);
    assert_eq!(port.read(IER), 0x05);
    port.wait_percent(200);
    assert!(port.uart.line().sent().is_empty());
}

#[test]
fn a_stopped_generator_keeps_the_character() {
    let mut port = Port::with_peer(0);
    port.set_divisor(0);
    port.write(DATA, b'a');
    port.wait_ns(1_000_000_000);
    assert_eq!(port.read(LSR), 0x00);
    port.set_divisor(1);
    port.wait_percent(101);
    assert_eq!(port.uart.line().sent_bytes(), b"a");
}

#[test]
fn break_is_sent_once_it_has_lasted_for_a_character() {
    let mut port = Port::with_peer(0);
    port.write(LCR, 0x43);
    port.wait_percent(50);
    port.write(LCR, 0x03);
    port.wait_percent(500);
    assert!(port.uart.line().sent().is_empty(), "too short");
    port.write(LCR, 0x43);
    port.wait_percent(500);
    port.write(LCR, 0x03);
    let sent: Vec<Signal> = port.uart.line().sent().iter().map(|sent| sent.signal).collect();
    assert_eq!(sent, [Signal::Break]);
}

#[test]
fn writing_the_control_again_does_not_start_the_break_again() {
    let mut port = Port::with_peer(0);
    port.write(LCR, 0x43);
    port.wait_percent(60);
    port.write(LCR, 0x43);
    port.wait_percent(60);
    assert_eq!(port.uart.line().sent().len(), 1);
    port.wait_percent(500);
    assert_eq!(port.uart.line().sent().len(), 1);
}

#[test]
fn loopback_mode_keeps_a_break_from_the_wire() {
    let mut port = Port::with_peer(0);
    port.write(MCR, 0x18);
    port.write(LCR, 0x43);
    port.wait_percent(200);
    assert!(port.uart.line().sent().is_empty());
}

#[test]
fn what_is_sent_during_a_break_never_reaches_the_wire() {
    let mut port = Port::with_peer(0);
    port.write(LCR, 0x43);
    port.write(DATA, b'a');
    port.wait_percent(150);
    assert_eq!(port.read(LSR), 0x60, "the transmitter works on");
    assert!(port.uart.line().sent_bytes().is_empty());
}

#[test]
fn loopback_mode_returns_characters_and_rests_the_wire() {
    let mut port = Port::with_peer(0x01);
    port.write(MCR, 0x18);
    port.uart.line_mut().send_bytes(0, b"outside");
    b"abc".iter().for_each(|byte| port.write(DATA, *byte));
    port.wait_percent(1_000);
    let received: Vec<u8> = (0..3).map(|_| port.read(DATA)).collect();
    assert_eq!(received, b"abc");
    assert_eq!(port.read(LSR), 0x60, "the input pin is disconnected");
    assert!(port.uart.line().sent().is_empty());
}

#[test]
fn a_loopback_plug_returns_characters_and_breaks() {
    let mut port = Port::new(SerialLine::loopback_plug(), 0x01);
    port.write(DATA, b'a');
    port.wait_percent(101);
    assert_eq!((port.read(LSR), port.read(DATA)), (0x61, b'a'));
    port.write(LCR, 0x43);
    port.wait_percent(101);
    assert_eq!((port.read(LSR), port.read(DATA)), (0xf9, 0));
    assert_eq!(port.uart.line().sent_bytes(), b"a");
}
