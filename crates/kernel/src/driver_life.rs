//! The life of a loaded driver: DriverEntry, Reinitialize, discard of INIT, Unload.

use driver_image::pageability;
use memory::PageState;
use nt_types::layout::{driver_extension, driver_object, unicode_string};
use nt_types::{NtStatus, PAGE_SIZE, Va};
use section_paging::{Event, ImageId, PageRun, UnloadStep};

use crate::call::{Next, Outcome, Then, Trap};
use crate::driver::LoadError;
use crate::event::EventKind;
use crate::export_driver::{Role, initialize_library, library_initialized, library_unloaded, release_library};
use crate::finding::FindingKind;
use crate::machine::Machine;
use crate::request::{Answer, RequestId};
use crate::routine::Routine;
use crate::wait::{Wait, WaitOn};

/// Continuations of driver life.
#[derive(Clone, Hash, Debug)]
pub enum DriverThen {
    /// Call DriverEntry, after what the libraries need that this driver imports from.
    Initialize { id: RequestId, base: Va },
    /// DllInitialize of a library that the driver at `base` imports from returned.
    LibraryInitialized { id: RequestId, base: Va, routine: Va, registry_path: Va },
    /// DriverEntry returned.
    Initialized { id: RequestId, base: Va },
    /// Call the next queued Reinitialize routine of this driver, if there is one.
    Reinitialize { id: RequestId, base: Va },
    /// Call Unload.
    Unload { id: RequestId, base: Va },
    /// Unmap the image, once nobody is inside.
    Unmap(Leaving),
    /// DllUnload of the library that leaves now returned.
    LibraryUnloaded(Leaving),
}

/// A driver that leaves, and the libraries that leave with it.
#[derive(Clone, Hash, Debug)]
pub struct Leaving {
    id: RequestId,
    status: NtStatus,
    /// The image that leaves now.
    pub(crate) image: Va,
    /// Pages leaked so far.
    leaked_pages: u64,
    /// Libraries that have lost an importer.
    pub(crate) released: Vec<Va>,
}

impl Leaving {
    pub(crate) fn new(id: RequestId, image: Va, status: NtStatus) -> Leaving {
        Leaving { id, status, image, leaked_pages: 0, released: Vec::new() }
    }

    /// The same with another image to leave now.
    pub(crate) fn next(&self, image: Va) -> Leaving {
        Leaving { image, ..self.clone() }
    }
}

impl DriverThen {
    pub(crate) fn run(self, m: &mut Machine, value: u64) -> Outcome {
        match self {
            DriverThen::Initialize { id, base } => initialize(m, id, base),
            DriverThen::LibraryInitialized { id, base, routine, registry_path } => {
                library_initialized(m, (id, base), (routine, registry_path), NtStatus(value as u32))
            }
            DriverThen::Initialized { id, base } => initialized(m, id, base, NtStatus(value as u32)),
            DriverThen::Reinitialize { id, base } => reinitialize(m, id, base),
            DriverThen::Unload { id, base } => unload(m, id, base),
            DriverThen::Unmap(leaving) => unmap(m, leaving),
            DriverThen::LibraryUnloaded(leaving) => library_unloaded(m, leaving, NtStatus(value as u32)),
        }
    }
}

/// A registered Reinitialize routine (ddi: IoRegisterDriverReinitialization).
#[derive(Clone, Copy, Hash, Debug)]
pub(crate) struct Reinitialization {
    pub(crate) driver_object: Va,
    pub(crate) routine: Va,
    pub(crate) context: u64,
    /// How often it has been called for this driver, this call included.
    pub(crate) count: u32,
}

/// `DRVO_*` has no documented names for these; the object type and the default stack size are what WDM headers give.
const IO_TYPE_DRIVER: u16 = 4;

