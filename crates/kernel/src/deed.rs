//! What happens only if it is chosen, and how often it may.

use devices::Mishap;
use nt_types::Va;

use crate::choice::ChoicePoints;
use crate::request::RequestId;
use crate::thread::ThreadId;
use crate::turn::Turn;

/// Something that happens only if it is chosen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Deed {
    /// All pages that may leave memory leave it.
    Trim,
    /// Those of the section, or of the kernel stack, that begins here leave; null stands for those that are in neither: pool.
    TrimSection(Va),
    /// This page leaves, and with one of a kernel stack all of that stack.
    TrimPage(Va),
    /// An interrupt that no device asked for arrives on this vector.
    Interrupt(u32),
    /// Another thread gets the processor.
    Switch(ThreadId),
    /// Another processor goes on.
    Processor(u8),
    /// Time passes to the next moment at which a timer, a read or a device is due.
    Time,
    /// A request of the harness is cancelled.
    Cancel(RequestId),
    /// The routine that was called finds no memory.
    Fail,
    /// The device answers all ones, as one does that was pulled out.
    Absent,
    /// Something has another turn than it would have.
    Order(Turn),
    /// This happens to the device that is read before it answers.
    Befall(Mishap),
}

/// What sort of thing a deed is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DeedKind {
    /// Pages leave.
    Trim,
    /// A spurious interrupt.
    Interrupt,
    /// Another thread or processor.
    Switch,
    /// A jump of time.
    Time,
    /// A cancelled request.
    Cancel,
    /// No memory.
    Fail,
    /// A device that is absent, or that something happens to.
    Device,
    /// Another order.
    Order,
}

impl DeedKind {
    /// Each, with where it is asked for, its word on a command line, and what one and several of it are called.
    pub const ALL: [(DeedKind, ChoicePoints, &'static str, [&'static str; 2]); 8] = [
        (DeedKind::Trim, ChoicePoints::ANY_TRIM, "trim", ["trim", "trims"]),
        (DeedKind::Interrupt, ChoicePoints::INTERRUPT, "interrupt", ["spurious interrupt", "spurious interrupts"]),
        (DeedKind::Switch, ChoicePoints::ANY_SWITCH, "switch", ["preemption", "preemptions"]),
        (DeedKind::Time, ChoicePoints::TIME, "time", ["jump of time", "jumps of time"]),
        (DeedKind::Cancel, ChoicePoints::CANCEL, "cancel", ["cancellation", "cancellations"]),
        (DeedKind::Fail, ChoicePoints::FAIL, "fail", ["failed allocation", "failed allocations"]),
        (DeedKind::Device, ChoicePoints::DEVICE, "device", ["answer of a device", "answers of a device"]),
        (DeedKind::Order, ChoicePoints::ANY_ORDER, "order", ["other order", "other orders"]),
    ];
}

impl Deed {
    /// What sort it is.
    pub const fn kind(self) -> DeedKind {
        match self {
            Deed::Trim | Deed::TrimSection(_) | Deed::TrimPage(_) => DeedKind::Trim,
            Deed::Interrupt(_) => DeedKind::Interrupt,
            Deed::Switch(_) | Deed::Processor(_) => DeedKind::Switch,
            Deed::Time => DeedKind::Time,
            Deed::Cancel(_) => DeedKind::Cancel,
            Deed::Fail => DeedKind::Fail,
            Deed::Absent | Deed::Befall(_) => DeedKind::Device,
            Deed::Order(_) => DeedKind::Order,
        }
    }
}

/// How many deeds of each kind one run may have.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Bound([Option<u32>; DeedKind::ALL.len()]);

impl Bound {
    /// The same, with at most so many of this kind.
    #[must_use]
    pub const fn with(mut self, kind: DeedKind, most: u32) -> Bound {
        self.0[kind as usize] = Some(most);
        self
    }

    /// How many of this kind there may be; `None` for any number.
    pub const fn most(self, kind: DeedKind) -> Option<u32> {
        self.0[kind as usize]
    }

    /// How many deeds of all kinds there may be where these are asked for; `None` where one of them has no bound.
    pub fn total(self, points: ChoicePoints) -> Option<u32> {
        let asked = DeedKind::ALL.iter().filter(|(_, asked, _, _)| points.has(*asked));
        asked.map(|(kind, ..)| self.most(*kind)).try_fold(0u32, |sum, most| sum.checked_add(most?))
    }

    /// What is left of it after these deeds, for as far as so many `more` of them can tell.
    #[must_use]
    pub fn left(self, done: &[(u32, Deed)], more: u32) -> Bound {
        let of_kind = |kind: DeedKind| done.iter().filter(|(_, deed)| deed.kind() == kind).count() as u32;
        let left = |(kind, ..): (DeedKind, _, _, _)| self.most(kind).map(|most| most.saturating_sub(of_kind(kind)));
        Bound(DeedKind::ALL.map(left).map(|left| left.filter(|left| *left < more)))
    }

    /// True where this deed may follow these.
    pub(crate) fn allows(self, done: &[(u32, Deed)], deed: Deed) -> bool {
        let of_kind = || done.iter().filter(|(_, other)| other.kind() == deed.kind()).count();
        self.most(deed.kind()).is_none_or(|most| of_kind() < most as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_counts_each_kind_for_itself() {
        let bound = Bound::default().with(DeedKind::Switch, 2).with(DeedKind::Trim, 1);
        let done = [(3, Deed::Switch(ThreadId(1))), (5, Deed::TrimPage(Va(0x1000)))];
        assert!(bound.allows(&done, Deed::Processor(1)) && bound.allows(&done, Deed::Time));
        assert!(!bound.allows(&done, Deed::Trim));
        assert_eq!(bound.total(ChoicePoints::TRIM.and(ChoicePoints::SWITCH)), Some(3));
        assert_eq!(bound.total(ChoicePoints::USUAL), None);
        let left =
            |more| [DeedKind::Switch, DeedKind::Trim, DeedKind::Time].map(|kind| bound.left(&done, more).most(kind));
        assert_eq!((left(2), left(1)), ([Some(1), Some(0), None], [None, Some(0), None]));
    }

    #[test]
    fn kinds_are_listed_in_their_order() {
        for (index, (kind, ..)) in DeedKind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, index);
        }
    }
}
