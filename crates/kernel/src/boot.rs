//! The start of a machine: kernel images, processors, the pages that Windows keeps at fixed addresses.

use devices::Bus;
use engine::Cpu;
use memory::{Backing, Memory, MemoryConfig, Protection, Region};
use nt_types::layout::{kpcr, kuser_shared_data};
use nt_types::{PAGE_SIZE, Va};
use section_paging::ImageKind;

use crate::call::{Then, Trap};
use crate::driver::load_image;
use crate::event::EventLog;
use crate::exports::{cm, rtl};
use crate::machine::{Machine, Processor};
use crate::modules::Modules;
use crate::ntos_image::KernelImages;
use crate::options::Options;
use crate::request::Requests;
use crate::schedule::NewThread;
use crate::stop::Limit;
use crate::thread::ThreadId;
use crate::time::Deadlines;

/// Where Windows maps KUSER_SHARED_DATA for kernel mode.
pub const KUSER_SHARED_DATA: Va = Va(0xFFFF_F780_0000_0000);
/// Where the KPRCB lies in the KPCR, and the processor number in it (x64: `gs:[184h]`).
const PRCB_OFFSET: u64 = 0x180;
const PRCB_NUMBER: u64 = 4;
/// Pages reserved for the kernel, and for the generated images that it comes with, which share them.
const KERNEL_IMAGE_PAGES: u64 = 256;
const COMPANION_PAGES: u64 = 128;

/// Where `DisablePagingExecutive` (R60) and `TrackLockedPages` stand.
pub(crate) const MEMORY_MANAGEMENT: &str =
    "\\Registry\\Machine\\SYSTEM\\CurrentControlSet\\Control\\Session Manager\\Memory Management";

/// Where `GlobalFlag` stands, and what of it keeps kernel stacks in memory (docs: debugger/disable-paging-of-kernel-stacks).
const SESSION_MANAGER: &str = "\\Registry\\Machine\\SYSTEM\\CurrentControlSet\\Control\\Session Manager";
const FLG_DISABLE_PAGE_KERNEL_STACKS: u32 = 0x80000;