impl Machine {
    /// Calls DriverEntry, then queued Reinitialize routines, then discards INIT; a failing driver is unmapped (R57).
    pub fn initialize_driver(&mut self, base: Va) -> Result<RequestId, LoadError> {
        self.new_driver_object(base).ok_or(LoadError::NoPool)?;
        self.modules.driver_mut(base).into_iter().for_each(|driver| driver.role = Role::Driver);
        let routine = self.modules.driver_at(base).map_or(Va::NULL, |driver| driver.entry);
        let begin = |id| Then::Driver(DriverThen::Initialize { id, base });
        self.submit("DriverEntry", "driver load", routine, begin).map_err(|_| LoadError::NoPool)
    }

    /// Calls Unload, if the driver has one, and unmaps the image.
    pub fn unload_driver(&mut self, base: Va) -> Result<RequestId, LoadError> {
        let begin = |id| Then::Driver(DriverThen::Unload { id, base });
        self.submit("unload", "driver unload", Va::NULL, begin).map_err(|_| LoadError::NoPool)
    }

    fn new_driver_object(&mut self, base: Va) -> Option<()> {
        let driver = self.modules.driver_at(base)?.clone();
        let name = driver.name.rsplit_once('.').map_or(driver.name.as_str(), |(stem, _)| stem).to_owned();
        let object = self.kernel_object(driver_object::SIZEOF + 0x100, *b"Driv")?;
        let extension = object + driver_object::SIZEOF;
        let driver_name = self.kernel_string(&format!("\\Driver\\{name}"))?;
        let service_name = self.kernel_string(&name)?;
        let invalid = self.io.invalid_device_request(&self.kernel_images);
        let mut bytes = vec![0; driver_object::SIZEOF as usize];
        let mut put = |field: nt_types::layout::Field, value: &[u8]| {
            bytes[field.offset as usize..field.offset as usize + value.len()].copy_from_slice(value);
        };
        put(driver_object::TYPE, &IO_TYPE_DRIVER.to_le_bytes());
        put(driver_object::SIZE, &(driver_object::SIZEOF as u16).to_le_bytes());
        put(driver_object::DRIVER_START, &base.0.to_le_bytes());
        put(driver_object::DRIVER_SIZE, &(driver.size as u32).to_le_bytes());
        put(driver_object::DRIVER_EXTENSION, &extension.0.to_le_bytes());
        put(driver_object::DRIVER_NAME, &driver_name);
        put(driver_object::DRIVER_INIT, &driver.entry.0.to_le_bytes());
        for major in 0..28 {
            put(driver_object::MAJOR_FUNCTION.element(major, 8), &invalid.0.to_le_bytes());
        }
        self.memory.poke(object, &bytes).ok()?;
        self.write_u64(driver_extension::DRIVER_OBJECT.at(extension), object.0).ok()?;
        self.write_bytes(driver_extension::SERVICE_KEY_NAME.at(extension), &service_name).ok()?;
        self.modules.driver_mut(base)?.driver_object = object;
        Some(())
    }

    /// The path of a driver's key in the registry, which exists from now on: a counted string.
    pub(crate) fn registry_path(&mut self, file: &str) -> Va {
        let path = format!("\\Registry\\Machine\\System\\CurrentControlSet\\Services\\{}", stem(file));
        self.make_service_key(&path, file);
        let string = self.kernel_string(&path).unwrap_or_default();
        let Some(counted) = self.kernel_object(unicode_string::SIZEOF, *b"Path") else { return Va::NULL };
        // It is nonpaged and new, so that it can be written.
        let _ = self.memory.poke(counted, &string);
        counted
    }

    /// Frees what [`Machine::registry_path`] made.
    pub(crate) fn free_registry_path(&mut self, path: Va) -> Result<(), Trap> {
        let buffer = self.read_va(unicode_string::BUFFER.at(path))?;
        self.pool_free(buffer);
        self.pool_free(path);
        Ok(())
    }

