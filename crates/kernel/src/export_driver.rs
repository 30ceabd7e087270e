//! Export drivers: who imports from whom, and what is called when the first importer comes and the last one goes
//! (docs: kernel/creating-export-drivers).

use driver_image::{ExportTarget, Exports, ImportedSymbol};
use nt_types::{NtStatus, Va};

use crate::call::{Next, Outcome, Then};
use crate::driver_life::{DriverThen, Leaving};
use crate::event::EventKind;
use crate::machine::Machine;
use crate::modules::{LoadedDriver, Modules};
use crate::request::RequestId;
use crate::routine::Routine;

/// Why a driver is in memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// For the sake of its exports: nobody has started it as a driver.
    Library {
        /// Its DllInitialize was called, if it has one.
        initialized: bool,
    },
    /// It was started as a driver.
    Driver,
    /// It was unloaded as a driver, but others still import from it.
    Left,
}

/// What a loaded driver exports.
pub(crate) struct LoadedExports {
    base: Va,
    exports: Exports,
}

impl LoadedExports {
    /// What a name or an ordinal stands for.
    pub(crate) fn address(&self, symbol: &ImportedSymbol) -> Option<Va> {
        match symbol {
            ImportedSymbol::Name { name, .. } => self.routine(name),
            ImportedSymbol::Ordinal(ordinal) => self.target(self.exports.by_ordinal(*ordinal)?),
        }
    }

    fn routine(&self, name: &str) -> Option<Va> {
        self.target(self.exports.by_name(name)?)
    }

    fn target(&self, target: &ExportTarget) -> Option<Va> {
        match target {
            ExportTarget::Rva(rva) => Some(self.base + *rva),
            ExportTarget::Forwarder(_) => None,
        }
    }
}

impl LoadedDriver {
    /// What it exports; nothing where its export directory is damaged.
    pub(crate) fn exports(&self) -> LoadedExports {
        LoadedExports { base: self.base, exports: self.image.exports().unwrap_or_default() }
    }
}

const INITIALIZE: &str = "DllInitialize";
const UNLOAD: &str = "DllUnload";

impl Modules {
    /// The loaded driver with this file name.
    pub fn driver_named(&self, name: &str) -> Option<&LoadedDriver> {
        self.drivers().find(|driver| driver.name.eq_ignore_ascii_case(name))
    }

    /// How many loaded drivers import from this one.
    pub fn importers(&self, base: Va) -> usize {
        self.drivers().filter(|driver| driver.imports_from.contains(&base)).count()
    }

    /// A library that somebody needs and that has not been initialised. Libraries are loaded before those that import
    /// from them, so the oldest needs none of the others.
    fn waiting_library(&self) -> Option<&LoadedDriver> {
        let waiting = |driver: &&LoadedDriver| {
            driver.role == Role::Library { initialized: false } && self.importers(driver.base) > 0
        };
        self.drivers().filter(waiting).min_by_key(|driver| driver.id)
    }
}

/// Calls DllInitialize of the next library that waits for it; `None` where none does.
pub(crate) fn initialize_library(m: &mut Machine, id: RequestId, base: Va) -> Option<Outcome> {
    let library = m.modules.waiting_library()?.clone();
    let initialized = Role::Library { initialized: true };
    let Some(routine) = library.exports().routine(INITIALIZE) else {
        m.modules.driver_mut(library.base)?.role = initialized;
        return initialize_library(m, id, base);
    };
    let registry_path = m.registry_path(&library.name);
    m.modules.driver_mut(library.base)?.role = initialized;
    m.record_at(routine, EventKind::Entered { what: Routine::DllInitialize, routine });
    let then = Then::Driver(DriverThen::LibraryInitialized { id, base, routine, registry_path });
    Some(Ok(Next::call(routine, &[registry_path.0], then)))
}

/// DllInitialize returned: the path is freed, and a library that failed leaves its importers without what they need.
pub(crate) fn library_initialized(
    m: &mut Machine,
    (id, base): (RequestId, Va),
    (routine, registry_path): (Va, Va),
    status: NtStatus,
) -> Outcome {
    let result = u64::from(status.0);
    m.record_at(routine, EventKind::Left { what: Routine::DllInitialize, routine, result });
    m.free_registry_path(registry_path)?;
    if status.is_success() {
        return Ok(Next::Continue(Then::Driver(DriverThen::Initialize { id, base }), 0));
    }
    let library = m.modules.driver_at(routine).map(|library| library.base);
    if let Some(library) = library.and_then(|library| m.modules.driver_mut(library)) {
        library.role = Role::Left;
    }
    Ok(Next::Continue(Then::Driver(DriverThen::Unmap(Leaving::new(id, base, status))), 0))
}

/// A driver is gone: the libraries that nobody imports from any more go, too. `None` where there are none.
pub(crate) fn release_library(m: &mut Machine, leaving: &mut Leaving) -> Option<Outcome> {
    while let Some(base) = leaving.released.pop() {
        let Some(library) = m.modules.driver_at(base).filter(|_| m.modules.importers(base) == 0).cloned() else {
            continue;
        };
        let leaving = leaving.next(base);
        match library.role {
            Role::Left => return Some(Ok(Next::Continue(Then::Driver(DriverThen::Unmap(leaving)), 0))),
            Role::Library { .. } => {
                let Some(routine) = counted_unload(&library) else { continue };
                m.record_at(routine, EventKind::Entered { what: Routine::DllUnload, routine });
                return Some(Ok(Next::call(routine, &[], Then::Driver(DriverThen::LibraryUnloaded(leaving)))));
            }
            Role::Driver => {}
        }
    }
    None
}

/// DllUnload of a library. The system counts references only to one that has both routines; any other stays.
fn counted_unload(library: &LoadedDriver) -> Option<Va> {
    let exports = library.exports();
    exports.routine(INITIALIZE).and(exports.routine(UNLOAD))
}

/// DllUnload returned. What a failure would mean is not documented.
pub(crate) fn library_unloaded(m: &mut Machine, leaving: Leaving, status: NtStatus) -> Outcome {
    if !status.is_success() {
        return Err(m.refuse("DllUnload", format!("the status `{status}`")));
    }
    Ok(Next::Continue(Then::Driver(DriverThen::Unmap(leaving)), 0))
}
