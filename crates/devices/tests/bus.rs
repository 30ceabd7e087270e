//! Routing of accesses and interrupt lines.

use std::hash::{Hash, Hasher};

use devices::{Bus, BusError, Device, FlowControl, Resources, SerialLine, Trigger, Uart16550};
use proptest::prelude::{any, prop, proptest};

/// Remembers each cycle; asserts its line while its first byte is not zero, until it is read.
#[derive(Clone, Default, Hash, Debug)]
struct Recorder {
    cycles: Vec<(u64, u8, Option<u64>)>,
    asserted: bool,
    now_ns: u64,
}

impl Device for Recorder {
    fn name(&self) -> &str {
        "recorder"
    }
    fn advance(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
    }
    fn next_deadline(&self) -> Option<u64> {
        None
    }
    fn interrupt(&self) -> bool {
        self.asserted
    }
    fn port_read(&mut self, offset: u16, width: u8) -> u64 {
        self.memory_read(offset.into(), width)
    }
    fn port_write(&mut self, offset: u16, width: u8, value: u64) {
        self.memory_write(offset.into(), width, value);
    }
    fn memory_read(&mut self, offset: u64, width: u8) -> u64 {
        self.cycles.push((offset, width, None));
        self.asserted &= offset != 0;
        0x1111_1111_1111_1111u64.wrapping_mul(offset + 1)
    }
    fn memory_write(&mut self, offset: u64, width: u8, value: u64) {
        self.cycles.push((offset, width, Some(value)));
        if offset == 0 {
            self.asserted = value & 0xff != 0;
        }
    }
    fn hash_at(&self, _now_ns: u64, mut state: &mut dyn Hasher) {
        self.hash(&mut state);
    }

    fn clone_box(&self) -> Box<dyn Device> {
        Box::new(self.clone())
    }
}

fn recorder() -> Box<Recorder> {
    Box::default()
}

#[test]
fn nowhere_answers_all_ones_and_takes_any_write() {
    let mut bus = Bus::new();
    assert_eq!(bus.port_read(0x3f8, 1, 0), 0xff);
    assert_eq!(bus.port_read(0xffff, 4, 0), 0xffff_ffff);
    assert_eq!(bus.memory_read(u64::MAX, 8, 0), u64::MAX);
    bus.port_write(0, 4, 1, 0);
    bus.memory_write(u64::MAX, 8, 1, 0);
    assert_eq!(bus.next_deadline(), None);
}

#[test]
fn wide_accesses_are_split_to_the_width_of_the_device() {
    let mut bus = Bus::new();
    let id = bus.attach(recorder());
    bus.claim_ports(id, 0x100, 3, 1).unwrap();
    bus.port_write(0x101, 4, 0xddcc_bbaa, 7);
    assert_eq!(bus.port_read(0x101, 4, 8), 0xffff_3322);
    let device: &Recorder = bus.device(id).unwrap();
    assert_eq!(device.cycles, [(1, 1, Some(0xaa)), (2, 1, Some(0xbb)), (1, 1, None), (2, 1, None)]);
    assert_eq!(device.now_ns, 8);
}

#[test]
fn cycles_are_aligned() {
    let mut bus = Bus::new();
    let id = bus.attach(recorder());
    bus.claim_memory(id, 0xfee0_0000, 0x10, 4).unwrap();
    bus.memory_write(0xfee0_0002, 8, 0x0807_0605_0403_0201, 0);
    let cycles = &bus.device::<Recorder>(id).unwrap().cycles;
    assert_eq!(*cycles, [(2, 2, Some(0x0201)), (4, 4, Some(0x0605_0403)), (8, 2, Some(0x0807))]);
}

