//! Line tables of a PDB (LLVM documentation, "The PDB File Format"; `codeview.h` of LLVM).
//!
//! `pdb2` decodes these too, but slices by lengths that it does not check.

/// Subsection of line numbers.
const LINES: u32 = 0xf2;
/// Subsection of source files.
const FILE_CHECKSUMS: u32 = 0xf4;
/// Low bits of a line entry's flags: the line number.
const LINE_NUMBER: u32 = 0x00ff_ffff;
/// Line numbers that stand for "no line: step over" and "no line: step into".
const NO_LINE: [u32; 2] = [0x00fe_efee, 0x00f0_0f00];

/// A piece of code that belongs to one source line, as a PDB says it.
pub(super) struct RawRow {
    /// Number of the section, from 1.
    pub(super) section: u16,
    /// First byte, from the start of the section.
    pub(super) start: u32,
    /// Just past the last byte, from the start of the section.
    pub(super) end: u64,
    /// Offset of the file's name in the string table.
    pub(super) file: u32,
    /// Line number from 1, or 0 where there is none.
    pub(super) line: u32,
}

/// Little-endian fields, one after another.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.take(2)?.first_chunk().copied().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take(4)?.first_chunk().copied().map(u32::from_le_bytes)
    }
}

/// The rows of the line tables in one module's debug subsections; nothing if they are malformed.
pub(super) fn rows(subsections: &[u8]) -> Option<Vec<RawRow>> {
    let subsections = split(subsections)?;
    let files = subsections.iter().find(|(kind, _)| *kind == FILE_CHECKSUMS).map_or(&[][..], |(_, data)| data);
    let mut rows = Vec::new();
    for (_, data) in subsections.iter().filter(|(kind, _)| *kind == LINES) {
        add_contribution(Fields(data), files, &mut rows)?;
    }
    Some(rows)
}

/// Kind and contents of each subsection. They are padded to four bytes, the last one perhaps not.
fn split(bytes: &[u8]) -> Option<Vec<(u32, &[u8])>> {
    let mut fields = Fields(bytes);
    let mut subsections = Vec::new();
    while !fields.0.is_empty() {
        let (kind, length) = (fields.u32()?, fields.u32()? as usize);
        subsections.push((kind, fields.take(length)?));
        let padding = (length.next_multiple_of(4) - length).min(fields.0.len());
        fields.take(padding)?;
    }
    Some(subsections)
}

/// The rows of one piece of code. Each ends where the next one of the piece starts, whatever file that is from.
fn add_contribution(mut fields: Fields<'_>, files: &[u8], rows: &mut Vec<RawRow>) -> Option<()> {
    let (offset, section, _flags, size) = (fields.u32()?, fields.u16()?, fields.u16()?, fields.u32()?);
    let first = rows.len();
    while !fields.0.is_empty() {
        let (file, count, size) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let mut block = Fields(fields.take((size as usize).checked_sub(12)?)?);
        let file = Fields(files.get(file as usize..)?).u32()?;
        for _ in 0..count {
            let (start, flags) = (offset.checked_add(block.u32()?)?, block.u32()?);
            let line = Some(flags & LINE_NUMBER).filter(|line| !NO_LINE.contains(line)).unwrap_or(0);
            rows.push(RawRow { section, start, end: 0, file, line });
        }
    }
    rows[first..].sort_by_key(|row| row.start);
    let mut end = u64::from(offset) + u64::from(size);
    for row in rows[first..].iter_mut().rev() {
        row.end = end;
        end = u64::from(row.start);
    }
    Some(())
}
