//! A parsed image file.

use std::sync::Arc;

use nt_types::{Rva, Va};
use object::pe;

use crate::headers::{self, ParsedHeaders};
use crate::read::MAX_NAME;
use crate::unwind::{self, RuntimeFunction};
use crate::{
    DataDirectory, Directory, Exports, Headers, ImageError, ImportedModule, LoadConfig, MAX_SECTIONS, PdbReference,
    ReadImage, Section, VersionInfo, import, pdb_reference, relocation,
};

/// A driver image: the bytes of its file, and what a loader needs to know of them. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Image {
    file: Arc<[u8]>,
    contents: Arc<Contents>,
}

#[derive(Debug)]
struct Contents {
    headers: Headers,
    sections: Vec<Section>,
    imports: Vec<ImportedModule>,
    relocations: Vec<Rva>,
}

impl Image {
    /// Parses the bytes of a `.sys` file. An image that parses can be loaded: headers, sections, relocations and
    /// imports are consistent and lie within it.
    pub fn parse(file: impl Into<Arc<[u8]>>) -> Result<Image, ImageError> {
        let file = file.into();
        let parsed = Headers::parse(&file)?;
        let sections = sections(&file, &parsed)?;
        check_signature(&file, &parsed.headers)?;
        let headers = parsed.headers;
        let contents = Contents { headers, sections, imports: Vec::new(), relocations: Vec::new() };
        let mut image = Image { file, contents: Arc::new(contents) };
        let imports = import::imports(&mut image).map_err(|e| e.in_table(Directory::Import))?;
        let relocations = relocation::relocations(&mut image).map_err(|e| e.in_table(Directory::BaseRelocation))?;
        let contents = Arc::get_mut(&mut image.contents).expect("the image was not cloned yet");
        contents.imports = imports;
        contents.relocations = relocations;
        Ok(image)
    }

    /// What the headers say.
    pub fn headers(&self) -> &Headers {
        &self.contents.headers
    }

    /// The sections in header order, which is also address order. Their index is their identity.
    pub fn sections(&self) -> &[Section] {
        &self.contents.sections
    }

    /// The name that a section has in the string table of the file, where its header has `/` and a number instead. GNU
    /// linkers write names of more than eight bytes so; the loader looks at the header alone.
    pub fn long_name(&self, section: &Section) -> Option<String> {
        let digits = section.raw_name.strip_prefix(b"/")?;
        let digits = std::str::from_utf8(digits).ok()?.trim_end_matches('\0');
        let table = usize::try_from(self.headers().string_table).ok().filter(|table| *table != 0)?;
        let bytes = self.file.get(table.checked_add(digits.parse().ok()?)?..)?;
        let name = bytes.iter().take(MAX_NAME).position(|byte| *byte == 0).map(|end| &bytes[..end])?;
        Some(name.escape_ascii().to_string())
    }

    /// Index of the section that holds an offset (D16).
    pub fn section_at(&self, rva: Rva) -> Option<usize> {
        self.sections().iter().position(|section| section.contains(rva))
    }

    /// What the image imports, module by module in table order.
    pub fn imports(&self) -> &[ImportedModule] {
        &self.contents.imports
    }

    /// Places that hold an absolute address of eight bytes.
    pub fn relocations(&self) -> &[Rva] {
        &self.contents.relocations
    }

    /// What the image exports.
    pub fn exports(&self) -> Result<Exports, ImageError> {
        self.decode(Directory::Export, Exports::read)
    }

    /// The function table, in table order.
    pub fn functions(&self) -> Result<Vec<RuntimeFunction>, ImageError> {
        self.decode(Directory::Exception, unwind::functions)
    }

    /// Where the security cookie and the pointers of control-flow guard lie.
    pub fn load_config(&self) -> Result<LoadConfig, ImageError> {
        self.decode(Directory::LoadConfig, LoadConfig::read)
    }

    /// The version resource, if there is one.
    pub fn version(&self) -> Result<Option<VersionInfo>, ImageError> {
        self.decode(Directory::Resource, VersionInfo::read)
    }

    /// The PDB that belongs to the image, if it names one.
    pub fn pdb_reference(&self) -> Result<Option<PdbReference>, ImageError> {
        self.decode(Directory::Debug, pdb_reference)
    }

    fn decode<T>(
        &self,
        directory: Directory,
        decoder: impl FnOnce(&mut Image, DataDirectory) -> Result<T, ImageError>,
    ) -> Result<T, ImageError> {
        decoder(&mut self.clone(), self.headers().directory(directory)).map_err(|error| error.in_table(directory))
    }

    /// The bytes of the file.
    pub fn file(&self) -> &[u8] {
        &self.file
    }

    /// The loaded image: `SizeOfImage` bytes, headers and sections at their offsets, zero elsewhere, relocated for
    /// `base` (R40). Imports are not bound.
    pub fn map_at(&self, base: Va) -> Result<Vec<u8>, ImageError> {
        let headers = self.headers();
        headers.check_base(base)?;
        if base != headers.preferred_base && !headers.is_relocatable() {
            return Err(ImageError::NotRelocatable(headers.preferred_base));
        }
        let mut bytes = vec![0; headers.size_of_image as usize];
        self.copy_to(0, &mut bytes);
        relocation::apply(&mut bytes, self.relocations(), base - headers.preferred_base);
        Ok(bytes)
    }

