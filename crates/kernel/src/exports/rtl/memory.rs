//! Copying, filling and comparing memory.

use nt_types::Va;

use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
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
    export!(Ntoskrnl, memmove(destination: Va, source: Va, length: u64), HIGH),
    export!(Ntoskrnl, memset(destination: Va, byte: i32, length: u64), HIGH),
];

/// Bytes handled between two looks at memory: what a page-in in the middle costs again.
const CHUNK: u64 = 1 << 16;

fn memcpy(m: &mut Machine, destination: Va, source: Va, length: u64) -> Outcome {
    memmove(m, destination, source, length)
}

/// Every page is touched before anything is written, so that the call can start over at a fault even if the two overlap.
fn memmove(m: &mut Machine, destination: Va, source: Va, length: u64) -> Outcome {
    let bytes = m.read_bytes(source, length)?;
    m.write_bytes(destination, &bytes)?;
    Ok(Next::pointer(destination))
}

fn memset(m: &mut Machine, destination: Va, byte: i32, length: u64) -> Outcome {
    let mut done = 0;
    while done < length {
        let step = CHUNK.min(length - done);
        m.fill_bytes(destination + done, byte as u8, step)?;
        done += step;
    }
    Ok(Next::pointer(destination))
}

fn memcmp(m: &mut Machine, first: Va, second: Va, length: u64) -> Outcome {
    let equal = common_prefix(m, first, second, length)?;
    if equal == length {
        return Ok(Next::Return(0));
    }
    let (a, b) = (m.read_u8(first + equal)?, m.read_u8(second + equal)?);
    Ok(Next::Return((i32::from(a) - i32::from(b)) as u32 as u64))
}

fn RtlCompareMemory(m: &mut Machine, first: Va, second: Va, length: u64) -> Outcome {
    Ok(Next::Return(common_prefix(m, first, second, length)?))
}

fn common_prefix(m: &mut Machine, first: Va, second: Va, length: u64) -> Result<u64, Trap> {
    let mut done = 0;
    while done < length {
        let step = CHUNK.min(length - done);
        let (a, b) = (m.read_bytes(first + done, step)?, m.read_bytes(second + done, step)?);
        if let Some(index) = a.iter().zip(&b).position(|(a, b)| a != b) {
            return Ok(done + index as u64);
        }
        done += step;
    }
    Ok(length)
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
