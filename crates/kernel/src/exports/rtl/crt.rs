//! Strings of the C runtime: what its narrow and wide functions have in common (docs: C runtime library reference,
//! string manipulation).

use nt_types::{PAGE_SIZE, Va};

use super::scan::{Comparison, Fold, Scan};
use crate::call::{Next, Outcome, Trap};
use crate::machine::Machine;

/// What a string is made of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Unit {
    /// Bytes.
    Narrow,
    /// UTF-16 units.
    Wide,
}

/// Longest string that is followed, in units.
const MAX_UNITS: u64 = 1 << 20;
/// `EINVAL` and `ERANGE` of the secure functions.
pub(super) const EINVAL: u64 = 22;
pub(super) const ERANGE: u64 = 34;
/// What a comparison returns on NULL: `_NLSCMPERROR`.
const ALL: u64 = u64::MAX;

impl Unit {
    pub(super) fn size(self) -> u64 {
        if self == Unit::Wide { 2 } else { 1 }
    }

    pub(super) fn read(self, m: &mut Machine, at: Va) -> Result<u16, Trap> {
        if self == Unit::Wide { m.read_u16(at) } else { m.read_u8(at).map(u16::from) }
    }

    /// The units before the NUL, at most `limit`.
    pub(super) fn string(self, m: &mut Machine, at: Va, limit: u64) -> Result<Vec<u16>, Trap> {
        let (limit, mut units) = (limit.min(MAX_UNITS), Vec::new());
        while (units.len() as u64) < limit {
            let part = self.part(m, at + self.size() * units.len() as u64, limit - units.len() as u64)?;
            let end = part.iter().position(|unit| *unit == 0);
            units.extend_from_slice(&part[..end.unwrap_or(part.len())]);
            if end.is_some() {
                break;
            }
        }
        Ok(units)
    }

    /// The units up to the end of a page, at most `limit`; one that lies on two pages for itself.
    fn part(self, m: &mut Machine, at: Va, limit: u64) -> Result<Vec<u16>, Trap> {
        let units = ((PAGE_SIZE - at.0 % PAGE_SIZE) / self.size()).clamp(1, limit);
        let bytes = m.read_bytes(at, units * self.size())?;
        Ok(match self {
            Unit::Wide => bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect(),
            Unit::Narrow => bytes.into_iter().map(u16::from).collect(),
        })
    }

    pub(super) fn write(self, m: &mut Machine, at: Va, units: &[u16]) -> Result<(), Trap> {
        let bytes: Vec<u8> = match self {
            Unit::Wide => units.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
            Unit::Narrow => units.iter().map(|unit| *unit as u8).collect(),
        };
        m.write_bytes(at, &bytes)
    }

    pub(super) fn upper(self, unit: u16) -> u16 {
        match self {
            Unit::Wide => super::string::upcase(unit),
            Unit::Narrow => u16::from((unit as u8).to_ascii_uppercase()),
        }
    }

    pub(super) fn lower(self, unit: u16) -> u16 {
        match self {
            Unit::Wide => super::string::downcase(unit),
            Unit::Narrow => u16::from((unit as u8).to_ascii_lowercase()),
        }
    }
}

/// The difference of the first units that differ, within `limit`.
pub(super) fn compare(m: &mut Machine, unit: Unit, first: Va, second: Va, limit: u64, fold: bool) -> Outcome {
    let fold = if fold { Fold::Lower } else { Fold::None };
    Scan::compare(m, unit, Comparison { first, second, fold, ends_with_nul: true, otherwise: 0 }, limit)
}

pub(super) fn copy(m: &mut Machine, unit: Unit, destination: Va, source: Va) -> Outcome {
    let mut units = unit.string(m, source, ALL)?;
    units.push(0);
    unit.write(m, destination, &units)?;
    Ok(Next::pointer(destination))
}

