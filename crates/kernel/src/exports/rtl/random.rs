//! Random numbers that are the same in every run with one seed (ddi: RtlRandomEx).

use nt_types::Va;

use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, RtlRandom = RtlRandomEx(seed: Va), APC),
    export!(Ntoskrnl, RtlRandomEx(seed: Va), APC),
    export!(Ntoskrnl, rand(), HIGH),
    export!(Ntoskrnl, srand(seed: u32), HIGH),
];

/// The machine's own source.
#[derive(Clone, Default, Hash, Debug)]
pub(crate) struct Random {
    state: u64,
    /// What `srand` set.
    c_state: u32,
}

impl Random {
    /// A source for this seed.
    pub(crate) fn new(seed: u64) -> Random {
        Random { state: seed, c_state: 1 }
    }

    /// The next 64 bits (SplitMix64).
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }
}

/// The seed is in and out; the result lies in 0 to MAXLONG - 1.
fn RtlRandomEx(m: &mut Machine, seed: Va) -> Outcome {
    let state = m.read_u32(seed)?;
    let next = Random { state: state.into(), c_state: 0 }.next();
    m.write_u32(seed, (next >> 32) as u32)?;
    Ok(Next::Return(next % 0x7FFF_FFFF))
}

fn srand(m: &mut Machine, seed: u32) -> Outcome {
    m.rtl.random.c_state = seed;
    Ok(Next::VOID)
}

fn rand(m: &mut Machine) -> Outcome {
    let mut source = Random { state: m.rtl.random.c_state.into(), c_state: 0 };
    let next = source.next();
    m.rtl.random.c_state = (next >> 32) as u32;
    Ok(Next::Return(next & 0x7FFF))
}
