//! Modem control and status, scratch register, read-only registers.

use devices::{ModemInputs, SerialLine, Uart16550};

use crate::port::{IER, IIR, LSR, MCR, MSR, NONE, Port, SCR};

const READY: ModemInputs = ModemInputs::READY;

fn set(port: &mut Port, lines: ModemInputs) {
    let now_ns = port.now_ns();
    port.uart.line_mut().set_modem_lines(now_ns, lines);
    port.wait_ns(0);
}

#[test]
fn the_state_at_reset_is_no_change() {
    let mut port = Port::with_peer(0);
    assert_eq!(port.read(MSR), 0xb0);
    let mut port = Port::new(SerialLine::unconnected(), 0);
    assert_eq!(port.read(MSR), 0x00);
}

#[test]
fn each_line_has_its_level_and_its_change() {
    let mut port = Port::with_peer(0);
    set(&mut port, ModemInputs { clear_to_send: false, ..READY });
    assert_eq!((port.read(MSR), port.read(MSR)), (0xa1, 0xa0));
    set(&mut port, READY);
    set(&mut port, ModemInputs { data_set_ready: false, ..READY });
    assert_eq!((port.read(MSR), port.read(MSR)), (0x93, 0x90));
    set(&mut port, READY);
    set(&mut port, ModemInputs { carrier: false, ..READY });
    assert_eq!((port.read(MSR), port.read(MSR)), (0x3a, 0x30));
}

#[test]
fn ring_counts_when_it_ends() {
    let mut port = Port::with_peer(0);
    set(&mut port, ModemInputs { ring: true, ..READY });
    assert_eq!(port.read(MSR), 0xf0);
    set(&mut port, READY);
    assert_eq!((port.read(MSR), port.read(MSR)), (0xb4, 0xb0));
}

#[test]
fn a_change_there_and_back_is_a_change() {
    let mut port = Port::with_peer(0);
    port.write(IER, 0x08);
    set(&mut port, ModemInputs { clear_to_send: false, ..READY });
    set(&mut port, READY);
    assert_eq!((port.read(IIR), port.asks()), (0x00, true));
    assert_eq!(port.read(MSR), 0xb1);
    assert_eq!((port.read(IIR), port.asks()), (NONE, false));
}

#[test]
fn the_plug_wires_rts_to_cts_and_dtr_to_dsr_and_dcd() {
    let mut port = Port::new(SerialLine::loopback_plug(), 0);
    port.write(MCR, 0x0a);
    assert_eq!(port.read(MSR), 0x11);
    port.write(MCR, 0x09);
    assert_eq!(port.read(MSR), 0xab);
}

#[test]
fn loopback_mode_takes_the_control_bits_for_inputs() {
    let mut port = Port::with_peer(0);
    for (control, levels) in [(0x11, 0x20), (0x12, 0x10), (0x14, 0x40), (0x18, 0x80), (0x1f, 0xf0)] {
        port.write(MCR, control);
        assert_eq!(port.read(MSR) & 0xf0, levels);
    }
    port.write(MCR, 0x08);
    assert_eq!(port.read(MSR) & 0xf0, 0xb0, "the pins again");
}

#[test]
fn modem_interrupts_work_in_loopback_mode() {
    let mut port = Port::with_peer(0);
    port.write(MCR, 0x1a);
    port.read(MSR);
    port.write(IER, 0x08);
    port.write(MCR, 0x18);
    assert_eq!((port.read(IIR), port.asks()), (0x00, true));
}

#[test]
fn modem_control_has_five_bits() {
    let mut port = Port::with_peer(0);
    port.write(MCR, 0xff);
    assert_eq!(port.read(MCR), 0x1f);
}

#[test]
fn scratch_keeps_a_byte_and_the_status_registers_are_read_only() {
    let mut port = Port::with_peer(0);
    port.write(SCR, 0xa5);
    port.write(LSR, 0xff);
    port.write(MSR, 0xff);
    assert_eq!((port.read(SCR), port.read(LSR), port.read(MSR)), (0xa5, 0x60, 0xb0));
}

#[test]
fn installed_on_a_bus_it_answers_at_its_ports_and_line() {
    let mut bus = devices::Bus::new();
    let id = Uart16550::install(&mut bus, SerialLine::loopback_plug(), 0x3f8, 4).unwrap();
    bus.port_write(0x3fc, 1, 0x08, 0);
    bus.port_write(0x3f9, 1, 0x02, 0);
    assert!(bus.pending(4));
    assert_eq!(bus.port_read(0x3fa, 1, 0), 0x02);
    bus.port_write(0x3f8, 1, 0x55, 0);
    let due_ns = bus.next_deadline().unwrap();
    bus.advance(due_ns);
    assert_eq!(bus.device::<Uart16550>(id).unwrap().line().sent_bytes(), [0x15], "5 data bits after reset");
    assert_eq!(bus.devices().next().unwrap().1.name(), "16550 UART");
    assert!(Uart16550::install(&mut bus, SerialLine::unconnected(), 0x3f1, 3).is_err());
    assert_eq!(bus.devices().count(), 1, "a chip that cannot be wired is not left on the bus");
}
