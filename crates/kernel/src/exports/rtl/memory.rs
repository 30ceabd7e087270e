//! Copying, filling and comparing memory.

use nt_types::Va;

use crate::call::{Next, Outcome, Then};
use crate::export;
use crate::exports::{Export, rtl};
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, RtlCompareMemory(first: Va, second: Va, length: u64), HIGH),
    export!(Ntoskrnl, RtlCopyMemory(destination: Va, source: Va, length: u64), HIGH),
    export!(Ntoskrnl, RtlFillMemory(destination: Va, length: u64, byte: u8), HIGH),
    export!(Ntoskrnl, RtlMoveMemory(destination: Va, source: Va, length: u64), HIGH),
    export!(Ntoskrnl, RtlZeroMemory(destination: Va, length: u64), HIGH),
    export!(Ntoskrnl, memcmp(first: Va, second: Va, length: u64), HIGH),
    export!(Ntoskrnl, memcpy(destination: Va, source: Va, length: u64), HIGH),
    export!(Ntoskrnl, memcpy_s(destination: Va, room: u64, source: Va, length: u64), HIGH),
    export!(Ntoskrnl, memmove(destination: Va, source: Va, length: u64), HIGH),
    export!(Ntoskrnl, memmove_s(destination: Va, room: u64, source: Va, length: u64), HIGH),
    export!(Ntoskrnl, memset(destination: Va, byte: i32, length: u64), HIGH),
];

/// Bytes of a piece.
const PIECE: u64 = 1 << 16;

/// Work that is done piece by piece. What is done stays done while a page of the next piece comes in, so that no call needs
/// more of memory at one time than a piece.
#[derive(Clone, Copy, Hash, Debug)]
pub struct Pieces {
    work: Work,
    length: u64,
    done: u64,
}

#[derive(Clone, Copy, Hash, Debug)]
enum Work {
    Fill {
        destination: Va,
        byte: u8,
    },
    Move {
        destination: Va,
        source: Va,
    },
    /// For `memcmp` the difference of the first bytes that differ, otherwise how many are equal.
    Compare {
        first: Va,
        second: Va,
        difference: bool,
    },
}

impl Pieces {
    fn begin(m: &mut Machine, work: Work, length: u64) -> Outcome {
        Pieces { work, length, done: 0 }.run(m)
    }

    /// Does the next piece, as a whole or not at all.
    pub(super) fn run(mut self, m: &mut Machine) -> Outcome {
        let piece = PIECE.min(self.length - self.done);
        match self.work {
            Work::Fill { destination, byte } => m.fill_bytes(destination + self.done, byte, piece)?,
            Work::Move { destination, source } => {
                // From the end where the front would overwrite what is still to be read.
                let backwards = destination.0.wrapping_sub(source.0) < self.length;
                let at = if backwards { self.length - self.done - piece } else { self.done };
                let bytes = m.read_bytes(source + at, piece)?;
                m.write_bytes(destination + at, &bytes)?;
            }
            Work::Compare { first, second, difference } => {
                let (first, second) =
                    (m.read_bytes(first + self.done, piece)?, m.read_bytes(second + self.done, piece)?);
                if let Some(index) = first.iter().zip(&second).position(|(a, b)| a != b) {
                    let by = i32::from(first[index]) - i32::from(second[index]);
                    return Ok(Next::Return(if difference { u64::from(by as u32) } else { self.done + index as u64 }));
                }
            }
        }
        self.done += piece;
        if self.done < self.length {
            return Ok(Next::Continue(Then::Rtl(rtl::Then::Pieces(self)), 0));
        }
        Ok(Next::Return(match self.work {
            Work::Fill { destination, .. } | Work::Move { destination, .. } => destination.0,
            Work::Compare { difference, .. } => {
                if difference {
                    0
                } else {
                    self.length
                }
            }
        }))
    }
}

fn memcpy(m: &mut Machine, destination: Va, source: Va, length: u64) -> Outcome {
    memmove(m, destination, source, length)
}

fn memmove(m: &mut Machine, destination: Va, source: Va, length: u64) -> Outcome {
    Pieces::begin(m, Work::Move { destination, source }, length)
}

/// On an error the whole destination is cleared.
fn memcpy_s(m: &mut Machine, destination: Va, room: u64, source: Va, length: u64) -> Outcome {
    use super::crt::{EINVAL, ERANGE};
    if length == 0 {
        return Ok(Next::Return(0));
    }
    if destination.is_null() {
        return Ok(Next::Return(EINVAL));
    }
    if source.is_null() || length > room {
        m.fill_bytes(destination, 0, room)?;
        return Ok(Next::Return(if source.is_null() { EINVAL } else { ERANGE }));
    }
    memmove(m, destination, source, length)?;
    Ok(Next::Return(0))
}

/// The same, without clearing anything.
fn memmove_s(m: &mut Machine, destination: Va, room: u64, source: Va, length: u64) -> Outcome {
    use super::crt::{EINVAL, ERANGE};
    if length == 0 {
        return Ok(Next::Return(0));
    }
    if destination.is_null() || source.is_null() {
        return Ok(Next::Return(EINVAL));
    }
    if length > room {
        return Ok(Next::Return(ERANGE));
    }
    memmove(m, destination, source, length)?;
    Ok(Next::Return(0))
}

fn memset(m: &mut Machine, destination: Va, byte: i32, length: u64) -> Outcome {
    Pieces::begin(m, Work::Fill { destination, byte: byte as u8 }, length)
}

fn memcmp(m: &mut Machine, first: Va, second: Va, length: u64) -> Outcome {
    Pieces::begin(m, Work::Compare { first, second, difference: true }, length)
}

fn RtlCompareMemory(m: &mut Machine, first: Va, second: Va, length: u64) -> Outcome {
    Pieces::begin(m, Work::Compare { first, second, difference: false }, length)
}

fn RtlCopyMemory(m: &mut Machine, destination: Va, source: Va, length: u64) -> Outcome {
    memmove(m, destination, source, length)
}

fn RtlMoveMemory(m: &mut Machine, destination: Va, source: Va, length: u64) -> Outcome {
    memmove(m, destination, source, length)
}

fn RtlFillMemory(m: &mut Machine, destination: Va, length: u64, byte: u8) -> Outcome {
    memset(m, destination, i32::from(byte), length)
}

fn RtlZeroMemory(m: &mut Machine, destination: Va, length: u64) -> Outcome {
    memset(m, destination, 0, length)
}