/// Why a machine could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// Memory or its paging file.
    #[error(transparent)]
    Setup(#[from] memory::SetupError),
    /// An address range.
    #[error(transparent)]
    Map(#[from] memory::MapError),
    /// The pages of an image.
    #[error(transparent)]
    Place(#[from] memory::ImageError),
    /// The generated kernel images.
    #[error("the generated kernel image is not valid: {0}")]
    KernelImage(#[from] driver_image::ImageError),
    /// The frame budget is too small for the kernel's own pages.
    #[error("the frame budget does not hold the kernel's own pages")]
    Frames,
}

impl Machine {
    /// A machine that has booted and loaded no driver. The registry may keep drivers in memory: `DisablePagingExecutive` is
    /// read here and never again (R60), and so is the global flag that keeps kernel stacks there (D52).
    pub fn boot(options: Options, config: MemoryConfig, bus: Bus) -> Result<Machine, BootError> {
        let stay = options.registry.dword(MEMORY_MANAGEMENT, "DisablePagingExecutive").is_some_and(|value| value != 0);
        let paging_enabled = config.paging_enabled && !stay;
        let flags = options.registry.dword(SESSION_MANAGER, "GlobalFlag").unwrap_or_default();
        let stacks_stay = flags & FLG_DISABLE_PAGE_KERNEL_STACKS != 0;
        let mut memory = Memory::new(MemoryConfig { paging_enabled, ..config })?;
        let mut base = || memory.reserve(Region::Image, KERNEL_IMAGE_PAGES);
        let (ntoskrnl, hal) = (base()?, base()?);
        let kernel_images = KernelImages::generate([ntoskrnl, hal, hal + COMPANION_PAGES * PAGE_SIZE])?;
        for image in &kernel_images.images {
            let bytes = image.image.map_at(image.base)?;
            load_image(&mut memory, image.module.name(), ImageKind::Kernel, &image.image, image.base, &bytes)?;
        }
        let mut machine = Machine {
            memory,
            bus,
            events: EventLog::default(),
            processors: Vec::new(),
            active: 0,
            threads: crate::thread::Threads::default(),
            steps: 0,
            skipped_ns: 0,
            deadlines: Deadlines::default(),
            waits: 0,
            modules: Modules::default(),
            kernel_images: kernel_images.into(),
            requests: Requests::default(),
            stop: None,
            attention: false,
            choices: Default::default(),
            coverage: Default::default(),
            executed: Default::default(),
            moment: false,
            slice_end: None,
            round: None,
            cm: cm::State::new(options.registry.clone()),
            ex: Default::default(),
            io: Default::default(),
            ke: Default::default(),
            mm: Default::default(),
            ob: Default::default(),
            po: Default::default(),
            ps: Default::default(),
            rtl: rtl::State::new(options.seed),
            findings_seen: Default::default(),
            counters: Default::default(),
            looks_at_time: Default::default(),
            options,
        };
        machine.mm.stacks_stay = stacks_stay;
        machine.map_shared_data()?;
        machine.make_system_objects().map_err(|_| BootError::Frames)?;
        machine.start_processors().map_err(|_| BootError::Frames)?;
        Ok(machine)
    }

    fn map_shared_data(&mut self) -> Result<(), BootError> {
        self.memory.map(KUSER_SHARED_DATA, 1, Backing::Resident, Protection::READ_WRITE)?;
        let version = [(kuser_shared_data::NT_MAJOR_VERSION, 10), (kuser_shared_data::NT_MINOR_VERSION, 0)];
        for (field, value) in version {
            self.write_u32(field.at(KUSER_SHARED_DATA), value).map_err(|_| BootError::Frames)?;
        }
        self.show_times();
        Ok(())
    }

    fn start_processors(&mut self) -> Result<(), Trap> {
        for number in 0..self.options.processors.clamp(1, 64) {
            let name = format!("idle {number}");
            let idle = NewThread { name, routine: Va::NULL, then: Then::Return, idle: true };
            let id = self.create_thread(idle)?;
            let pcr = self.new_pcr(number, id)?;
            let mut cpu = (*self.threads[id.0 as usize].context).clone();
            cpu.gs_base = pcr.0;
            cpu.cr3 = self.memory.cr3();
            self.processors.push(Processor { cpu, current: id, idle: id, pcr, quantum: 0 });
        }
        if let Some(variable) = self.kernel_images.variable("KeNumberProcessors") {
            self.memory.poke(variable, &[self.processors.len() as u8])?;
        }
        Ok(())
    }

    fn new_pcr(&mut self, number: usize, idle: ThreadId) -> Result<Va, Trap> {
        let pcr = self.memory.allocate(Region::SystemMapping, 4, Backing::Resident, Protection::READ_WRITE);
        let Ok(pcr) = pcr else { return Err(self.limit_stop(Limit::Resource("frames for a processor"))) };
        let block = pcr + PRCB_OFFSET;
        self.write_u64(kpcr::SELF.at(pcr), pcr.0)?;
        self.write_u64(kpcr::CURRENT_PRCB.at(pcr), block.0)?;
        self.write_u8(block + PRCB_NUMBER, number as u8)?;
        let object = self.threads[idle.0 as usize].object;
        self.set_current_thread(pcr, object);
        Ok(pcr)
    }

    /// What `gs:[188h]` reads.
    pub(crate) fn set_current_thread(&mut self, pcr: Va, object: Va) {
        if self.write_u64(kpcr::CURRENT_THREAD.at(pcr), object.0).is_err() {
            self.internal("a processor control region is not mapped");
        }
    }

    /// A zeroed processor, for threads that are created before there is one.
    pub(crate) fn fresh_cpu(&self) -> Cpu {
        self.processors.first().map_or_else(Cpu::default, |first| first.cpu.clone())
    }
}
