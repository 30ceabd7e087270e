//! The image as the audit reads it: bytes, sections, imports, pointers.

use std::collections::BTreeMap;

use driver_image::pageability::{DiscardMode, PageRanges, discard_set, load_map};
use driver_image::{Image, ImageError, SectionFlags};
use nt_types::{PAGE_SIZE, Rva};

use super::framework;
use crate::ddi::{self, Does, Routine};

/// Index of an import in [`Program::imports`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct ImportId(pub(crate) u16);

/// One imported function or datum.
#[derive(Clone, Debug)]
pub(crate) struct Import {
    pub(crate) name: String,
    /// What is known about the routine.
    pub(crate) routine: Option<&'static Routine>,
    /// It may be called at or below APC_LEVEL only.
    pub(crate) apc_or_below: bool,
    /// A call shows that IRQL is below DISPATCH_LEVEL.
    pub(crate) below_dispatch: bool,
}

/// What becomes of a byte of the image once the driver is initialised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    /// Stays, or lies in no section.
    Resident,
    /// In a section that is pageable by name.
    Pageable {
        /// Index of the section.
        section: usize,
        /// The page can really leave: it is not shared with something that stays.
        leaves: bool,
    },
    /// In a section that is discarded.
    Discarded {
        /// Index of the section.
        section: usize,
    },
}

impl Class {
    /// The section, where it is pageable or discarded.
    pub(crate) fn section(self) -> Option<usize> {
        match self {
            Class::Resident => None,
            Class::Pageable { section, .. } | Class::Discarded { section } => Some(section),
        }
    }
}

/// What becomes of a section.
#[derive(Clone, Copy)]
enum Paging {
    Stays,
    Pageable,
    Discarded,
}

fn paging(image: &Image) -> Vec<Paging> {
    let discarded = discard_set(image.headers(), image.sections(), DiscardMode::Documented).sections;
    let of = |(index, section): (usize, &driver_image::Section)| match section.is_pageable_by_name() {
        _ if discarded.contains(&index) => Paging::Discarded,
        true => Paging::Pageable,
        false => Paging::Stays,
    };
    image.sections().iter().enumerate().map(of).collect()
}

/// An image, prepared for reading at any offset. Addresses are offsets from the image base throughout.
pub(crate) struct Program<'a> {
    pub(crate) image: &'a Image,
    /// The image at its preferred base.
    pub(crate) bytes: Vec<u8>,
    base: u64,
    pub(crate) imports: Vec<Import>,
    slots: BTreeMap<u32, ImportId>,
    /// The pointer to the table of a framework, and the entries of the table by offset in bytes.
    framework: Option<(u32, BTreeMap<u64, ImportId>)>,
    /// Methods of interrupt sync objects, by offset, where the driver makes such.
    interrupt_sync: Vec<(u32, ImportId)>,
    /// What the tables of DMA adapters hold, by offset, where the driver has such.
    dma_operations: Vec<(u32, ImportId)>,
    /// Interrupts of the driver may be handled at PASSIVE_LEVEL by the framework.
    passive_interrupts: bool,
    pageable: PageRanges,
    /// By section: it is discarded, or pageable by its name.
    paging: Vec<Paging>,
    guard_dispatch: Vec<u32>,
    guard_check: Vec<u32>,
}

