//! What is held: sections that are locked, mutexes, and the order of what a driver does as a whole.

/// A set of facts. The first bits are sections, by index.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Facts(u64);

/// Sections with a bit of their own; images have fewer, and the rest share none and count as locked.
const SECTIONS: usize = 55;

impl Facts {
    pub(crate) const NONE: Facts = Facts(0);
    /// Every section is locked: what a lock of an unknown section may have done.
    pub(crate) const ALL_SECTIONS: Facts = Facts((1 << SECTIONS) - 1);
    /// The handle of a lock is somewhere else than in the function, or was before.
    pub(crate) const KEPT: Facts = Facts(1 << 58);
    /// The handle of a lock lies in the extension of a device object that was created.
    pub(crate) const IN_DEVICE: Facts = Facts(1 << 63);
    /// What was called shows that the system did not call at DISPATCH_LEVEL: it may be called below it only.
    pub(crate) const BELOW_DISPATCH: Facts = Facts(1 << 56);
    /// The same, because it waits for as long as it takes.
    pub(crate) const WAITS: Facts = Facts(1 << 55 | 1 << 56);
    /// The request is of a kind that comes at PASSIVE_LEVEL only.
    pub(crate) const PASSIVE_REQUEST: Facts = Facts(1 << 57);
    /// A mutex, or something like it, is held.
    pub(crate) const MUTEX: Facts = Facts(1 << 60);
    /// MmResetDriverPaging was called.
    pub(crate) const RESET: Facts = Facts(1 << 61);
    /// MmPageEntireDriver was called.
    pub(crate) const PAGED: Facts = Facts(1 << 59);
    /// An interrupt was disconnected.
    pub(crate) const DISCONNECTED: Facts = Facts(1 << 62);

    pub(crate) fn section(index: usize) -> Facts {
        if index < SECTIONS { Facts(1 << index) } else { Facts::NONE }
    }

    /// The index of the only section in the set.
    pub(crate) fn only_section(self) -> Option<usize> {
        let sections = self.and(Facts::ALL_SECTIONS).0;
        sections.is_power_of_two().then_some(sections.trailing_zeros() as usize)
    }

    /// Is a section locked, as far as this can say?
    pub(crate) fn has_section(self, index: usize) -> bool {
        index >= SECTIONS || self.has(Facts::section(index))
    }

    pub(crate) fn has(self, other: Facts) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) fn and(self, other: Facts) -> Facts {
        Facts(self.0 & other.0)
    }

    pub(crate) fn or(self, other: Facts) -> Facts {
        Facts(self.0 | other.0)
    }

    pub(crate) fn without(self, other: Facts) -> Facts {
        Facts(self.0 & !other.0)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// How a function changes the facts, up to some point in it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Held {
    /// Became true on every way here.
    pub(crate) gained: Facts,
    /// Became untrue on some way here.
    pub(crate) lost: Facts,
    /// Became true on some way here and did not become untrue since.
    pub(crate) perhaps: Facts,
}

impl Held {
    pub(crate) fn gain(&mut self, facts: Facts) {
        self.gained = self.gained.or(facts);
        self.perhaps = self.perhaps.or(facts);
        self.lost = self.lost.without(facts);
    }

    pub(crate) fn lose(&mut self, facts: Facts) {
        self.gained = self.gained.without(facts);
        self.perhaps = self.perhaps.without(facts);
        self.lost = self.lost.or(facts);
    }

    /// Is a section, known by name, locked on every way here?
    pub(crate) fn has_lock(&self) -> bool {
        let sections = self.gained.and(Facts::ALL_SECTIONS);
        !sections.is_empty() && sections != Facts::ALL_SECTIONS
    }

    /// Is one locked whose handle nobody keeps?
    pub(crate) fn has_lost_handle(&self) -> bool {
        self.has_lock() && !self.perhaps.has(Facts::KEPT) && !self.perhaps.has(Facts::IN_DEVICE)
    }

    /// It turns out on this way that the facts did not become true.
    pub(crate) fn undo(&mut self, facts: Facts) {
        self.gained = self.gained.without(facts);
        self.perhaps = self.perhaps.without(facts);
    }

    pub(crate) fn join(self, other: Held) -> Held {
        Held {
            gained: self.gained.and(other.gained),
            lost: self.lost.or(other.lost),
            perhaps: self.perhaps.or(other.perhaps),
        }
    }

    /// This change, and `next` after it.
    pub(crate) fn then(self, next: Held) -> Held {
        Held {
            gained: self.gained.without(next.lost).or(next.gained),
            lost: self.lost.without(next.gained).or(next.lost),
            perhaps: self.perhaps.without(next.lost).or(next.perhaps),
        }
    }

    /// The facts here where those of the entry are `entry`. A section counts as locked where it may be: whether a lock is
    /// held often depends on data, and a finding must not rest on a way that the driver never takes.
    pub(crate) fn at(self, entry: Facts) -> Facts {
        let sections = entry.or(self.perhaps).and(Facts::ALL_SECTIONS);
        entry
            .without(self.lost)
            .or(self.gained)
            .without(Facts::ALL_SECTIONS.or(Facts::KEPT).or(Facts::IN_DEVICE))
            .or(sections)
    }
}
