//! Bitmaps (ddi: RtlInitializeBitMap, RtlFindClearBitsAndSet, RtlSetBits).

use nt_types::Va;
use nt_types::layout::rtl_bitmap as bitmap;

use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, RtlAreBitsClear(map: Va, start: u32, count: u32), HIGH),
    export!(Ntoskrnl, RtlAreBitsSet(map: Va, start: u32, count: u32), HIGH),
    export!(Ntoskrnl, RtlClearAllBits(map: Va), HIGH),
    export!(Ntoskrnl, RtlClearBit(map: Va, bit: u32), HIGH),
    export!(Ntoskrnl, RtlClearBits(map: Va, start: u32, count: u32), HIGH),
    export!(Ntoskrnl, RtlFindClearBits(map: Va, count: u32, hint: u32), HIGH),
    export!(Ntoskrnl, RtlFindClearBitsAndSet(map: Va, count: u32, hint: u32), HIGH),
    export!(Ntoskrnl, RtlFindLeastSignificantBit(set: u64), HIGH),
    export!(Ntoskrnl, RtlFindMostSignificantBit(set: u64), HIGH),
    export!(Ntoskrnl, RtlFindSetBits(map: Va, count: u32, hint: u32), HIGH),
    export!(Ntoskrnl, RtlInitializeBitMap(map: Va, buffer: Va, bits: u32), HIGH),
    export!(Ntoskrnl, RtlNumberOfClearBits(map: Va), HIGH),
    export!(Ntoskrnl, RtlNumberOfSetBits(map: Va), HIGH),
    export!(Ntoskrnl, RtlSetAllBits(map: Va), HIGH),
    export!(Ntoskrnl, RtlSetBit(map: Va, bit: u32), HIGH),
    export!(Ntoskrnl, RtlSetBits(map: Va, start: u32, count: u32), HIGH),
    export!(Ntoskrnl, RtlTestBit(map: Va, bit: u32), HIGH),
];

/// What a search returns that found nothing.
const NOTHING: u64 = 0xFFFF_FFFF;

/// The bits of a bitmap, read at once.
struct Bits {
    buffer: Va,
    bytes: Vec<u8>,
    count: u32,
}

impl Bits {
    fn read(m: &mut Machine, map: Va) -> Result<Bits, Trap> {
        let count = m.read_u32(bitmap::SIZE_OF_BIT_MAP.at(map))?;
        let buffer = m.read_va(bitmap::BUFFER.at(map))?;
        let bytes = m.read_bytes(buffer, u64::from(count.div_ceil(8)))?;
        Ok(Bits { buffer, bytes, count })
    }

    fn get(&self, bit: u32) -> bool {
        self.bytes.get(bit as usize / 8).is_some_and(|byte| byte >> (bit % 8) & 1 != 0)
    }

    fn all(&self, start: u32, count: u32, value: bool) -> bool {
        let inside = start.checked_add(count).is_some_and(|end| end <= self.count);
        inside && count > 0 && (start..start + count).all(|bit| self.get(bit) == value)
    }

    /// Sets bits that are inside, and stores what changed.
    fn set(&mut self, m: &mut Machine, start: u32, count: u32, value: bool) -> Result<(), Trap> {
        for bit in start.min(self.count)..start.saturating_add(count).min(self.count) {
            let byte = &mut self.bytes[bit as usize / 8];
            *byte = if value { *byte | 1 << (bit % 8) } else { *byte & !(1 << (bit % 8)) };
        }
        m.write_bytes(self.buffer, &self.bytes)
    }

    /// The first run of `count` bits with this value, from the hint on and then from the start.
    fn find(&self, count: u32, hint: u32, value: bool) -> Option<u32> {
        let hint = if hint < self.count { hint } else { 0 };
        if count == 0 {
            return Some(hint);
        }
        self.find_in(hint, self.count, count, value).or_else(|| {
            let end = hint.saturating_add(count).min(self.count);
            self.find_in(0, end, count, value)
        })
    }