/// Exactly `count` units: filled up with NULs, and without one where the source is longer.
pub(super) fn copy_count(m: &mut Machine, unit: Unit, destination: Va, source: Va, count: u64) -> Outcome {
    if count > MAX_UNITS {
        return Err(m.refuse("strncpy", format!("a count of {count:#x}")));
    }
    let mut units = unit.string(m, source, count)?;
    units.resize(count as usize, 0);
    unit.write(m, destination, &units)?;
    Ok(Next::pointer(destination))
}

pub(super) fn append(m: &mut Machine, unit: Unit, destination: Va, source: Va, count: u64) -> Outcome {
    let end = unit.string(m, destination, ALL)?.len() as u64;
    let mut units = unit.string(m, source, count)?;
    units.push(0);
    unit.write(m, destination + unit.size() * end, &units)?;
    Ok(Next::pointer(destination))
}

/// The secure forms: 0, or an error and an empty destination.
pub(super) fn copy_secure(m: &mut Machine, unit: Unit, destination: Va, room: u64, source: Va, count: u64) -> Outcome {
    if destination.is_null() || room == 0 {
        return Ok(Next::Return(EINVAL));
    }
    let mut units = if source.is_null() { Vec::new() } else { unit.string(m, source, count)? };
    if source.is_null() || units.len() as u64 >= room {
        unit.write(m, destination, &[0])?;
        return Ok(Next::Return(if source.is_null() { EINVAL } else { ERANGE }));
    }
    units.push(0);
    unit.write(m, destination, &units)?;
    Ok(Next::Return(0))
}

pub(super) fn append_secure(
    m: &mut Machine,
    unit: Unit,
    destination: Va,
    room: u64,
    source: Va,
    count: u64,
) -> Outcome {
    if destination.is_null() || room == 0 {
        return Ok(Next::Return(EINVAL));
    }
    let end = unit.string(m, destination, room)?.len() as u64;
    if end >= room {
        return Ok(Next::Return(EINVAL));
    }
    let result = copy_secure(m, unit, destination + unit.size() * end, room - end, source, count)?;
    if !matches!(result, Next::Return(0)) {
        unit.write(m, destination, &[0])?;
    }
    Ok(result)
}

pub(super) fn find(m: &mut Machine, unit: Unit, string: Va, wanted: u16, last: bool) -> Outcome {
    let mut units = unit.string(m, string, ALL)?;
    units.push(0);
    let wanted = if unit == Unit::Narrow { wanted & 0xff } else { wanted };
    let is_wanted = |other: &u16| *other == wanted;
    let index = if last { units.iter().rposition(is_wanted) } else { units.iter().position(is_wanted) };
    Ok(Next::pointer(index.map_or(Va::NULL, |index| string + unit.size() * index as u64)))
}

pub(super) fn find_string(m: &mut Machine, unit: Unit, string: Va, wanted: Va) -> Outcome {
    let (units, wanted) = (unit.string(m, string, ALL)?, unit.string(m, wanted, ALL)?);
    let index = match wanted.is_empty() {
        true => Some(0),
        false => units.windows(wanted.len()).position(|window| window == wanted),
    };
    Ok(Next::pointer(index.map_or(Va::NULL, |index| string + unit.size() * index as u64)))
}

pub(super) fn change_case(m: &mut Machine, unit: Unit, string: Va, upper: bool) -> Outcome {
    let units = unit.string(m, string, ALL)?;
    let changed: Vec<u16> =
        units.into_iter().map(|other| if upper { unit.upper(other) } else { unit.lower(other) }).collect();
    unit.write(m, string, &changed)?;
    Ok(Next::pointer(string))
}

/// Blanks, a sign, digits; what comes after them does not matter.
pub(super) fn integer(m: &mut Machine, unit: Unit, string: Va) -> Outcome {
    let units = unit.string(m, string, 128)?;
    let text = String::from_utf16_lossy(&units);
    let text = text.trim_start();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits.chars().map_while(|letter| letter.to_digit(10));
    let number = digits.fold(0_u32, |number, digit| number.wrapping_mul(10).wrapping_add(digit));
    Ok(Next::Return(u64::from(if negative { number.wrapping_neg() } else { number })))
}
