//! What the documentation says about routines that drivers import: what they do to IRQL, which parameter is a callback of
//! what kind, which one an object or a section.

mod lists;
mod roles;
mod table;

pub(crate) use lists::{is_apc_or_below, shows_below_dispatch};
pub(crate) use roles::Role;
pub(crate) use table::{DMA_OPERATIONS, FRAMEWORK, INTERRUPT_SYNC};

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
    /// The routine does this if a parameter is this number.
    When(Parameter, u64, &'static Does),
    /// Raises IRQL.
    Raise(Level),
    /// Raises IRQL, or does not: what it returns says which.
    RaiseIf(Level),
    /// Raises IRQL, unless a parameter has bit 0 set.
    RaiseUnless(Level, Parameter),
    /// Acquires the lock of an interrupt that the framework handles: raises IRQL to that of the device, unless the
    /// interrupt is handled at PASSIVE_LEVEL, which is possible from version 1.11.
    RaiseInterrupt,
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
    /// A parameter is a callback for the requests with the major function in another parameter.
    RegistersForMajor(Parameter, Parameter),
    /// A parameter is a callback that holds the lock of an interrupt, as [`Does::RaiseInterrupt`] acquires it.
    RegistersSynchronized(Parameter),
    /// A parameter points to a structure with callbacks so many bytes from its start.
    RegistersIn(Parameter, &'static [(i32, Role)]),
    /// As `RegistersIn`, unless something else holds: then the callbacks have the role that the first such says.
    RegistersUnless(Parameter, &'static [(i32, Role)], &'static [Unless]),
    /// A parameter points to a structure that has, so many bytes from its start, the address of one with callbacks.
    RegistersAt(Parameter, i32, &'static [(i32, Role)]),
    /// A parameter is NULL, or points to the attributes of an object of KMDF whose execution level others inherit.
    ExecutionLevel(Parent, Parameter),
    /// A parameter points to structures that lead to others with callbacks.
    RegistersLayout(Parameter, Layout),
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
    /// Waits for as long as it takes: IRQL is below DISPATCH_LEVEL.
    Waits,
    /// The same where a parameter is NULL.
    WaitsUnlessTimed(Parameter),
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
    /// Deletes the device object in its parameter.
    DeletesDevice,
    /// Creates an interrupt sync object of a port class driver and stores its address where a parameter points to.
    CreatesInterruptSync(Parameter),
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
    /// That of the `STOR_SPINLOCK` in a parameter.
    OfLock(Parameter),
}

/// What makes the role of callbacks another one: what lies in the structure that a parameter points to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Unless {
    pub(crate) parameter: Parameter,
    /// In bytes from the start of the structure.
    pub(crate) offset: i32,
    pub(crate) holds: Holds,
    /// The other role.
    pub(crate) role: Role,
}

/// `WDF_OBJECT_ATTRIBUTES.ExecutionLevel`, in bytes from its start, `WdfExecutionLevelInheritFromParent` and
/// `WdfExecutionLevelPassive`.
pub(crate) const EXECUTION_LEVEL: i32 = 0x18;
pub(crate) const INHERITED: u8 = 1;
pub(crate) const PASSIVE: u8 = 2;

/// An object of KMDF whose execution level others inherit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Parent {
    Driver,
    /// Its parent is the driver.
    Device,
    Queue,
}

/// What lies in a structure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Holds {
    /// A byte, or the lowest byte of a larger number.
    Number(u8),
    /// The address of code.
    Code,
}

/// Structures that lead to others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Layout {
    /// `FLT_REGISTRATION`.
    Filter,
    /// `KSDEVICE_DESCRIPTOR`.
    KsDevice,
    /// `KSFILTER_DESCRIPTOR`.
    KsFilter,
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
    let find =
        |table: &'static [Routine]| table.binary_search_by_key(&name, |routine| routine.name).ok().map(|at| &table[at]);
    table::TABLES.into_iter().find_map(find)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_and_have_no_name_twice() {
        for pair in table::TABLES.into_iter().flat_map(|table| table.windows(2)) {
            assert!(pair[0].name < pair[1].name, "{} before {}", pair[0].name, pair[1].name);
        }
    }

    #[test]
    fn routines_of_the_framework_are_known() {
        assert!(FRAMEWORK.iter().all(|(_, name)| find(name).is_some()));
        assert!(FRAMEWORK.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(INTERRUPT_SYNC.iter().chain(DMA_OPERATIONS).all(|(_, name)| find(name).is_some()));
    }

    #[test]
    fn the_rule_list_is_that_of_the_documentation() {
        assert!(is_apc_or_below("MmLockPagableDataSection") && is_apc_or_below("MmAllocatePagesForMdlEx"));
        assert!(!is_apc_or_below("KeSetEvent"));
        assert!(shows_below_dispatch("MmLockPagableDataSection") && shows_below_dispatch("ZwClose"));
        assert!(!shows_below_dispatch("KeSetEvent"));
    }
}
