//! How often sections are locked, compared with the entry of a function.

use super::facts::Facts;

/// A number for each section, from -2 to 2, as the sections for which it is at least -1, 0, 1 and 2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Count([Facts; 4]);

impl Count {
    const ZERO: Count = Count([Facts::ALL_SECTIONS, Facts::ALL_SECTIONS, Facts::NONE, Facts::NONE]);
    const LOWEST: Count = Count([Facts::NONE; 4]);
    const HIGHEST: Count = Count([Facts::ALL_SECTIONS; 4]);

    fn up(&mut self, sections: Facts) {
        let Count([low, zero, one, two]) = *self;
        *self = Count([
            low.or(sections),
            zero.or(low.and(sections)),
            one.or(zero.and(sections)),
            two.or(one.and(sections)),
        ]);
    }

    fn down(&mut self, sections: Facts) {
        let Count([low, zero, one, two]) = *self;
        let less = |this: Facts, next: Facts| this.without(sections).or(next);
        *self = Count([less(low, zero), less(zero, one), less(one, two), two.without(sections)]);
    }

    fn each(self, other: Count, one: fn(Facts, Facts) -> Facts) -> Count {
        Count(std::array::from_fn(|n| one(self.0[n], other.0[n])))
    }
}

/// Locks less unlocks: by section, on the way with the fewest and on that with the most. A number at the end of the scale
/// stands for all beyond it: `least` never rises from -2, nor does `most` fall from 2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Balance {
    least: Count,
    most: Count,
}

impl Default for Balance {
    fn default() -> Balance {
        Balance { least: Count::ZERO, most: Count::ZERO }
    }
}

impl Balance {
    /// Anything may have happened.
    pub(crate) const UNKNOWN: Balance = Balance { least: Count::LOWEST, most: Count::HIGHEST };

    /// One of these sections is locked; which one, if there are several, is not known.
    pub(crate) fn lock(&mut self, sections: Facts) {
        if sections.only_section().is_some() {
            self.least.up(sections.and(self.least.0[0]));
        }
        self.most.up(sections);
    }

    /// One of these sections is unlocked.
    pub(crate) fn unlock(&mut self, sections: Facts) {
        self.least.down(sections);
        if sections.only_section().is_some() {
            self.most.down(sections.without(self.most.0[3]));
        }
    }

    /// It turns out on this way that these were not locked.
    pub(crate) fn undo(&mut self, sections: Facts) {
        for count in [&mut self.least, &mut self.most] {
            count.0[2..].iter_mut().for_each(|at_least| *at_least = at_least.without(sections));
        }
    }

    pub(crate) fn join(self, other: Balance) -> Balance {
        Balance { least: self.least.each(other.least, Facts::and), most: self.most.each(other.most, Facts::or) }
    }

    /// This, and `next` after it.
    pub(crate) fn then(self, next: Balance) -> Balance {
        let Balance { mut least, mut most } = self;
        let fixed = Facts::ALL_SECTIONS.without(least.0[0]);
        add(&mut least, next.least, fixed);
        let least = least.each(Count([next.least.0[0]; 4]), Facts::and);
        let fixed = most.0[3];
        add(&mut most, next.most, fixed);
        let most = most.each(Count([next.most.0[3]; 4]), Facts::or);
        Balance { least, most }
    }

    /// Sections that are locked so many times more than at the entry, 1 or 2, whatever the way.
    pub(crate) fn at_least(self, times: usize) -> Facts {
        self.least.0[1 + times]
    }

    /// Sections that may be locked so many times more than at the entry, 1 or 2.
    pub(crate) fn at_most(self, times: usize) -> Facts {
        self.most.0[1 + times]
    }

    /// Sections that are unlocked so many times more, 1 or 2, whatever the way.
    pub(crate) fn below(self, times: usize) -> Facts {
        Facts::ALL_SECTIONS.without(self.most.0[2 - times])
    }

    /// Sections that may be unlocked so many times more, 1 or 2.
    pub(crate) fn perhaps_below(self, times: usize) -> Facts {
        Facts::ALL_SECTIONS.without(self.least.0[2 - times])
    }
}

/// Adds numbers, apart from those of some sections.
fn add(count: &mut Count, Count([low, zero, one, two]): Count, fixed: Facts) {
    let all = Facts::ALL_SECTIONS.without(fixed);
    count.up(one.and(all));
    count.up(two.and(all));
    count.down(all.without(zero));
    count.down(all.without(low));
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECTION: Facts = Facts::ALL_SECTIONS;

    /// The numbers of the first section.
    fn range(balance: Balance) -> (i32, i32) {
        let first = Facts::section(0);
        let number = |count: Count| count.0.iter().filter(|at_least| at_least.has(first)).count() as i32 - 2;
        (number(balance.least), number(balance.most))
    }

    fn of(steps: &[i32]) -> Balance {
        let mut balance = Balance::default();
        for step in steps {
            match step {
                1 => balance.lock(Facts::section(0)),
                _ => balance.unlock(Facts::section(0)),
            }
        }
        balance
    }

    #[test]
    fn numbers_at_the_ends_stand_for_all_beyond() {
        assert_eq!(range(of(&[])), (0, 0));
        assert_eq!(range(of(&[1, 1])), (2, 2));
        assert_eq!(range(of(&[1, -1, -1])), (-1, -1));
        assert_eq!(range(of(&[1, 1, -1])), (1, 2));
        assert_eq!(range(of(&[-1, -1, 1])), (-2, -1));
        assert_eq!(range(Balance::UNKNOWN.then(of(&[1]))), (-2, 2));
    }

    #[test]
    fn one_change_after_another_adds_up() {
        for one in [&[][..], &[1], &[1, 1], &[-1], &[-1, -1]] {
            for other in [&[][..], &[1], &[1, 1], &[-1], &[-1, -1]] {
                let both: Vec<i32> = one.iter().chain(other).copied().collect();
                let (low, high) = range(of(one).then(of(other)));
                let sum: i32 = both.iter().sum();
                assert!((low == -2 || low <= sum) && (high == 2 || high >= sum), "{both:?}");
                assert!(sum.abs() > 1 || both.len() > 2 || (low, high) == (sum, sum), "{both:?}");
            }
        }
    }

    #[test]
    fn what_is_not_known_widens() {
        let mut balance = of(&[1]);
        balance.unlock(SECTION);
        assert_eq!(range(balance), (0, 1));
        balance.lock(SECTION);
        assert_eq!(range(balance), (0, 2));
        assert_eq!(range(of(&[1]).join(of(&[-1]))), (-1, 1));
        let mut undone = of(&[1]).join(of(&[]));
        undone.undo(Facts::section(0));
        assert_eq!(range(undone), (0, 0));
    }
}
