//! Interrupt enable, identification, priorities, trigger levels and timeout.

use devices::{ModemInputs, Signal};

use crate::port::{DATA, FCR, IER, IIR, LSR, MCR, MSR, NONE, NONE_FIFO, Port};

#[test]
fn out2_gates_the_interrupt_but_not_its_identification() {
    let mut port = Port::with_peer(0);
    port.write(IER, 0x01);
    port.receive(b"a");
    assert!(port.asks());
    port.write(MCR, 0x00);
    assert!(!port.asks());
    assert_eq!(port.read(IIR), 0x04);
    port.write(MCR, 0x08);
    assert!(port.asks());
}

#[test]
fn only_four_enable_bits_exist() {
    let mut port = Port::with_peer(0);
    port.write(IER, 0xff);
    assert_eq!(port.read(IER), 0x0f);
}

#[test]
fn a_source_that_is_not_enabled_does_not_ask() {
    let mut port = Port::with_peer(0);
    port.receive(b"ab");
    port.uart.line_mut().set_modem_lines(0, ModemInputs::default());
    port.wait_ns(1);
    assert_eq!((port.read(IIR), port.asks()), (NONE, false));
    port.write(IER, 0x01);
    assert_eq!(port.read(IIR), 0x04);
}

#[test]
fn sources_are_named_in_order_of_priority() {
    let mut port = Port::with_peer(0);
    port.receive(b"ab");
    port.uart.line_mut().set_modem_lines(0, ModemInputs::default());
    port.wait_ns(1);
    port.write(IER, 0x0f);
    assert_eq!(port.read(IIR), 0x06);
    port.read(LSR);
    assert_eq!(port.read(IIR), 0x04);
    port.read(DATA);
    assert_eq!(port.read(IIR), 0x02);
    assert_eq!(port.read(IIR), 0x00, "reading its name settled the one before");
    port.read(MSR);
    assert_eq!((port.read(IIR), port.asks()), (NONE, false));
}

#[test]
fn identification_settles_the_empty_register_only_where_it_names_it() {
    let mut port = Port::with_peer(0);
    port.write(IER, 0x03);
    port.receive(b"a");
    assert_eq!(port.read(IIR), 0x04);
    port.read(DATA);
    assert_eq!(port.read(IIR), 0x02, "it was not named before, so it still asks");
    assert_eq!(port.read(IIR), NONE);
}

#[test]
fn enabling_the_empty_register_interrupt_asks_at_once() {
    let mut port = Port::with_peer(0);
    port.write(IER, 0x02);
    assert!(port.asks());
    assert_eq!((port.read(IIR), port.asks()), (0x02, false));
    port.write(IER, 0x02);
    assert!(!port.asks(), "it was enabled already");
    port.write(IER, 0x00);
    port.write(IER, 0x02);
    assert!(port.asks());
}

#[test]
fn writing_data_settles_the_empty_register_until_it_is_empty_again() {
    let mut port = Port::with_peer(0x01);
    port.write(IER, 0x02);
    port.write(DATA, b'a');
    port.write(DATA, b'b');
    port.write(DATA, b'c');
    assert!(!port.asks());
    port.wait_percent(199);
    assert!(!port.asks());
    port.wait_percent(2);
    assert_eq!(port.read(IIR), 0xc2);
}

#[test]
fn trigger_levels() {
    for (fcr, level) in [(0x01, 1), (0x41, 4), (0x81, 8), (0xc1, 14)] {
        let mut port = Port::with_peer(fcr);
        port.write(IER, 0x01);
        let bytes: Vec<u8> = (0..level).collect();
        port.receive(&bytes[1..]);
        assert_eq!(port.read(IIR), NONE_FIFO, "below {level}");
        port.receive(&bytes[..1]);
        assert_eq!((port.read(IIR), port.asks()), (0xc4, true), "at {level}");
        port.read(DATA);
        assert_eq!((port.read(IIR), port.asks()), (NONE_FIFO, false), "below {level} again");
    }
}

