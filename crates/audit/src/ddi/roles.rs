//! What the system calls a routine of a driver as, and at which IRQL.

use nt_types::constants::{
    IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE, IRP_MJ_PNP, IRP_MJ_SHUTDOWN, IRP_MJ_SYSTEM_CONTROL,
};

use crate::flow::Range;

/// What the system calls a routine as. The documented levels are those of the reference page of each kind of routine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Role {
    DriverEntry,
    Reinitialize,
    AddDevice,
    Unload,
    /// For one major function; `None` where it is not known which.
    Dispatch(Option<u8>),
    StartIo,
    Cancel,
    Completion,
    /// Of a DPC that nobody but the driver's own requests queues, or of a timer.
    Dpc,
    ThreadedDpc,
    IoTimer,
    Isr,
    SynchCritSection,
    KernelApc,
    NormalApc,
    WorkItem,
    Thread,
    /// A notification at PASSIVE_LEVEL.
    Notification,
    /// A notification at or below APC_LEVEL.
    ApcNotification,
    /// At DISPATCH_LEVEL, called in the driver's own request: DMA and controller routines, DPC watchers.
    AtDispatch,
    /// At or below DISPATCH_LEVEL.
    UpToDispatch,
    /// For a callback object: at or below DISPATCH_LEVEL. That of `\Callback\PowerState` comes before a power request of the
    /// system, so that drivers can lock code ("ExRegisterCallback").
    SystemCallback,
    /// Of an object of KMDF that inherits the execution level of its device: if that is not passive, up to DISPATCH_LEVEL.
    OfParent,
    /// Of a timer of KMDF whose attributes name no execution level: a DPC, unless an object of the driver is passive.
    TimerOfParent,
    /// For power requests to a device with DO_POWER_PAGABLE, which come at PASSIVE_LEVEL.
    PagablePower,
    /// At PASSIVE_LEVEL, in the call that names it.
    Passive,
    BugCheck,
    Ipi,
    /// HwStorStartIo: DISPATCH_LEVEL or above.
    HwStartIo,
    /// A timer of a Storport or ScsiPort miniport: DISPATCH_LEVEL or above.
    HwTimer,
    /// HwStorFreeAdapterResources, which virtual miniports have and physical ones have not.
    FreeResources,
    /// A filter or termination handler, an export, or a routine whose address is taken for an unknown purpose.
    Unknown,
}

impl Role {
    /// Is it a dispatch routine for requests of one of these major functions only?
    pub(crate) fn is_dispatch_of(self, majors: &[u32]) -> bool {
        matches!(self, Role::Dispatch(Some(major)) if majors.contains(&u32::from(major)))
    }

    /// The levels at which the system calls it.
    pub(crate) const fn irql(self) -> Range {
        use Role::*;
        match self {
            DriverEntry | Reinitialize | AddDevice | Unload | WorkItem | Thread | Notification | Passive
            | PagablePower => Range::new(0, 0),
            KernelApc => Range::new(1, 1),
            NormalApc | ApcNotification => Range::new(0, 1),
            Dispatch(major) => dispatch(major),
            StartIo | Cancel | Dpc | IoTimer | AtDispatch => Range::new(2, 2),
            Completion | UpToDispatch | OfParent | TimerOfParent | SystemCallback | ThreadedDpc => Range::new(0, 2),
            HwStartIo | HwTimer => Range::new(2, 15),
            Isr | SynchCritSection => Range::new(3, 15),
            Ipi => Range::new(14, 14),
            BugCheck => Range::new(15, 15),
            Unknown | FreeResources => Range::ANY,
        }
    }

    /// Does it run because the driver arranged for it before? Then a lock that it needs was taken elsewhere, if at all.
    pub(crate) const fn is_asynchronous(self) -> bool {
        use Role::*;
        !matches!(self, DriverEntry | Reinitialize | AddDevice | Unload | Dispatch(_) | PagablePower | Passive)
    }

    /// Does it run while the driver is being initialised, before anything is discarded?
    pub(crate) const fn is_initialisation(self) -> bool {
        matches!(self, Role::DriverEntry | Role::Reinitialize)
    }

    /// The documented name of the kind of routine.
    pub(crate) const fn name(self) -> &'static str {
        use Role::*;
        match self {
            DriverEntry => "`DriverEntry` routine",
            Reinitialize => "`Reinitialize` routine",
            AddDevice => "`AddDevice` routine",
            Unload => "`Unload` routine",
            Dispatch(_) | PagablePower => "dispatch routine",
            StartIo => "`StartIo` routine",
            Cancel => "`Cancel` routine",
            Completion => "completion routine",
            Dpc | ThreadedDpc => "DPC routine",
            IoTimer => "`IoTimer` routine",
            Isr => "interrupt service routine",
            SynchCritSection => "`SynchCritSection` routine",
            KernelApc | NormalApc => "APC routine",
            WorkItem => "work item routine",
            Thread => "thread routine",
            Notification | ApcNotification | UpToDispatch | OfParent | TimerOfParent | SystemCallback | Passive
            | AtDispatch => "callback routine",
            BugCheck => "bug check callback routine",
            Ipi => "`IpiBroadcast` routine",
            HwStartIo => "`HwStorStartIo` routine",
            HwTimer => "timer routine of a miniport",
            FreeResources => "`HwStorFreeAdapterResources` routine",
            Unknown => "routine",
        }
    }
}

/// "Dispatch Routines and IRQLs" of the documentation: which requests come at PASSIVE_LEVEL only.
const fn dispatch(major: Option<u8>) -> Range {
    let Some(major) = major else { return Range::new(0, 2) };
    match major as u32 {
        IRP_MJ_CREATE | IRP_MJ_CLOSE | IRP_MJ_SHUTDOWN | IRP_MJ_CLEANUP | IRP_MJ_SYSTEM_CONTROL | IRP_MJ_PNP => {
            Range::new(0, 0)
        }
        _ => Range::new(0, 2),
    }
}