#[test]
fn bad_claims_are_refused_and_change_nothing() {
    let mut bus = Bus::new();
    let (a, b) = (bus.attach(recorder()), bus.attach(recorder()));
    bus.claim_ports(a, 0x3f8, 8, 1).unwrap();
    assert!(matches!(bus.claim_ports(b, 0x3ff, 1, 1), Err(BusError::Overlap { .. })));
    assert!(matches!(bus.claim_ports(b, 0x3f0, 9, 1), Err(BusError::Overlap { .. })));
    assert!(matches!(bus.claim_ports(b, 0x300, 0x400, 1), Err(BusError::Overlap { .. })));
    assert!(matches!(bus.claim_ports(b, 0xfff9, 8, 1), Err(BusError::BadRange(_))));
    assert!(matches!(bus.claim_ports(b, 0, 0, 1), Err(BusError::BadRange(_))));
    assert!(matches!(bus.claim_memory(b, u64::MAX, 2, 1), Err(BusError::BadRange(_))));
    assert!(matches!(bus.claim_ports(b, 0, 8, 3), Err(BusError::BadWidth(3))));
    bus.claim_ports(b, 0x400, 8, 1).unwrap();
    bus.claim_ports(b, 0xfff8, 8, 1).unwrap();
    bus.connect(a, 4, Trigger::Edge).unwrap();
    assert_eq!(bus.connect(b, 4, Trigger::Level), Err(BusError::TriggerMismatch(4)));
    assert_eq!(bus.port_owner(0x3ff), Some(a));
    assert_eq!(bus.port_owner(0x3f7), None);
}

#[test]
fn a_removed_device_is_gone_from_ports_lines_and_resources() {
    let mut bus = Bus::new();
    let id = bus.attach(recorder());
    bus.claim_ports(id, 0x3f8, 8, 1).unwrap();
    bus.connect(id, 4, Trigger::Level).unwrap();
    bus.port_write(0x3f8, 1, 1, 0);
    assert!(bus.pending(4));
    assert_eq!(bus.resources(id).lines, [(4, Trigger::Level)]);
    assert!(bus.detach(id).is_some());
    assert!(!bus.pending(4));
    assert_eq!(bus.resources(id), Resources::default());
    assert_eq!(bus.port_read(0x3f8, 1, 0), 0xff);
    assert!(bus.detach(id).is_none());
    assert_eq!(bus.claim_ports(id, 0, 1, 1), Err(BusError::NoDevice(id)));
}

fn two_on_line_4(trigger: Trigger) -> Bus {
    let mut bus = Bus::new();
    for base in [0x100, 0x200] {
        let id = bus.attach(recorder());
        bus.claim_ports(id, base, 8, 1).unwrap();
        bus.connect(id, 4, trigger).unwrap();
    }
    bus
}

#[test]
fn a_shared_level_asks_until_nobody_asserts_it() {
    let mut bus = two_on_line_4(Trigger::Level);
    bus.port_write(0x100, 1, 1, 0);
    bus.port_write(0x200, 1, 1, 0);
    bus.acknowledge(4);
    bus.port_write(0x100, 1, 0, 0);
    assert_eq!(bus.pending_lines().collect::<Vec<_>>(), [4]);
    bus.port_write(0x200, 1, 0, 0);
    assert_eq!(bus.pending_lines().count(), 0);
}

#[test]
fn a_read_can_let_go_of_the_line() {
    let mut bus = two_on_line_4(Trigger::Level);
    bus.port_write(0x100, 1, 1, 0);
    bus.port_read(0x100, 1, 0);
    assert!(!bus.pending(4));
}

#[test]
fn a_shared_edge_asks_once_until_all_have_let_go() {
    let mut bus = two_on_line_4(Trigger::Edge);
    bus.port_write(0x100, 1, 1, 0);
    assert!(bus.pending(4));
    bus.acknowledge(4);
    bus.port_write(0x200, 1, 1, 0);
    bus.port_write(0x100, 1, 0, 0);
    assert!(!bus.pending(4), "the wire never went low, so there was no edge");
    bus.port_write(0x200, 1, 0, 0);
    bus.port_write(0x200, 1, 1, 0);
    assert!(bus.pending(4));
    bus.port_write(0x200, 1, 0, 0);
    assert!(bus.pending(4), "an edge is remembered until it is acknowledged");
}

