//! The cable at a serial port, and what is at its other end.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

/// What travels along one wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Signal {
    /// A character; bits beyond the word length of the receiver are lost.
    Character(u8),
    /// A character whose parity bit is wrong. A receiver that does not check parity sees nothing wrong.
    WrongParity(u8),
    /// A character without a valid stop bit.
    WrongFraming(u8),
    /// The wire is held low for longer than a character takes.
    Break,
}

/// The modem lines that a port can read. On the wire they are active low; here `true` is active.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash, Debug)]
pub struct ModemInputs {
    /// CTS.
    pub clear_to_send: bool,
    /// DSR.
    pub data_set_ready: bool,
    /// RI.
    pub ring: bool,
    /// DCD (RLSD).
    pub carrier: bool,
}

impl ModemInputs {
    /// The lines of a peer that is there and willing.
    pub const READY: ModemInputs =
        ModemInputs { clear_to_send: true, data_set_ready: true, ring: false, carrier: true };
}

/// The modem lines that a port drives.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ModemOutputs {
    /// DTR.
    pub data_terminal_ready: bool,
    /// RTS.
    pub request_to_send: bool,
}

/// When a peer sends.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash, Debug)]
pub enum FlowControl {
    /// Whenever it has something: a port that is not open or not fast enough loses it.
    #[default]
    None,
    /// Only while the port asserts RTS and DTR.
    RequestToSend,
}

/// A signal that the port sent, and when its last bit ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transmitted {
    /// Virtual time in nanoseconds.
    pub at_ns: u64,
    /// [`Signal::Character`] or [`Signal::Break`].
    pub signal: Signal,
}

impl Transmitted {
    /// The character, unless it is a break.
    pub fn byte(&self) -> Option<u8> {
        match self.signal {
            Signal::Character(byte) => Some(byte),
            _ => None,
        }
    }
}

/// What the far end does next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Event {
    Signal(Signal),
    Modem(ModemInputs),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum FarEnd {
    /// A peer (or nobody) that drives the modem lines to this.
    Peer(ModemInputs),
    /// Wires from each output back to inputs.
    LoopbackPlug,
}

/// The cable of one port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SerialLine {
    far_end: FarEnd,
    flow_control: FlowControl,
    /// What the peer will do, each not before its time, in this order.
    script: VecDeque<(u64, Event)>,
    sent: Vec<Transmitted>,
    lost: u64,
}

impl SerialLine {
    /// Signals kept until [`take_sent`](SerialLine::take_sent); what the port sends beyond is only counted.
    pub const MAX_KEPT: usize = 1 << 20;

    fn with_far_end(far_end: FarEnd) -> SerialLine {
        let (script, sent) = (VecDeque::new(), Vec::new());
        SerialLine { far_end, flow_control: FlowControl::None, script, sent, lost: 0 }
    }

    /// What tells its state at this time, for whoever takes what was sent without asking when.
    pub(crate) fn hash_at(&self, now_ns: u64, state: &mut impl Hasher) {
        let SerialLine { far_end, flow_control, script, sent, lost } = self;
        (far_end, flow_control, script.len(), sent.len(), lost).hash(state);
        script.iter().for_each(|(at_ns, event)| (at_ns.saturating_sub(now_ns), event).hash(state));
        sent.iter().for_each(|Transmitted { at_ns: _, signal }| signal.hash(state));
    }

    /// No cable: nothing arrives, no modem line is active.
    pub fn unconnected() -> SerialLine {
        SerialLine::with_far_end(FarEnd::Peer(ModemInputs::default()))
    }

    /// A loopback plug: what is sent comes back, RTS to CTS, DTR to DSR and DCD.
    pub fn loopback_plug() -> SerialLine {
        SerialLine::with_far_end(FarEnd::LoopbackPlug)
    }

