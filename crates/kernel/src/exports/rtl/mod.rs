//! The run-time library.

mod bitmap;
mod convert;
mod crt;
mod crt_narrow;
mod crt_print;
mod crt_wide;
mod guid;
mod image;
mod memory;
mod name_expression;
mod narrow_string;
mod number;
mod print;
mod query_registry;
mod random;
mod registry;
mod scan;
mod string;
mod time;
mod version;

use super::Export;
use crate::call::Outcome;
use crate::machine::Machine;

/// The tables of this family.
pub(crate) const TABLES: &[&[Export]] = &[
    bitmap::EXPORTS,
    convert::EXPORTS,
    crt_narrow::EXPORTS,
    crt_print::EXPORTS,
    crt_wide::EXPORTS,
    guid::EXPORTS,
    image::EXPORTS,
    memory::EXPORTS,
    name_expression::EXPORTS,
    narrow_string::EXPORTS,
    number::EXPORTS,
    print::EXPORTS,
    query_registry::EXPORTS,
    random::EXPORTS,
    registry::EXPORTS,
    string::EXPORTS,
    time::EXPORTS,
    version::EXPORTS,
];

/// What this family remembers.
#[derive(Clone, Default, Hash, Debug)]
pub struct State {
    pub(crate) random: random::Random,
}

impl State {
    pub(crate) fn new(seed: u64) -> State {
        State { random: random::Random::new(seed) }
    }
}

/// Continuations of this family.
#[derive(Clone, Hash, Debug)]
pub enum Then {
    /// A routine of a registry query returned.
    Reported(Box<query_registry::Reported>),
    /// A piece of memory was copied, filled or compared.
    Pieces(memory::Pieces),
    /// A page of a string was measured or compared.
    Scan(scan::Scan),
}

impl Then {
    pub(crate) fn run(self, m: &mut Machine, value: u64) -> Outcome {
        match self {
            Then::Reported(then) => then.run(m, value),
            Then::Pieces(pieces) => pieces.run(m),
            Then::Scan(scan) => scan.run(m),
        }
    }
}

/// Text as UTF-16 with its NUL, in bytes.
fn units(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

/// The strings of a REG_MULTI_SZ value.
fn strings_of(data: &[u8]) -> Vec<String> {
    let units: Vec<u16> = data.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
    units.split(|unit| *unit == 0).take_while(|text| !text.is_empty()).map(String::from_utf16_lossy).collect()
}
