//! Exports called with given arguments: what they return and what they leave in memory. One module a family.

mod crt;
mod device;
mod executive;
mod file_io;
mod hardware;
mod memory;
mod names;
mod pci;
mod plug_and_play;
mod power;
mod processor;
mod queue;
mod registration;
mod registry;
mod request;
mod scarcity;
mod strings;
mod system;
mod unicode;
mod work;

use nt_types::layout::driver_object;
use nt_types::{NtStatus, Va};

use crate::probe::Probe;

/// Calls an export that must return this value.
macro_rules! check {
    ($probe:expr, $name:literal, $arguments:expr => $expected:expr) => {
        assert_eq!($probe.ask($name, &$arguments).expect(concat!($name, " returns")), $expected, $name)
    };
}
/// Calls an export that must return this status.
macro_rules! check_status {
    ($probe:expr, $name:literal, $arguments:expr => $expected:ident) => {
        assert_eq!(
            nt_types::NtStatus($probe.ask($name, &$arguments).expect(concat!($name, " returns")) as u32),
            nt_types::NtStatus::$expected,
            $name
        )
    };
}
/// Calls an export that must return TRUE or FALSE, of which only the low byte counts.
macro_rules! check_flag {
    ($probe:expr, $name:literal, $arguments:expr => $expected:expr) => {
        assert_eq!($probe.ask($name, &$arguments).expect(concat!($name, " returns")) as u8 != 0, $expected, $name)
    };
}
pub(crate) use {check, check_flag, check_status};

impl Probe {
    /// A place of 128 bytes in the probe's data; there are 30.
    pub(crate) fn place(&self, index: u64) -> u64 {
        assert!(index < 30, "the recorder's log is there");
        self.data().0 + 0x80 * index
    }

    /// The 64 bits at an address.
    pub(crate) fn word(&mut self, address: u64) -> u64 {
        self.machine.read_u64(Va(address)).expect("it can be read")
    }

    pub(crate) fn set_word(&mut self, address: u64, value: u64) {
        self.machine.write_u64(Va(address), value).expect("it can be written");
    }

    pub(crate) fn half(&mut self, address: u64) -> u32 {
        self.machine.read_u32(Va(address)).expect("it can be read")
    }

    pub(crate) fn set_bytes(&mut self, address: u64, bytes: &[u8]) {
        self.machine.write_bytes(Va(address), bytes).expect("it can be written");
    }

    pub(crate) fn bytes(&mut self, address: u64, length: u64) -> Vec<u8> {
        self.machine.read_bytes(Va(address), length).expect("it can be read")
    }

    /// A UNICODE_STRING at a place, its buffer in pool.
    pub(crate) fn unicode(&mut self, place: u64, text: &str) -> u64 {
        let bytes: Vec<u8> = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        let buffer = self.ask("ExAllocatePoolWithTag", &[0, bytes.len() as u64, 1]).expect("there is memory");
        self.set_bytes(buffer, &bytes);
        let length = bytes.len() as u64 - 2;
        self.set_word(place, length | (length + 2) << 16);
        self.set_word(place + 8, buffer);
        place
    }

    /// OBJECT_ATTRIBUTES at a place, its name behind it.
    pub(crate) fn attributes(&mut self, place: u64, name: &str, flags: u64) -> u64 {
        let name = self.unicode(place + 0x40, name);
        for (index, word) in (0..).zip([0x30, 0, name, flags, 0, 0]) {
            self.set_word(place + 8 * index, word);
        }
        place
    }

    /// The text of a UNICODE_STRING.
    pub(crate) fn text_at(&mut self, string: u64) -> String {
        self.machine.read_text(Va(string)).expect("it can be read")
    }

    /// The probe's driver object.
    pub(crate) fn driver(&self) -> u64 {
        self.machine.modules().driver_at(self.base).expect("it is loaded").driver_object.0
    }

    /// A device of the probe, whose dispatch routines are the recorder.
    pub(crate) fn device(&mut self) -> u64 {
        let (driver, slot, recorder) = (self.driver(), self.place(29), self.recorder().0);
        for major in 0..28 {
            self.set_word(driver_object::MAJOR_FUNCTION.element(major, 8).at(Va(driver)).0, recorder);
        }
        check_status!(self, "IoCreateDevice", [driver, 0x10, 0, 0x22, 0, 0, slot] => SUCCESS);
        self.word(slot)
    }

    /// The parameter refused by the last call.
    pub(crate) fn refused(&mut self, name: &str, arguments: &[u64]) -> String {
        let stop = self.ask(name, arguments).expect_err("it is refused");
        match stop.kind {
            kernel::StopKind::Unsupported(kernel::Unsupported::Parameter { what, .. }) => what,
            other => panic!("{other:?}"),
        }
    }
}

/// A status as a routine returns it.
pub(crate) fn raw(status: NtStatus) -> u64 {
    status.0.into()
}