impl<'a> Program<'a> {
    pub(crate) fn new(image: &'a Image) -> Result<Program<'a>, ImageError> {
        let (headers, sections) = (image.headers(), image.sections());
        let config = image.load_config().unwrap_or_default();
        let dispatch = [config.guard_dispatch, config.guard_xfg_dispatch, config.guard_xfg_table_dispatch];
        let check = [config.guard_check, config.guard_xfg_check];
        let mut program = Program {
            image,
            bytes: image.map_at(headers.preferred_base)?,
            base: headers.preferred_base.0,
            imports: Vec::new(),
            slots: BTreeMap::new(),
            framework: None,
            interrupt_sync: Vec::new(),
            dma_operations: Vec::new(),
            passive_interrupts: false,
            pageable: load_map(headers, sections),
            paging: paging(image),
            guard_dispatch: dispatch.into_iter().flatten().map(|rva| rva.0).collect(),
            guard_check: check.into_iter().flatten().map(|rva| rva.0).collect(),
        };
        program.add_imports();
        program.add_framework();
        program.interrupt_sync = program.methods("PcNewInterruptSync", ddi::INTERRUPT_SYNC);
        program.dma_operations = program.methods("IoGetDmaAdapter", ddi::DMA_OPERATIONS);
        Ok(program)
    }

    /// Routines of a framework are like imports; only those of which something is known are worth a place.
    fn add_framework(&mut self) {
        let Some(framework) = framework::find(self) else { return };
        self.passive_interrupts = framework.passive_interrupts;
        let mut entries = BTreeMap::new();
        for &(index, name) in ddi::FRAMEWORK.iter().filter(|(index, _)| *index < framework.count) {
            let Some(id) = self.add_import(name.to_owned()) else { return };
            let offset = 8 * index;
            match framework.by_pointer {
                true => _ = entries.insert(u64::from(offset), id),
                false => _ = framework.table.checked_add(offset).map(|slot| self.slots.insert(slot, id)),
            }
        }
        self.framework = framework.by_pointer.then_some((framework.table, entries));
    }

    /// Methods of objects that an import makes are like imports, by their offsets.
    fn methods(&mut self, maker: &str, methods: &[(u32, &str)]) -> Vec<(u32, ImportId)> {
        let made = self.imports.iter().any(|import| import.name == maker);
        let methods = methods.iter().filter(|_| made);
        methods.filter_map(|&(offset, name)| Some((offset, self.add_import(name.to_owned())?))).collect()
    }

    pub(crate) fn has_dma_adapters(&self) -> bool {
        !self.dma_operations.is_empty()
    }

    /// The routine that lies so many bytes from the start of the table of a DMA adapter.
    pub(crate) fn dma_operation(&self, offset: u64) -> Option<ImportId> {
        self.dma_operations.iter().find(|(operation, _)| u64::from(*operation) == offset).map(|(_, id)| *id)
    }

    /// The method of an interrupt sync object that lies so many bytes from the start of its table.
    pub(crate) fn interrupt_sync(&self, offset: u32) -> Option<ImportId> {
        self.interrupt_sync.iter().find(|(method, _)| *method == offset).map(|(_, id)| *id)
    }

    /// The routine of a framework that lies so many bytes from where the pointer at a place of the image points.
    pub(crate) fn framework_entry(&self, pointer: u32, offset: u64) -> Option<ImportId> {
        let (table, entries) = self.framework.as_ref()?;
        entries.get(&offset).copied().filter(|_| *table == pointer)
    }

    /// Can the framework that the driver is for handle interrupts at PASSIVE_LEVEL?
    pub(crate) fn has_passive_interrupts(&self) -> bool {
        self.passive_interrupts
    }

    fn add_import(&mut self, name: String) -> Option<ImportId> {
        let id = ImportId(u16::try_from(self.imports.len()).ok()?);
        let (routine, apc_or_below) = (ddi::find(&name), ddi::is_apc_or_below(&name));
        let below_dispatch = ddi::shows_below_dispatch(&name);
        self.imports.push(Import { name, routine, apc_or_below, below_dispatch });
        Some(id)
    }

    fn add_imports(&mut self) {
        for module in self.image.imports() {
            for import in &module.imports {
                let Some(id) = self.add_import(import.symbol.to_string()) else { return };
                self.slots.insert(import.slot.0, id);
            }
        }
    }

    pub(crate) fn import(&self, id: ImportId) -> &Import {
        &self.imports[usize::from(id.0)]
    }

    /// Is a routine given the handle of a section, to lock it or unlock it?
    pub(crate) fn takes_handle(&self, id: ImportId) -> bool {
        let does = self.import(id).routine.map_or(&[][..], |routine| routine.does);
        does.iter().any(|does| matches!(does, Does::LockHandle | Does::Unlock))
    }

    /// Does the driver import a routine that locks sections or unlocks them?
    pub(crate) fn locks_sections(&self) -> bool {
        let does = |import: &Import| import.routine.map_or(&[][..], |routine| routine.does);
        let locks = |does: &Does| matches!(does, Does::LockAddress | Does::LockHandle | Does::Unlock);
        self.imports.iter().any(|import| does(import).iter().any(locks))
    }

    /// The import whose address this slot is to hold.
    pub(crate) fn import_at(&self, slot: u32) -> Option<ImportId> {
        self.slots.get(&slot).copied()
    }

    /// The import that a stub `jmp [import]` at this place leads to.
    pub(crate) fn thunk(&self, rva: u32) -> Option<ImportId> {
        let code = self.bytes.get(rva as usize..)?;
        let (offset, length) = match code {
            [0xff, 0x25, offset @ ..] => (offset, 6),
            [0x48, 0xff, 0x25, offset @ ..] => (offset, 7),
            _ => return None,
        };
        let offset = offset.first_chunk().copied().map(u32::from_le_bytes)?;
        self.import_at(rva.wrapping_add(length).wrapping_add(offset))
    }

    /// Does a call through this place go to the address in rax, checked by control-flow guard?
    pub(crate) fn is_guard_dispatch(&self, place: u32) -> bool {
        self.guard_dispatch.contains(&place)
    }

    /// Does a call through this place only check the address in rcx?
    pub(crate) fn is_guard_check(&self, place: u32) -> bool {
        self.guard_check.contains(&place)
    }

    pub(crate) fn u32(&self, rva: u32) -> Option<u32> {
        self.bytes.get(rva as usize..)?.first_chunk().copied().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&self, rva: u32) -> Option<u64> {
        self.bytes.get(rva as usize..)?.first_chunk().copied().map(u64::from_le_bytes)
    }

    /// The offset that an absolute address at the preferred base stands for.
    pub(crate) fn rva_of(&self, address: u64) -> Option<u32> {
        let rva = u32::try_from(address.checked_sub(self.base)?).ok()?;
        (rva != 0 && (rva as usize) < self.bytes.len()).then_some(rva)
    }

    /// The address that lies at `rva`, where the loader relocates one.
    pub(crate) fn pointer_at(&self, rva: u32) -> Option<u32> {
        self.image.relocations().binary_search(&Rva(rva)).ok()?;
        self.rva_of(self.u64(rva)?)
    }

    pub(crate) fn section_at(&self, rva: u32) -> Option<usize> {
        let sections = self.image.sections();
        let index = sections.partition_point(|section| section.rva.0 <= rva).checked_sub(1)?;
        sections[index].contains(Rva(rva)).then_some(index)
    }

    pub(crate) fn section_name(&self, index: usize) -> String {
        self.image.sections().get(index).map(driver_image::Section::name).unwrap_or_default()
    }

    pub(crate) fn is_executable(&self, rva: u32) -> bool {
        self.section_at(rva).is_some_and(|index| self.image.sections()[index].flags.has(SectionFlags::EXECUTE))
    }

    pub(crate) fn is_writable(&self, rva: u32) -> bool {
        self.section_at(rva).is_some_and(|index| self.image.sections()[index].flags.has(SectionFlags::WRITE))
    }

    /// What becomes of the byte at `rva`.
    pub(crate) fn class(&self, rva: u32) -> Class {
        let Some(section) = self.section_at(rva) else { return Class::Resident };
        match self.paging[section] {
            Paging::Stays => Class::Resident,
            Paging::Pageable => Class::Pageable { section, leaves: self.pageable.contains(rva / PAGE_SIZE as u32) },
            Paging::Discarded => Class::Discarded { section },
        }
    }
}