    fn find_in(&self, start: u32, end: u32, count: u32, value: bool) -> Option<u32> {
        let mut run = 0;
        for bit in start..end {
            run = if self.get(bit) == value { run + 1 } else { 0 };
            if run == count {
                return Some(bit + 1 - count);
            }
        }
        None
    }
}

fn RtlInitializeBitMap(m: &mut Machine, map: Va, buffer: Va, bits: u32) -> Outcome {
    m.write_u32(bitmap::SIZE_OF_BIT_MAP.at(map), bits)?;
    m.write_u64(bitmap::BUFFER.at(map), buffer.0)?;
    Ok(Next::VOID)
}

fn RtlSetBits(m: &mut Machine, map: Va, start: u32, count: u32) -> Outcome {
    Bits::read(m, map)?.set(m, start, count, true).map(|()| Next::VOID)
}

fn RtlClearBits(m: &mut Machine, map: Va, start: u32, count: u32) -> Outcome {
    Bits::read(m, map)?.set(m, start, count, false).map(|()| Next::VOID)
}

fn RtlSetBit(m: &mut Machine, map: Va, bit: u32) -> Outcome {
    RtlSetBits(m, map, bit, 1)
}

fn RtlClearBit(m: &mut Machine, map: Va, bit: u32) -> Outcome {
    RtlClearBits(m, map, bit, 1)
}

fn RtlSetAllBits(m: &mut Machine, map: Va) -> Outcome {
    RtlSetBits(m, map, 0, u32::MAX)
}

fn RtlClearAllBits(m: &mut Machine, map: Va) -> Outcome {
    RtlClearBits(m, map, 0, u32::MAX)
}

fn RtlTestBit(m: &mut Machine, map: Va, bit: u32) -> Outcome {
    Ok(Next::Return(Bits::read(m, map)?.get(bit).into()))
}

fn RtlAreBitsSet(m: &mut Machine, map: Va, start: u32, count: u32) -> Outcome {
    Ok(Next::Return(Bits::read(m, map)?.all(start, count, true).into()))
}

fn RtlAreBitsClear(m: &mut Machine, map: Va, start: u32, count: u32) -> Outcome {
    Ok(Next::Return(Bits::read(m, map)?.all(start, count, false).into()))
}

fn RtlNumberOfSetBits(m: &mut Machine, map: Va) -> Outcome {
    let bits = Bits::read(m, map)?;
    Ok(Next::Return((0..bits.count).filter(|bit| bits.get(*bit)).count() as u64))
}

fn RtlNumberOfClearBits(m: &mut Machine, map: Va) -> Outcome {
    let bits = Bits::read(m, map)?;
    Ok(Next::Return((0..bits.count).filter(|bit| !bits.get(*bit)).count() as u64))
}

fn RtlFindSetBits(m: &mut Machine, map: Va, count: u32, hint: u32) -> Outcome {
    let found = Bits::read(m, map)?.find(count, hint, true);
    Ok(Next::Return(found.map_or(NOTHING, u64::from)))
}

fn RtlFindClearBits(m: &mut Machine, map: Va, count: u32, hint: u32) -> Outcome {
    let found = Bits::read(m, map)?.find(count, hint, false);
    Ok(Next::Return(found.map_or(NOTHING, u64::from)))
}

fn RtlFindClearBitsAndSet(m: &mut Machine, map: Va, count: u32, hint: u32) -> Outcome {
    let mut bits = Bits::read(m, map)?;
    let Some(start) = bits.find(count, hint, false) else { return Ok(Next::Return(NOTHING)) };
    bits.set(m, start, count, true)?;
    Ok(Next::Return(start.into()))
}

/// -1 for an empty set.
fn RtlFindMostSignificantBit(_m: &mut Machine, set: u64) -> Outcome {
    Ok(Next::Return(set.checked_ilog2().map_or(0xFF, u64::from)))
}

fn RtlFindLeastSignificantBit(_m: &mut Machine, set: u64) -> Outcome {
    Ok(Next::Return(if set == 0 { 0xFF } else { set.trailing_zeros().into() }))
}
