//! What the documentation says about routines that drivers import: what they do to IRQL, which parameter is a callback of
//! what kind, which one an object or a section.

mod lists;
mod roles;
mod table;

pub(crate) use lists::is_apc_or_below;
pub(crate) use roles::Role;
pub(crate) use table::FRAMEWORK;

/// Number of a parameter, from 1 as the documentation counts.
pub(crate) type Parameter = u8;

/// An imported routine of which something is known.
#[derive(Debug)]
pub(crate) struct Routine {
    pub(crate) name: &'static str,
    pub(crate) does: &'static [Does],
}

/// Something that a routine does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Does {
    /// Raises IRQL.
    Raise(Level),
    /// Takes a spin lock where IRQL is raised already.
    AcquireRaised,
    /// Sets IRQL to the value of a parameter, lower than before.
    LowerTo(Parameter),
    /// Sets IRQL to what was saved in the structure a parameter points to, or in the object itself.
    LowerToSaved(Parameter),
    /// Returns the level before it raised.
    ReturnsOld,
    /// Stores the level before it raised where a parameter points to.
    StoresOld(Parameter),
    /// Returns the current level.
    ReturnsIrql,
    /// A parameter is a callback.
    Registers(Parameter, Role),
    /// A parameter points to a structure with a callback so many bytes from its start.
    RegistersIn(Parameter, i32, Role),
    /// As `RegistersIn`, unless the structure has TRUE so many bytes from its start: then the routine runs at PASSIVE_LEVEL.
    RegistersUnless(Parameter, i32, Role, i32),
    /// A parameter points to a `FLT_REGISTRATION`.
    RegistersFilter(Parameter),
    /// A parameter is an object that must not be pageable.
    Object(Parameter, Kind),
    /// Reads what a parameter points to.
    Reads(Parameter),
    /// Writes what a parameter points to.
    Writes(Parameter),
    /// Returns at DISPATCH_LEVEL where a parameter is TRUE.
    WaitsNext(Parameter),
    /// Locks the section with the address in its parameter and returns the handle.
    LockAddress,
    /// Locks the section whose handle is its parameter.
    LockHandle,
    /// Unlocks the section whose handle is its parameter.
    Unlock,
    /// MmPageEntireDriver.
    PageDriver,
    /// MmResetDriverPaging.
    ResetDriver,
    /// Connects an interrupt.
    Connect,
    /// Disconnects an interrupt.
    Disconnect,
    /// Acquires a mutex or something like it.
    Enter,
    /// Releases one.
    Leave,
    /// Returns pool of the type in a parameter.
    Allocates(Parameter),
    /// Returns pool as the flags in a parameter say.
    AllocatesByFlags(Parameter),
    /// Creates a device object and stores its address where a parameter points to.
    CreatesDevice(Parameter),
    /// A parameter is handed to the callback, as its parameter of this number.
    Context(Parameter, Parameter),
    /// Does not return.
    NeverReturns,
}

/// What IRQL becomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Level {
    /// This level.
    To(u8),
    /// The value of a parameter.
    Of(Parameter),
    /// The level of an interrupt.
    Device,
}

/// Kinds of objects that must lie in nonpaged memory (R22).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "the names are those of the documentation")]
pub enum Kind {
    Timer,
    Dpc,
    Event,
    Mutex,
    FastMutex,
    Semaphore,
    SpinLock,
    Resource,
    WorkItem,
    Apc,
}

impl Routine {
    pub(crate) fn never_returns(&self) -> bool {
        self.does.contains(&Does::NeverReturns)
    }
}

/// What is known of the routine of this name.
pub(crate) fn find(name: &str) -> Option<&'static Routine> {
    table::ROUTINES.binary_search_by_key(&name, |routine| routine.name).ok().map(|index| &table::ROUTINES[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_no_name_twice() {
        for pair in table::ROUTINES.windows(2) {
            assert!(pair[0].name < pair[1].name, "{} before {}", pair[0].name, pair[1].name);
        }
    }

    #[test]
    fn routines_of_the_framework_are_known() {
        assert!(FRAMEWORK.iter().all(|(_, name)| find(name).is_some()));
        assert!(FRAMEWORK.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn the_rule_list_is_that_of_the_documentation() {
        assert!(is_apc_or_below("MmLockPagableDataSection") && is_apc_or_below("MmAllocatePagesForMdlEx"));
        assert!(!is_apc_or_below("KeSetEvent"));
    }
}
