//! The guest's memory: frames, x64 page tables, translation cache, trimming, the paging file, snapshots.
//!
//! [`Memory`] is all of it, as data. An engine reaches it through [`engine::Mmu`]; the modelled kernel maps, pins, trims
//! and pages in; [`Memory::fork`] makes a second machine that shares every page until one of them writes it.
//!
//! One address space serves the whole machine. Engines run at privilege level 0 with write protection on; user pages
//! carry the user bit for whoever reads the tables.
//!
//! The memory owns the state machine of [`section_paging`], since no page of an image may leave unless that machine calls
//! it eligible: [`Memory::paging`] and [`Memory::paging_mut`]. Load, discard and unload go through the memory, because
//! they change both.
//!
//! ```
//! use memory::{Backing, Memory, MemoryConfig, PageIn, Protection, Region, TrimReason};
//!
//! let mut memory = Memory::new(MemoryConfig::default())?;
//! let pool = memory.allocate(Region::PagedPool, 1, Backing::Pageable, Protection::READ_WRITE)?;
//! assert_eq!(memory.begin_page_in(pool)?, PageIn::Soft);
//! memory.write_u32(pool, 7).unwrap();
//!
//! assert_eq!(memory.trim(TrimReason::Command).pages, [pool]);
//! assert!(memory.read_u32(pool).is_err(), "the page is in the paging file now");
//!
//! let PageIn::Hard(ticket) = memory.begin_page_in(pool)? else { unreachable!() };
//! memory.finish(ticket)?;
//! assert_eq!(memory.read_u32(pool), Ok(7));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod bits;
mod clock;
mod config;
mod cow;
mod eligible;
mod error;
mod extents;
mod frames;
mod guest;
mod image;
mod inspect;
mod kernel_stacks;
mod mapping;
mod mmu;
mod page_in;
mod page_pool;
mod paging_file;
mod pfn;
mod physical;
mod pins;
mod pte;
mod ram;
mod read_ahead;
mod regions;
mod room;
mod slots;
mod state;
mod table_view;
mod tables;
mod tlb;
mod trim;
mod types;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::new_code_epoch;
use section_paging::Paging;

pub use config::{InitialResidency, MemoryConfig, PagingFileConfig, TrimPolicy};
pub use error::{
    ImageError, InPageCause, InPageError, MapError, NoFrames, NotPinned, SetupError, TableWriteError, WriteError,
};
pub use pte::pte_address;
pub use types::{
    Absence, Backing, Counters, Frame, InjectedFault, Injection, PageHistory, PageIn, PageState, Protection,
    RangePageIn, ReadTicket, Region, TrimReason, TrimReport,
};

use clock::Clock;
use cow::CowVec;
use eligible::Eligible;
use frames::Frames;
use page_in::Reads;
use paging_file::PagingFile;
use pfn::{Pfn, Use};
use regions::Regions;
use slots::Slots;
use tables::UPPER_TABLE;
use tlb::Tlb;
use watch::Watch;

/// Frames that a machine needs before it can map a page in each region.
pub const MIN_FRAMES: u32 = 32;
/// Frames that a machine can have: what the index in a frame's place can tell apart.
pub const MAX_FRAMES: u32 = 1 << 24;

/// All memory of one machine.
pub struct Memory {
    config: Arc<MemoryConfig>,
    frames: Frames,
    pfns: CowVec<Pfn>,
    /// Frame of the top page table.
    root: u32,
    tlb: Box<Tlb>,
    /// See [`engine::Mmu::code_epoch`].
    epoch: u64,
    regions: Regions,
    paging: Paging,
    eligible: Eligible,
    watch: Watch,
    /// Frames in transition by [`Pfn::order`], the longest there first.
    standby: BTreeMap<u64, u32>,
    slots: Slots,
    reads: Reads,
    pressure: TrimReport,
    /// Where the clock of eviction under pressure stands.
    hand: u32,
    step: u64,
    counters: Counters,
    clock: Clock,
    /// Pages on their way to or from the paging file.
    buffer: Vec<u8>,
}

impl Memory {
    /// An empty address space and an empty paging file.
    pub fn new(config: MemoryConfig) -> Result<Memory, SetupError> {
        if !(MIN_FRAMES..=MAX_FRAMES).contains(&config.frames) {
            return Err(SetupError::FrameBudget { frames: config.frames, min: MIN_FRAMES, max: MAX_FRAMES });
        }
        let file = PagingFile::create(&config.paging_file)?;
        let mut frames = Frames::new(config.frames);
        let mut pfns = CowVec::default();
        let root = frames.allocate().unwrap_or_default();
        frames.write(root).fill(0);
        *pfns.get_mut(root) = Pfn { used: Use::Table, page: UPPER_TABLE, ..Pfn::default() };
        Ok(Memory {
            frames,
            pfns,
            root,
            tlb: Tlb::new(),
            epoch: new_code_epoch(),
            regions: Regions::new(),
            paging: Paging::new(section_paging::Config {
                paging: config.paging_enabled,
                count_limit: config.lock_limit,
                ..Default::default()
            }),
            eligible: Eligible::default(),
            watch: Watch::default(),
            standby: BTreeMap::new(),
            slots: Slots::new(file, config.paging_file_pages),
            reads: Reads::default(),
            pressure: TrimReport::default(),
            hand: (config.seed % u64::from(config.frames)) as u32,
            step: 0,
            counters: Counters::default(),
            clock: Clock::default(),
            buffer: Vec::new(),
            config: Arc::new(config),
        })
    }

    /// A second machine in the same state. Pages are shared until one of the two writes them.
    pub fn fork(&mut self) -> Memory {
        let frames = self.frames.fork();
        // What this machine could write is shared now.
        self.tlb.flush();
        Memory {
            config: Arc::clone(&self.config),
            frames,
            pfns: self.pfns.fork(),
            root: self.root,
            tlb: Tlb::new(),
            epoch: new_code_epoch(),
            regions: self.regions.clone(),
            paging: self.paging.clone(),
            eligible: self.eligible.clone(),
            watch: self.watch.clone(),
            standby: self.standby.clone(),
            slots: self.slots.fork(),
            reads: self.reads.clone(),
            pressure: self.pressure.clone(),
            hand: self.hand,
            step: self.step,
            counters: self.counters,
            clock: self.clock.clone(),
            buffer: Vec::new(),
        }
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &MemoryConfig {
        &self.config
    }

    /// Sets the step that histories record from now on.
    pub fn set_step(&mut self, step: u64) {
        self.step = step;
    }

    /// Physical address of the top page table.
    pub fn cr3(&self) -> u64 {
        Frame(self.root).physical()
    }

    /// Locks, counts, handles and overrides of the loaded images.
    pub fn paging(&self) -> &Paging {
        &self.paging
    }

    /// The same, to be changed. Which pages may leave is found out again afterwards; nothing else needs to be called,
    /// except [`Memory::settle`] where [`TrimPolicy::AtOnce`] matters.
    pub fn paging_mut(&mut self) -> &mut Paging {
        self.eligible.images_changed();
        self.eligibility_changed();
        &mut self.paging
    }

    fn pfn(&self, frame: u32) -> Pfn {
        self.pfns.get(frame).copied().unwrap_or_default()
    }
}