    /// Copies what the file holds for the image from `start` on; bytes that it does not hold stay as they are.
    fn copy_to(&self, start: u64, out: &mut [u8]) {
        let end = start + out.len() as u64;
        for (at, bytes) in self.pieces(start, end) {
            let from = at.max(start);
            let to = (at + bytes.len() as u64).min(end);
            if from < to {
                let source = &bytes[(from - at) as usize..(to - at) as usize];
                out[(from - start) as usize..(to - start) as usize].copy_from_slice(source);
            }
        }
    }

    /// What the file holds for `start..end` of the image: offset in the image, bytes. Sections do not overlap.
    fn pieces(&self, start: u64, end: u64) -> impl Iterator<Item = (u64, &[u8])> {
        let headers = self.file.get(..self.headers().size_of_headers as usize).unwrap_or_default();
        let first = self.sections().partition_point(|section| section.end() <= start);
        let touched = self.sections()[first..].iter().take_while(move |section| u64::from(section.rva.0) < end);
        let sections = touched.filter_map(|section| {
            let (offset, size) = section.file_range()?;
            let bytes = self.file.get(offset as usize..(offset + size) as usize)?;
            Some((u64::from(section.rva.0), bytes))
        });
        std::iter::once((0, headers)).chain(sections)
    }
}

impl ReadImage for Image {
    type Error = ImageError;

    fn read(&mut self, rva: Rva, out: &mut [u8]) -> Result<(), ImageError> {
        let start = u64::from(rva.0);
        let end = start + out.len() as u64;
        if end > u64::from(self.headers().size_of_image) {
            return Err(ImageError::Outside { rva, length: out.len() });
        }
        out.fill(0);
        self.copy_to(start, out);
        Ok(())
    }
}

fn sections(file: &[u8], parsed: &ParsedHeaders) -> Result<Vec<Section>, ImageError> {
    if !(1..=MAX_SECTIONS).contains(&parsed.section_count) {
        return Err(ImageError::SectionCount(parsed.section_count));
    }
    let size = size_of::<pe::ImageSectionHeader>() as u64;
    let table_end = parsed.section_table + parsed.section_count as u64 * size;
    check_headers_size(file, &parsed.headers, table_end)?;
    let mut sections = Vec::with_capacity(parsed.section_count);
    let mut previous_end = u64::from(parsed.headers.size_of_headers);
    for index in 0..parsed.section_count {
        let header = headers::at(file, parsed.section_table + index as u64 * size, "the section table")?;
        let section = Section::from_header(&header);
        check_section(file, &parsed.headers, index, &section, previous_end)?;
        previous_end = section.end();
        sections.push(section);
    }
    check_raw_ranges(&sections)?;
    Ok(sections)
}

/// No byte of the file belongs to two sections, so a small file cannot fill a large image.
fn check_raw_ranges(sections: &[Section]) -> Result<(), ImageError> {
    let ranges = sections.iter().enumerate().filter_map(|(index, section)| Some((section.file_range()?, index)));
    let mut ranges: Vec<((u64, u64), usize)> = ranges.collect();
    ranges.sort_unstable();
    for pair in ranges.windows(2) {
        let (((offset, size), _), ((next, _), index)) = (pair[0], pair[1]);
        if offset + size > next {
            return Err(ImageError::RawOverlap { index, offset: next });
        }
    }
    Ok(())
}

fn check_headers_size(file: &[u8], headers: &Headers, table_end: u64) -> Result<(), ImageError> {
    let size = headers.size_of_headers;
    if u64::from(size) < table_end || size > headers.size_of_image {
        return Err(ImageError::HeadersSize { size, used: table_end });
    }
    check_in_file(file, "the headers", u64::from(size))
}

fn check_section(
    file: &[u8],
    headers: &Headers,
    index: usize,
    section: &Section,
    previous_end: u64,
) -> Result<(), ImageError> {
    let rva = section.rva;
    if u64::from(rva.0) < previous_end {
        return Err(ImageError::SectionOverlap { index, rva, previous_end });
    }
    if !rva.0.is_multiple_of(headers.section_alignment) {
        return Err(ImageError::SectionAlignment { index, rva });
    }
    if section.end() > u64::from(headers.size_of_image) {
        return Err(ImageError::SectionOutside { index, end: section.end() });
    }
    let (offset, size) = section.file_range().unwrap_or_default();
    check_in_file(file, "a section", offset + size)
}

/// The signature is not loaded, but a file that ends inside it is not whole.
fn check_signature(file: &[u8], headers: &Headers) -> Result<(), ImageError> {
    let table = headers.directory(Directory::Security);
    check_in_file(file, "the signature", u64::from(table.rva.0) + u64::from(table.size))
}

fn check_in_file(file: &[u8], what: &'static str, needed: u64) -> Result<(), ImageError> {
    let available = file.len() as u64;
    if needed > available { Err(ImageError::Truncated { what, needed, available }) } else { Ok(()) }
}
