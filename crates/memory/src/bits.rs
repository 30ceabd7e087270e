//! A set of frame numbers.

/// A bit for each number; iterates in ascending order.
#[derive(Clone, Default, Hash)]
pub(crate) struct Bits {
    words: Vec<u64>,
    count: u32,
}

impl Bits {
    pub(crate) fn contains(&self, number: u32) -> bool {
        self.words.get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 != 0)
    }

    /// Puts a number in or takes it out. True if that changed something.
    pub(crate) fn set(&mut self, number: u32, member: bool) -> bool {
        if self.contains(number) == member {
            return false;
        }
        let word = number as usize / 64;
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.words[word] ^= 1 << (number % 64);
        self.count = if member { self.count + 1 } else { self.count - 1 };
        true
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// The lowest member from `start` on.
    pub(crate) fn next_from(&self, start: u32) -> Option<u32> {
        let first = start as usize / 64;
        let masked = self.words.get(first)? & (u64::MAX << (start % 64));
        let rest = self.words.iter().copied().enumerate().skip(first + 1);
        let (index, word) = std::iter::once((first, masked)).chain(rest).find(|&(_, word)| word != 0)?;
        Some(index as u32 * 64 + word.trailing_zeros())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(self.next_from(0), |&last| self.next_from(last + 1)).take(self.count as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_in_order() {
        let mut bits = Bits::default();
        for number in [130, 3, 63, 64] {
            assert!(bits.set(number, true));
        }
        assert!(!bits.set(3, true) && !bits.set(9, false) && bits.set(63, false));
        assert_eq!(bits.iter().collect::<Vec<_>>(), [3, 64, 130]);
        assert_eq!(
            (bits.count(), bits.next_from(65), bits.next_from(131), bits.next_from(9999)),
            (3, Some(130), None, None)
        );
    }
}