    /// A peer that keeps CTS, DSR and DCD active and sends what it is told to.
    pub fn peer(flow_control: FlowControl) -> SerialLine {
        SerialLine { flow_control, ..SerialLine::with_far_end(FarEnd::Peer(ModemInputs::READY)) }
    }

    /// The peer sends `signal` after everything that it was told before, and not before `at_ns`.
    pub fn send(&mut self, at_ns: u64, signal: Signal) {
        self.script.push_back((at_ns, Event::Signal(signal)));
    }

    /// The peer sends these characters one after the other, the first not before `at_ns`.
    pub fn send_bytes(&mut self, at_ns: u64, bytes: &[u8]) {
        self.script.extend(bytes.iter().map(|byte| (at_ns, Event::Signal(Signal::Character(*byte)))));
    }

    /// The peer drives the modem lines to this, after everything that it was told before.
    pub fn set_modem_lines(&mut self, at_ns: u64, lines: ModemInputs) {
        self.script.push_back((at_ns, Event::Modem(lines)));
    }

    /// Number of signals and modem changes that the peer has yet to send.
    pub fn unsent(&self) -> usize {
        self.script.len()
    }

    /// What the port has sent since the last call, oldest first.
    pub fn take_sent(&mut self) -> Vec<Transmitted> {
        std::mem::take(&mut self.sent)
    }

    /// What the port has sent since the last call of [`take_sent`](SerialLine::take_sent).
    pub fn sent(&self) -> &[Transmitted] {
        &self.sent
    }

    /// The characters among [`sent`](SerialLine::sent).
    pub fn sent_bytes(&self) -> Vec<u8> {
        self.sent.iter().filter_map(Transmitted::byte).collect()
    }

    /// Signals that were sent and not kept.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// The port has sent something; a loopback plug returns it.
    pub(crate) fn transmit(&mut self, at_ns: u64, signal: Signal) -> Option<Signal> {
        if self.sent.len() < Self::MAX_KEPT {
            self.sent.push(Transmitted { at_ns, signal });
        } else {
            self.lost = self.lost.saturating_add(1);
        }
        (self.far_end == FarEnd::LoopbackPlug).then_some(signal)
    }

    /// The state of the modem lines towards the port that drives `outputs`.
    pub(crate) fn inputs(&self, outputs: ModemOutputs) -> ModemInputs {
        match self.far_end {
            FarEnd::Peer(lines) => lines,
            FarEnd::LoopbackPlug => ModemInputs {
                clear_to_send: outputs.request_to_send,
                data_set_ready: outputs.data_terminal_ready,
                ring: false,
                carrier: outputs.data_terminal_ready,
            },
        }
    }

    /// The earliest time of the next event of the far end, while the port drives `outputs`.
    pub(crate) fn next_event(&self, outputs: ModemOutputs) -> Option<(u64, Event)> {
        let waits = self.flow_control == FlowControl::RequestToSend
            && !(outputs.request_to_send && outputs.data_terminal_ready);
        let next = self.script.front().copied();
        next.filter(|(_, event)| !waits || matches!(event, Event::Modem(_)))
    }

    /// The event that [`next_event`](SerialLine::next_event) named happens.
    pub(crate) fn take_event(&mut self) -> Option<Event> {
        let (_, event) = self.script.pop_front()?;
        if let (Event::Modem(lines), FarEnd::Peer(current)) = (event, &mut self.far_end) {
            *current = lines;
        }
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_takes_is_counted_and_not_kept() {
        let mut line = SerialLine::unconnected();
        for at_ns in 0..SerialLine::MAX_KEPT as u64 + 3 {
            line.transmit(at_ns, Signal::Character(b'x'));
        }
        assert_eq!((line.sent().len(), line.lost()), (SerialLine::MAX_KEPT, 3));
        assert_eq!(line.take_sent().len(), SerialLine::MAX_KEPT);
        line.transmit(0, Signal::Break);
        assert_eq!(line.sent(), [Transmitted { at_ns: 0, signal: Signal::Break }]);
    }
}