    /// A counted Unicode string in nonpaged memory: the bytes of its UNICODE_STRING.
    pub(crate) fn kernel_string(&mut self, text: &str) -> Option<[u8; unicode_string::SIZEOF as usize]> {
        let units: Vec<u8> = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        let buffer = self.kernel_object(units.len() as u64, *b"Name")?;
        self.memory.poke(buffer, &units).ok()?;
        let length = (units.len() - 2) as u16;
        let mut bytes = [0; unicode_string::SIZEOF as usize];
        bytes[..2].copy_from_slice(&length.to_le_bytes());
        bytes[2..4].copy_from_slice(&(length + 2).to_le_bytes());
        bytes[8..].copy_from_slice(&buffer.0.to_le_bytes());
        Some(bytes)
    }

    /// Frees what is discarded when initialisation ends (D9, D10) and poisons what shares a kept page (D11).
    fn discard_init(&mut self, base: Va) {
        let Some(driver) = self.modules.driver_at(base).cloned() else { return };
        self.modules.set_doomed(base, Vec::new());
        let (headers, sections) = (driver.image.headers(), driver.image.sections());
        let set = pageability::discard_set(headers, sections, self.options.discard);
        let run = |range: &std::ops::Range<u32>| {
            PageRun::new(base.page() + u64::from(range.start), u64::from(range.end - range.start))
        };
        let runs: Vec<PageRun> = set.pages.ranges().iter().map(run).collect();
        let indices: Vec<u16> = set.sections.iter().map(|index| *index as u16).collect();
        for finding in self.memory.discard(driver.id, &indices, &runs) {
            self.find(FindingKind::Paging(finding), base);
        }
        let pages = runs.iter().map(|run| run.count).sum();
        if !indices.is_empty() {
            self.record_at(base, EventKind::Discarded { image: driver.name.clone(), pages });
        }
        self.keep_shared(base, &driver.image, &indices);
    }

    /// Discarded bytes whose page was kept: they are overwritten, and whoever touches them is seen (D11, K12).
    fn keep_shared(&mut self, base: Va, image: &driver_image::Image, discarded: &[u16]) {
        for index in discarded {
            let Some(section) = image.sections().get(usize::from(*index)) else { continue };
            let (start, end) = (base.0 + u64::from(section.rva.0), base.0 + section.end());
            let mut at = start;
            while at < end {
                let next = ((at | (PAGE_SIZE - 1)) + 1).min(end);
                if !matches!(self.memory.page_state(Va(at)), PageState::Absent(_)) {
                    self.keep_piece(Va(at)..Va(next));
                }
                at = next;
            }
        }
    }

    fn keep_piece(&mut self, bytes: std::ops::Range<Va>) {
        // A page that is out refuses; what comes back later is seen all the same.
        let poison = vec![0xCC; (bytes.end - bytes.start) as usize];
        let poisoned = self.options.poison && self.memory.poke(bytes.start, &poison).is_ok();
        // Where code is poison, the breakpoint tells.
        self.memory.watch_kept(bytes, !poisoned);
    }

    /// A call inside the memory manager on this image has ended: an unload may be waiting for it.
    pub(crate) fn image_calls_changed(&mut self, image: ImageId) {
        let event = Event::Calls(image);
        if self.memory.paging().is_over(event) {
            self.wake_all_on(&WaitOn::Paging(event));
        }
    }
}

fn initialize(m: &mut Machine, id: RequestId, base: Va) -> Outcome {
    if let Some(outcome) = initialize_library(m, id, base) {
        return outcome;
    }
    let Some(driver) = m.modules.driver_at(base).cloned() else { return Ok(Next::VOID) };
    m.check_image_integrity(base)?;
    let registry_path = m.registry_path(&driver.name);
    m.record_at(driver.entry, EventKind::Entered { what: Routine::DriverEntry, routine: driver.entry });
    let arguments = [driver.driver_object.0, registry_path.0];
    Ok(Next::call(driver.entry, &arguments, Then::Driver(DriverThen::Initialized { id, base })))
}

