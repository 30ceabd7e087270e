//! `.pdata` and `.xdata`: how to leave a function without running it ("x64 exception handling" in the C++ documentation).
//!
//! Everything reads through [`ReadImage`], so it works on a file and on an image in guest memory alike.

mod codes;

use nt_types::Rva;
use object::LittleEndian as LE;
use object::pe;

pub use codes::{UnwindCode, UnwindOperation};

use crate::read::TableReader;
use crate::{DataDirectory, Directory, ReadImage};

/// Bytes of an entry of the function table.
const ENTRY: u32 = size_of::<pe::ImageRuntimeFunctionEntry>() as u32;
/// `RUNTIME_FUNCTION_INDIRECT`: the entry names another entry instead of unwind information.
const INDIRECT: u32 = 1;
/// Most functions listed. Drivers have a few thousand.
const MAX_FUNCTIONS: u32 = 1 << 19;
/// Longest chain of unwind information followed. Compilers make chains of two or three.
const MAX_CHAIN: usize = 32;

const EXCEPTION_HANDLER: u8 = 1;
const TERMINATION_HANDLER: u8 = 2;
const CHAINED: u8 = 4;

/// A function, or a part of one, that has unwind information. A function without is a leaf: it changes no nonvolatile
/// register, and its return address is at the top of the stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RuntimeFunction {
    /// First byte.
    pub begin: Rva,
    /// Just past the last byte.
    pub end: Rva,
    /// Where its [`UnwindInfo`] lies.
    pub unwind_info: Rva,
}

/// What a function did to the stack and to nonvolatile registers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnwindInfo {
    /// Version of the format, 1 or 2.
    pub version: u8,
    /// Bytes of the prolog.
    pub prolog_size: u8,
    /// The frame pointer, if the function has one.
    pub frame: Option<FrameRegister>,
    /// What the prolog does, last instruction first.
    pub codes: Vec<UnwindCode>,
    /// Where the epilogs lie; version 1 does not say, there the code itself must be looked at.
    pub epilogs: Option<Epilogs>,
    /// What follows.
    pub tail: UnwindTail,
}

/// The register that a function uses as frame pointer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameRegister {
    /// Its number as instructions encode it (0 rax, 3 rbx, 5 rbp ...).
    pub register: u8,
    /// Bytes between the stack pointer of the prolog and its value.
    pub offset: u8,
}

/// The epilogs of a function (version 2; format as LLVM's commit "Win x64 Unwind V2: Support dumping UOP_Epilog" states it).
///
/// An epilog starts where the fixed allocation is released and saved registers are restored: nothing but the pops that
/// undo the pushes of the prolog, in the order of [`UnwindInfo::codes`], and the final return or jump belong to it. All
/// epilogs of a function have the same size.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Epilogs {
    /// Bytes of each, up to the first byte of the final return or jump at least.
    pub size: u8,
    /// Where each starts, in bytes before the end of the function.
    pub starts: Vec<u16>,
}

/// What follows the unwind codes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnwindTail {
    /// Nothing.
    None,
    /// A language-specific handler.
    Handler {
        /// Call it when an exception looks for a handler.
        on_exception: bool,
        /// Call it when the function is left by unwinding.
        on_unwind: bool,
        /// The handler, such as `__C_specific_handler`.
        handler: Rva,
        /// Its data; only the handler knows their format and length.
        data: Rva,
    },
    /// This part of a function continues another one, whose information applies afterwards.
    Chained(RuntimeFunction),
}

impl RuntimeFunction {
    /// Does it cover this offset?
    pub fn contains(&self, rva: Rva) -> bool {
        (self.begin..self.end).contains(&rva)
    }

    /// Reads the entry at `rva`, and the one it names instead of unwind information if it does.
    fn read<R: ReadImage>(reader: &mut TableReader<'_, R>, rva: Rva) -> Result<RuntimeFunction, R::Error> {
        let function = RuntimeFunction::read_direct(reader, rva)?;
        if function.unwind_info.0 & INDIRECT == 0 {
            return Ok(function);
        }
        let other = RuntimeFunction::read_direct(reader, Rva(function.unwind_info.0 & !INDIRECT))?;
        if other.unwind_info.0 & INDIRECT != 0 {
            return Err(reader.malformed(rva, "an indirect entry leads to another one"));
        }
        Ok(RuntimeFunction { unwind_info: other.unwind_info, ..function })
    }

    fn read_direct<R: ReadImage>(reader: &mut TableReader<'_, R>, rva: Rva) -> Result<RuntimeFunction, R::Error> {
        let entry: pe::ImageRuntimeFunctionEntry = reader.pod(rva)?;
        Ok(RuntimeFunction {
            begin: Rva(entry.begin_address.get(LE)),
            end: Rva(entry.end_address.get(LE)),
            unwind_info: Rva(entry.unwind_info_address_or_data.get(LE)),
        })
    }
}