#[test]
fn the_timeout_comes_after_four_characters_of_silence() {
    let mut port = Port::with_peer(0x81);
    port.write(IER, 0x01);
    port.receive(b"abc");
    port.wait_percent(399);
    assert_eq!(port.read(IIR), NONE_FIFO);
    port.wait_percent(2);
    assert_eq!((port.read(IIR), port.asks()), (0xcc, true));
    assert_eq!(port.read(IIR), 0xcc, "reading its name does not settle it");
    assert_eq!(port.read(DATA), b'a');
    assert_eq!((port.read(IIR), port.asks()), (NONE_FIFO, false));
    port.wait_percent(401);
    assert_eq!(port.read(IIR), 0xcc, "two characters are left");
}

#[test]
fn clearing_the_receiver_fifo_settles_the_timeout() {
    let mut port = Port::with_peer(0x81);
    port.write(IER, 0x01);
    port.receive(b"a");
    port.wait_percent(401);
    assert!(port.asks());
    port.write(FCR, 0x83);
    assert_eq!((port.read(IIR), port.asks()), (NONE_FIFO, false));
}

#[test]
fn a_read_and_a_character_restart_the_timeout() {
    let mut port = Port::with_peer(0x81);
    port.write(IER, 0x01);
    port.receive(b"abc");
    port.wait_percent(300);
    port.read(DATA);
    port.wait_percent(300);
    port.receive(b"d");
    port.wait_percent(399);
    assert_eq!(port.read(IIR), NONE_FIFO);
    port.wait_percent(2);
    assert_eq!(port.read(IIR), 0xcc);
}

#[test]
fn there_is_no_timeout_without_fifos_or_for_an_empty_one() {
    let mut port = Port::with_peer(0x81);
    port.write(IER, 0x01);
    port.receive(b"a");
    port.read(DATA);
    port.wait_percent(1_000);
    assert_eq!(port.read(IIR), NONE_FIFO);
    let mut port = Port::with_peer(0);
    port.receive(b"a");
    port.wait_percent(1_000);
    port.write(IER, 0x01);
    assert_eq!(port.read(IIR), 0x04);
}

#[test]
fn without_fifos_each_character_asks_whatever_the_trigger_level() {
    let mut port = Port::with_peer(0xc1);
    port.write(FCR, 0xc0);
    port.write(IER, 0x01);
    port.receive(b"a");
    assert_eq!(port.read(IIR), 0x04);
}

#[test]
fn clearing_an_empty_transmitter_fifo_asks_nothing() {
    let mut port = Port::with_peer(0x01);
    port.write(IER, 0x02);
    assert_eq!(port.read(IIR), 0xc2);
    port.write(FCR, 0x05);
    assert!(!port.asks());
}

#[test]
fn line_status_asks_until_it_is_read() {
    let mut port = Port::with_peer(0x01);
    port.write(IER, 0x04);
    port.uart.line_mut().send(0, Signal::WrongFraming(1));
    port.uart.line_mut().send(0, Signal::Character(2));
    port.uart.line_mut().send(0, Signal::Break);
    port.wait_percent(301);
    assert_eq!((port.read(IIR), port.asks()), (0xc6, true));
    port.read(LSR);
    assert!(!port.asks(), "the break is not at the top yet");
    port.read(DATA);
    port.read(DATA);
    assert_eq!((port.read(IIR), port.asks()), (0xc6, true));
}

#[test]
fn the_fifo_bits_of_the_identification_follow_the_mode() {
    let mut port = Port::with_peer(0);
    assert_eq!(port.read(IIR), NONE);
    port.write(FCR, 0x01);
    assert_eq!(port.read(IIR), NONE_FIFO);
    port.write(FCR, 0xc0);
    assert_eq!(port.read(IIR), NONE);
}
