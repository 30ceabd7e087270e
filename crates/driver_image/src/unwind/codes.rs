//! Unwind codes.

use super::Epilogs;

/// One thing that a prolog does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnwindCode {
    /// Offset from the start of the function to the end of the instruction that does it, in bytes.
    pub prolog_offset: u8,
    /// What it does.
    pub operation: UnwindOperation,
}

/// What an instruction of a prolog does. Registers are numbered as instructions encode them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnwindOperation {
    /// Pushes a nonvolatile register.
    Push {
        /// The register.
        register: u8,
    },
    /// Moves the stack pointer down.
    Allocate {
        /// By so many bytes.
        size: u32,
    },
    /// Sets the frame pointer to the stack pointer plus the offset of [`FrameRegister`](super::FrameRegister).
    SetFrame,
    /// Stores a nonvolatile register.
    Save {
        /// The register.
        register: u8,
        /// Where, in bytes from the base of the fixed allocation.
        offset: u32,
    },
    /// Stores a nonvolatile XMM register, all 128 bits.
    SaveXmm {
        /// The register.
        register: u8,
        /// Where, in bytes from the base of the fixed allocation.
        offset: u32,
    },
    /// The processor pushed a machine frame: this is the entry of an interrupt or exception.
    MachineFrame {
        /// An error code lies below the frame.
        error_code: bool,
    },
}

/// Decodes slots of two bytes each.
pub(super) fn decode(slots: &[u8], version: u8) -> Result<(Vec<UnwindCode>, Option<Epilogs>), &'static str> {
    let mut slots = slots.chunks_exact(2).map(|slot| [slot[0], slot[1]]);
    let mut codes = Vec::new();
    let mut epilogs = None;
    while let Some([offset, operation]) = slots.next() {
        if operation & 15 == 6 && version == 2 {
            add_epilog(&mut epilogs, offset, operation >> 4);
        } else {
            let mut word = || slots.next().map(u16::from_le_bytes).map(u32::from).ok_or("an unwind code is cut off");
            let operation = decode_operation(operation & 15, operation >> 4, &mut word)?;
            codes.push(UnwindCode { prolog_offset: offset, operation });
        }
    }
    Ok((codes, epilogs))
}

fn decode_operation(
    operation: u8,
    info: u8,
    word: &mut impl FnMut() -> Result<u32, &'static str>,
) -> Result<UnwindOperation, &'static str> {
    let mut long = || -> Result<u32, &'static str> { Ok(word()? | word()? << 16) };
    Ok(match (operation, info) {
        (0, register) => UnwindOperation::Push { register },
        (1, 0) => UnwindOperation::Allocate { size: word()? * 8 },
        (1, 1) => UnwindOperation::Allocate { size: long()? },
        (2, info) => UnwindOperation::Allocate { size: u32::from(info) * 8 + 8 },
        (3, _) => UnwindOperation::SetFrame,
        (4, register) => UnwindOperation::Save { register, offset: word()? * 8 },
        (5, register) => UnwindOperation::Save { register, offset: long()? },
        (8, register) => UnwindOperation::SaveXmm { register, offset: word()? * 16 },
        (9, register) => UnwindOperation::SaveXmm { register, offset: long()? },
        (10, info @ (0 | 1)) => UnwindOperation::MachineFrame { error_code: info == 1 },
        _ => return Err("an unwind code does not exist"),
    })
}

/// The first code gives the size of all epilogs and whether one ends the function; each later one gives the distance of
/// another from the end of the function, zero being padding.
fn add_epilog(epilogs: &mut Option<Epilogs>, offset: u8, info: u8) {
    match epilogs {
        None => {
            let at_end = (info & 1 != 0).then_some(u16::from(offset));
            *epilogs = Some(Epilogs { size: offset, starts: at_end.into_iter().collect() });
        }
        Some(epilogs) => {
            let start = u16::from(info) << 8 | u16::from(offset);
            epilogs.starts.extend((start != 0).then_some(start));
        }
    }
}
