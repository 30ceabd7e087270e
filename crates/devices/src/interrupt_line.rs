//! Interrupt lines, possibly shared.

use crate::bus::DeviceId;

/// How a line asks for service.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Trigger {
    /// As long as any device on it asserts it.
    Level,
    /// Once for each time that it goes from nobody asserting it to somebody asserting it.
    Edge,
}

/// One line: the devices on it are wired together by "or".
#[derive(Clone, Hash, Debug)]
pub(crate) struct InterruptLine {
    pub(crate) trigger: Trigger,
    pub(crate) devices: Vec<DeviceId>,
    asserted: bool,
    /// An edge, or an injected interrupt, that nobody has acknowledged.
    latched: bool,
}

impl InterruptLine {
    pub(crate) fn new(trigger: Trigger) -> InterruptLine {
        InterruptLine { trigger, devices: Vec::new(), asserted: false, latched: false }
    }

    /// Takes note of the state of the wire.
    pub(crate) fn sample(&mut self, asserted: bool) {
        self.latched |= self.trigger == Trigger::Edge && asserted && !self.asserted;
        self.asserted = asserted;
    }

    pub(crate) fn inject(&mut self) {
        self.latched = true;
    }

    pub(crate) fn pending(&self) -> bool {
        self.latched || (self.trigger == Trigger::Level && self.asserted)
    }

    pub(crate) fn acknowledge(&mut self) {
        self.latched = false;
    }
}
