//! A small deterministic source of random and of interesting numbers.

/// SplitMix64: the same numbers on every host, from a seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.bits() % limit
    }

    /// True in `percent` of 100 calls.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// An integer of the kind that breaks arithmetic: limits of each width, single bits, small and random numbers.
    pub(crate) fn integer(&mut self) -> u64 {
        const EDGES: [u64; 16] = [
            0,
            1,
            2,
            3,
            0x7f,
            0x80,
            0xff,
            0x7fff,
            0x8000,
            0xffff,
            0x7fff_ffff,
            0x8000_0000,
            0xffff_ffff,
            0x7fff_ffff_ffff_ffff,
            0x8000_0000_0000_0000,
            0xffff_ffff_ffff_ffff,
        ];
        match self.below(6) {
            0 => self.pick(&EDGES),
            1 => self.pick(&EDGES).wrapping_neg(),
            2 => 1 << self.below(64),
            3 => self.below(70),
            4 => self.bits() >> self.below(64),
            _ => self.bits(),
        }
    }

    /// A floating-point number with `fraction` fraction bits below an implicit leading bit and `exponent` exponent bits.
    fn float(&mut self, exponent: u32, fraction: u32) -> u64 {
        let (top, bias) = ((1_u64 << exponent) - 1, (1_u64 << (exponent - 1)) - 1);
        let field = match self.below(10) {
            0 => 0,
            1 => top,
            2 => self.pick(&[1, top - 1, bias - 1, bias + 31, bias + 63]),
            3 => self.below(top + 1),
            _ => bias - 4 + self.below(9),
        };
        let digits = (1_u64 << fraction) - 1;
        let mantissa = match self.below(5) {
            0 => 0,
            1 => self.pick(&[1, digits, digits - 1, 1 << (fraction - 1), (1 << (fraction - 1)) | 1]),
            2 => (self.bits() & digits) >> self.below(u64::from(fraction)),
            3 => (self.bits() << self.below(u64::from(fraction))) & digits,
            _ => self.bits() & digits,
        };
        (self.below(2) << (exponent + fraction)) | (field << fraction) | mantissa
    }

    /// The bits of a single-precision number.
    pub(crate) fn single(&mut self) -> u32 {
        self.float(8, 23) as u32
    }

    /// The bits of a double-precision number.
    pub(crate) fn double(&mut self) -> u64 {
        self.float(11, 52)
    }

    /// The bits of an 80-bit extended number, now and then of an encoding that processors refuse.
    pub(crate) fn extended(&mut self) -> u128 {
        let sign = u128::from(self.below(2)) << 79;
        let exponent = match self.below(10) {
            0 => 0,
            1 => 0x7fff,
            2 => self.pick(&[1, 0x7ffe, 0x3ffe, 0x3fff + 15, 0x3fff + 31, 0x3fff + 63]),
            3 => self.below(0x8000),
            4 => self.pick(&[0x3fff - 1022, 0x3fff - 1074, 0x3fff + 1023, 0x3fff - 126, 0x3fff - 149, 0x3fff + 127]),
            _ => 0x3fff - 4 + self.below(9),
        };
        let fraction = match self.below(5) {
            0 => 0,
            1 => self.pick(&[1, u64::MAX, 1 << 62, 1 << 63, 0x400, 0x3ff, 0x100_0000_0000]),
            2 => self.bits() << self.below(64),
            _ => self.bits(),
        };
        let integer_bit = if (exponent == 0) != self.chance(3) { 0 } else { 1 << 63 };
        sign | (u128::from(exponent) << 64) | u128::from((fraction & (u64::MAX >> 1)) | integer_bit)
    }
}

/// What a block of data is made of.
#[derive(Clone, Copy)]
pub(crate) enum Flavour {
    Integers,
    SmallIntegers,
    Singles,
    Doubles,
}

impl Flavour {
    pub(crate) fn any(random: &mut Random) -> Flavour {
        random.pick(&[Flavour::Integers, Flavour::SmallIntegers, Flavour::Singles, Flavour::Doubles])
    }

    pub(crate) fn quadword(self, random: &mut Random) -> u64 {
        match self {
            Flavour::Integers => random.integer(),
            Flavour::SmallIntegers => random.bits() & random.bits() & random.bits(),
            Flavour::Singles => u64::from(random.single()) | (u64::from(random.single()) << 32),
            Flavour::Doubles => random.double(),
        }
    }

    pub(crate) fn vector(self, random: &mut Random) -> u128 {
        u128::from(self.quadword(random)) | (u128::from(self.quadword(random)) << 64)
    }
}