/// Every entry of the function table at `table`, in table order.
pub fn functions<R: ReadImage>(reader: &mut R, table: DataDirectory) -> Result<Vec<RuntimeFunction>, R::Error> {
    let mut reader = TableReader::new(reader, Directory::Exception);
    let mut functions = Vec::new();
    if table.size / ENTRY > MAX_FUNCTIONS {
        return Err(reader.too_many(MAX_FUNCTIONS as usize));
    }
    for index in 0..table.size / ENTRY {
        let at = reader.offset(table.rva, u64::from(index * ENTRY))?;
        functions.push(RuntimeFunction::read(&mut reader, at)?);
    }
    Ok(functions)
}

/// The entry that covers `rva`, and where in the image it lies, by binary search; the table is sorted by address.
pub fn find_function<R: ReadImage>(
    reader: &mut R,
    table: DataDirectory,
    rva: Rva,
) -> Result<Option<(Rva, RuntimeFunction)>, R::Error> {
    let mut reader = TableReader::new(reader, Directory::Exception);
    let (mut low, mut high) = (0, table.size / ENTRY);
    while low < high {
        let middle = low + (high - low) / 2;
        let at = reader.offset(table.rva, u64::from(middle * ENTRY))?;
        let function = RuntimeFunction::read(&mut reader, at)?;
        if function.contains(rva) {
            return Ok(Some((at, function)));
        }
        if function.begin <= rva {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(None)
}

/// The part of the function that holds its entry point: follows the chain from one of its parts.
pub fn primary_function<R: ReadImage>(reader: &mut R, part: RuntimeFunction) -> Result<RuntimeFunction, R::Error> {
    let mut function = part;
    for _ in 0..MAX_CHAIN {
        match UnwindInfo::read(reader, function.unwind_info)?.tail {
            UnwindTail::Chained(next) => function = next,
            _ => return Ok(function),
        }
    }
    Err(TableReader::new(reader, Directory::Exception).malformed(part.unwind_info, "a chain does not end"))
}

impl UnwindInfo {
    /// Decodes the unwind information at `rva`.
    pub fn read<R: ReadImage>(reader: &mut R, rva: Rva) -> Result<UnwindInfo, R::Error> {
        let mut reader = TableReader::new(reader, Directory::Exception);
        let [version_flags, prolog_size, count, frame] = reader.array(rva)?;
        let (version, flags) = (version_flags & 7, version_flags >> 3);
        if !matches!(version, 1 | 2) {
            return Err(reader.malformed(rva, "unwind information has a version other than 1 and 2"));
        }
        let mut slots = vec![0; 2 * usize::from(count)];
        let slots_at = reader.offset(rva, 4)?;
        reader.bytes(slots_at, &mut slots)?;
        let (codes, epilogs) = codes::decode(&slots, version).map_err(|reason| reader.malformed(rva, reason))?;
        let tail_at = reader.offset(slots_at, 2 * u64::from(count).next_multiple_of(2))?;
        let tail = tail(&mut reader, tail_at, flags)?;
        let frame = FrameRegister { register: frame & 15, offset: (frame >> 4) * 16 };
        let frame = (frame.register != 0).then_some(frame);
        Ok(UnwindInfo { version, prolog_size, frame, codes, epilogs, tail })
    }

    /// How far into an epilog of `function` this offset lies, in bytes; none outside epilogs and for version 1.
    pub fn offset_in_epilog(&self, function: RuntimeFunction, rva: Rva) -> Option<u32> {
        let epilogs = self.epilogs.as_ref()?;
        let before_end = function.end.0.checked_sub(rva.0)?;
        let into = |start: &u16| u32::from(*start).checked_sub(before_end);
        epilogs.starts.iter().filter_map(into).find(|&into| into < u32::from(epilogs.size))
    }
}

fn tail<R: ReadImage>(reader: &mut TableReader<'_, R>, at: Rva, flags: u8) -> Result<UnwindTail, R::Error> {
    let handlers = flags & (EXCEPTION_HANDLER | TERMINATION_HANDLER);
    match (flags & CHAINED != 0, handlers != 0) {
        (false, false) => Ok(UnwindTail::None),
        (true, false) => RuntimeFunction::read(reader, at).map(UnwindTail::Chained),
        (false, true) => Ok(UnwindTail::Handler {
            on_exception: handlers & EXCEPTION_HANDLER != 0,
            on_unwind: handlers & TERMINATION_HANDLER != 0,
            handler: Rva(reader.u32(at)?),
            data: reader.offset(at, 4)?,
        }),
        (true, true) => Err(reader.malformed(at, "unwind information is chained and has a handler")),
    }
}