#[test]
fn a_spurious_interrupt_is_taken_once() {
    let mut bus = two_on_line_4(Trigger::Level);
    for line in [4, 5] {
        bus.inject_spurious(line);
        assert!(bus.pending(line), "also where nobody is on that line");
        bus.acknowledge(line);
        assert!(!bus.pending(line));
    }
}

#[test]
fn a_clone_shares_nothing() {
    let mut bus = two_on_line_4(Trigger::Level);
    let copy = bus.clone();
    bus.port_write(0x100, 1, 1, 0);
    assert!(bus.pending(4) && !copy.pending(4));
}

proptest! {
    /// Each byte of an access goes to the device that claimed its port, once and in order.
    #[test]
    fn bytes_reach_their_owner(base in 0u16..0x40, length in 1u16..0x40, port in 0u16..0x90, width in 1u8..=8, widest in 0u32..4) {
        let mut bus = Bus::new();
        let id = bus.attach(recorder());
        bus.claim_ports(id, base, length, 1 << widest).unwrap();
        bus.port_write(port, width, 0x0807_0605_0403_0201, 0);
        let device: &Recorder = bus.device(id).unwrap();
        let mut reached = Vec::new();
        for (offset, bytes, value) in &device.cycles {
            let bits = value.unwrap().to_le_bytes();
            reached.extend((0..*bytes).map(|i| (base + *offset as u16 + u16::from(i), bits[usize::from(i)])));
        }
        let owned = |p: &u16| (base..base + length).contains(p);
        let expected: Vec<_> = (port..port + u16::from(width)).filter(owned).map(|p| (p, (p - port + 1) as u8)).collect();
        assert_eq!(reached, expected);
    }

    /// No wiring and no access panics.
    #[test]
    fn nothing_panics(claims in prop::collection::vec(any::<(u64, u64, u8)>(), 0..8), address: u64, width: u8, value: u64) {
        let mut bus = Bus::new();
        for (base, length, width) in claims {
            let id = bus.attach(recorder());
            let _ = bus.claim_memory(id, base, length, width);
            let _ = bus.claim_ports(id, base as u16, length as u16, width);
        }
        bus.memory_write(address, width, value, 0);
        bus.memory_read(address, width, 0);
        bus.port_write(address as u16, width, value, 0);
        bus.port_read(address as u16, width, 0);
    }
}

/// Before its next deadline a device is left alone, unless somebody has touched it.
#[test]
fn what_changes_a_device_is_seen_at_the_next_advance() {
    let mut bus = Bus::new();
    let id = bus.attach(recorder());
    bus.claim_ports(id, 0x100, 8, 1).unwrap();
    bus.connect(id, 4, Trigger::Level).unwrap();
    bus.advance(1);
    bus.device_mut::<Recorder>(id).unwrap().asserted = true;
    bus.advance(2);
    assert!(bus.pending(4), "changed from outside");
    bus.port_read(0x100, 1, 3);
    assert!(!bus.pending(4), "changed by an access");
    let cable = SerialLine::peer(FlowControl::None);
    let port = Uart16550::install(&mut bus, cable, 0x3f8, 3).unwrap();
    bus.advance(4);
    assert_eq!(bus.next_deadline(), None);
    bus.device_mut::<Uart16550>(port).unwrap().line_mut().send_bytes(9, b"x");
    assert_eq!(bus.next_deadline(), Some(9));
    bus.advance(5);
    bus.advance(9);
    let character_ns = bus.device::<Uart16550>(port).unwrap().character_ns().unwrap();
    assert_eq!(bus.next_deadline(), Some(9 + character_ns));
    bus.advance(8 + character_ns);
    assert_eq!(bus.port_read(0x3fd, 1, 8 + character_ns) & 1, 0, "not all of it has come");
    bus.advance(9 + character_ns);
    assert_eq!(bus.port_read(0x3fd, 1, 9 + character_ns) & 1, 1, "it has come");
}
