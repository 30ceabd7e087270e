//! Export, import and relocation tables.

use std::collections::BTreeMap;

use nt_types::Rva;

use super::{CONSTANTS, PeBuilder, VARIABLES};
use crate::{Directory, ImportedSymbol, SectionFlags};

/// Bytes of an export directory's header.
const EXPORT_HEADER: u32 = 40;
/// Bytes of an import descriptor.
const DESCRIPTOR: u32 = 20;

/// Bytes at a known address, appended to.
struct Blob {
    start: Rva,
    bytes: Vec<u8>,
}

impl Blob {
    fn end(&self) -> u32 {
        self.start.0 + self.bytes.len() as u32
    }

    fn u16(&mut self, value: u16) {
        self.bytes.extend(value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.bytes.extend(value.to_le_bytes());
    }

    fn string(&mut self, text: &str) -> u32 {
        let at = self.end();
        self.bytes.extend(text.as_bytes());
        self.bytes.push(0);
        at
    }
}

impl PeBuilder {
    /// Adds section `.edata`: the image's file name, and its exports by name. Ordinals count from 1 in the order of
    /// names, as linkers do.
    pub fn exports(&mut self, module: &str, exports: &[(&str, Rva)]) -> &mut PeBuilder {
        let sorted: BTreeMap<&str, Rva> = exports.iter().copied().collect();
        let count = sorted.len() as u32;
        let start = self.next_rva();
        let (functions, names) = (start.0 + EXPORT_HEADER, start.0 + EXPORT_HEADER + 4 * count);
        let ordinals = names + 4 * count;
        let mut strings = Blob { start: Rva(ordinals + 2 * count), bytes: Vec::new() };
        let module_at = strings.string(module);
        let name_pointers: Vec<u32> = sorted.keys().map(|name| strings.string(name)).collect();

        let mut table = Blob { start, bytes: Vec::new() };
        for field in [0, 0, 0, module_at, 1, count, count, functions, names, ordinals] {
            table.u32(field);
        }
        sorted.values().for_each(|rva| table.u32(rva.0));
        name_pointers.iter().for_each(|&pointer| table.u32(pointer));
        (0..count as u16).for_each(|ordinal| table.u16(ordinal));
        table.bytes.extend(strings.bytes);
        self.section(".edata", CONSTANTS, &table.bytes);
        self.directory(Directory::Export, start, table.bytes.len() as u32)
    }

    /// Adds section `.idata`: imports module by module. Returns the slot of each import, in the order given.
    pub fn imports(&mut self, modules: &[(&str, &[ImportedSymbol])]) -> Vec<Rva> {
        let start = self.next_rva();
        let descriptors = DESCRIPTOR * (modules.len() as u32 + 1);
        let thunks: u32 = modules.iter().map(|(_, symbols)| 8 * (symbols.len() as u32 + 1)).sum();
        let lookup = (start.0 + descriptors).next_multiple_of(8);
        let slots = lookup + thunks;
        let mut strings = Blob { start: Rva(slots + thunks), bytes: Vec::new() };
        let mut table = Blob { start, bytes: Vec::new() };
        let mut entries = Blob { start: Rva(lookup), bytes: Vec::new() };
        let mut places = Vec::new();
        for (module, symbols) in modules {
            let first = entries.end();
            for symbol in *symbols {
                places.push(Rva(entries.end() + thunks));
                let thunk = thunk(&mut strings, symbol);
                entries.bytes.extend(thunk.to_le_bytes());
            }
            entries.bytes.extend([0; 8]);
            for field in [first, 0, 0, strings.string(module), first + thunks] {
                table.u32(field);
            }
        }
        table.bytes.resize((lookup - start.0) as usize, 0);
        let entries = entries.bytes;
        let bytes = [table.bytes, entries.clone(), entries, strings.bytes].concat();
        self.section(".idata", VARIABLES, &bytes);
        self.directory(Directory::Import, start, descriptors);
        self.directory(Directory::ImportAddressTable, Rva(slots), thunks);
        places
    }

    /// Adds section `.reloc`: places that hold an absolute address.
    pub fn relocations(&mut self, places: &[Rva]) -> &mut PeBuilder {
        let mut pages: BTreeMap<u32, Vec<u16>> = BTreeMap::new();
        for place in places {
            pages.entry(place.0 & !0xfff).or_default().push(0xa000 | (place.0 & 0xfff) as u16);
        }
        let mut table = Blob { start: self.next_rva(), bytes: Vec::new() };
        for (page, mut entries) in pages {
            entries.resize(entries.len().next_multiple_of(2), 0);
            table.u32(page);
            table.u32(8 + 2 * entries.len() as u32);
            entries.into_iter().for_each(|entry| table.u16(entry));
        }
        let flags = SectionFlags(CONSTANTS.0 & !SectionFlags::NOT_PAGED | SectionFlags::DISCARDABLE);
        self.section(".reloc", flags, &table.bytes);
        self.directory(Directory::BaseRelocation, table.start, table.bytes.len() as u32)
    }
}

/// The entry of the lookup table for one import; a name goes to `strings`.
fn thunk(strings: &mut Blob, symbol: &ImportedSymbol) -> u64 {
    match symbol {
        ImportedSymbol::Ordinal(ordinal) => 1 << 63 | u64::from(*ordinal),
        ImportedSymbol::Name { name, hint } => {
            let at = strings.end();
            strings.u16(*hint);
            strings.string(name);
            u64::from(at)
        }
    }
}