fn stem(file: &str) -> &str {
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}

fn initialized(m: &mut Machine, id: RequestId, base: Va, status: NtStatus) -> Outcome {
    let entry = m.modules.driver_at(base).map_or(Va::NULL, |driver| driver.entry);
    let left = EventKind::Left { what: Routine::DriverEntry, routine: entry, result: u64::from(status.0) };
    m.record_at(entry, left);
    if status.is_success() {
        let object = m.modules.driver_at(base).map_or(Va::NULL, |driver| driver.driver_object);
        m.devices_initialized(object)?;
        m.answer(id, Answer { status, information: base.0, output: Vec::new() });
        return reinitialize(m, id, base);
    }
    unmap(m, Leaving::new(id, base, status))
}

/// The queue runs after DriverEntry returned success; a routine may queue itself again (R59).
fn reinitialize(m: &mut Machine, id: RequestId, base: Va) -> Outcome {
    let object = m.modules.driver_at(base).map_or(Va::NULL, |driver| driver.driver_object);
    let Some(next) = m.io.take_reinitialization(object) else {
        m.executed.initialized(base, m.steps);
        m.discard_init(base);
        return Ok(Next::VOID);
    };
    let arguments = [object.0, next.context, u64::from(next.count)];
    Ok(Next::call(next.routine, &arguments, Then::Driver(DriverThen::Reinitialize { id, base })))
}

fn unload(m: &mut Machine, id: RequestId, base: Va) -> Outcome {
    let object = m.modules.driver_at(base).map_or(Va::NULL, |driver| driver.driver_object);
    let routine = m.read_va(driver_object::DRIVER_UNLOAD.at(object))?;
    let leaving = Leaving::new(id, base, NtStatus::SUCCESS);
    if routine.is_null() {
        // Without an Unload routine a driver stays loaded until shutdown; the harness ends its run here.
        return unmap(m, leaving);
    }
    m.record_at(routine, EventKind::Entered { what: Routine::Unload, routine });
    Ok(Next::call(routine, &[object.0], Then::Driver(DriverThen::Unmap(leaving))))
}

/// Unload waits for calls already inside the memory manager (D29); held locks leak and are reported (D28). An image that
/// others import from stays until the last of them goes.
fn unmap(m: &mut Machine, mut leaving: Leaving) -> Outcome {
    let base = leaving.image;
    let Some(driver) = m.modules.driver_at(base).cloned() else { return Ok(Next::VOID) };
    if m.modules.importers(base) > 0 {
        m.modules.driver_mut(base).into_iter().for_each(|driver| driver.role = Role::Left);
        return left(m, leaving);
    }
    m.check_pool_freed(base)?;
    let Some(answer) = m.memory.unload(driver.id) else { return Ok(Next::VOID) };
    for finding in answer.findings {
        m.found_at_unload(base, finding);
    }
    let UnloadStep::Unloaded { leaked } = answer.step else {
        let wait = Wait::on(WaitOn::Paging(Event::Calls(driver.id)));
        return Ok(Next::Wait(wait, Then::Driver(DriverThen::Unmap(leaving))));
    };
    m.check_left_behind(base, driver.size);
    let leaked_pages = leaked.page_count();
    m.record_at(base, EventKind::Unloaded { image: driver.name, base, leaked_pages });
    m.modules.remove(base);
    leaving.leaked_pages += leaked_pages;
    leaving.released.extend(driver.imports_from);
    left(m, leaving)
}

/// What a driver that left does not need any more leaves after it.
fn left(m: &mut Machine, mut leaving: Leaving) -> Outcome {
    release_library(m, &mut leaving).unwrap_or_else(|| {
        let (status, information) = (leaving.status, leaving.leaked_pages);
        m.answer(leaving.id, Answer { status, information, output: Vec::new() });
        Ok(Next::VOID)
    })
}
