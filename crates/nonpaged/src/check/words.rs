//! From the audit's evidence to that of reports.

use audit::{FindingKind, Kind, StepKind, Target, Use};
use nt_types::Irql;
use report::cause::{
    Access, Audit, Cause, InSection, IrqlMisuse, LeftBy, Name, ObjectKind, ObjectMisuse, Paging, Usage,
};
use report::{Assumption, WaypointKind};

use crate::locate::Locator;

/// The cause of a report.
pub(super) fn cause(kind: &FindingKind, locator: &Locator) -> Cause {
    let there = |target: Target| in_section(target, locator);
    match kind.clone() {
        FindingKind::PageableCode { target, irql } => {
            Cause::Audit(Audit::PageableCode { section: target.section, irql: Irql::new(irql) })
        }
        FindingKind::PageableData { target, write, routine, irql } => {
            let access = if write { Access::Write } else { Access::Read };
            Cause::Audit(Audit::PageableData { target: there(target), access, routine, irql: Irql::new(irql) })
        }
        FindingKind::RaiseInPageable { section, routine, to } => {
            Cause::Irql(IrqlMisuse::RaiseInPageable { section, routine, to: Irql::new(to) })
        }
        FindingKind::WaitTrue { routine, section } => Cause::Irql(IrqlMisuse::WaitTrue { routine, section }),
        FindingKind::AboveApc { routine, irql } => Cause::Paging(Paging::AboveApc { routine, irql: Irql::new(irql) }),
        FindingKind::Isr { section } => Cause::Object(ObjectMisuse::Isr { section, locked: false }),
        FindingKind::Dpc { role, section } => Cause::Audit(Audit::DpcPageable { role: role.to_owned(), section }),
        FindingKind::Completion { section } => Cause::Object(ObjectMisuse::Completion { section }),
        FindingKind::Object { object, target, .. } => {
            Cause::Audit(Audit::Object { object: object_kind(object), home: target.map(there) })
        }
        FindingKind::WaitOnStack { blocks } => Cause::Object(ObjectMisuse::WaitOnStack { blocks }),
        FindingKind::WorkItem { target } => {
            Cause::Audit(Audit::Object { object: ObjectKind::WorkItem, home: target.map(there) })
        }
        FindingKind::Discarded { target, how } => {
            Cause::Audit(Audit::Discarded { target: there(target), usage: usage(how) })
        }
        FindingKind::LockNonpageable { section, thunk_to } => {
            Cause::Paging(Paging::LockNonpageable { section, thunk_to })
        }
        FindingKind::LockOfInit { section } => Cause::Audit(Audit::LockOfInit { section }),
        FindingKind::NullHandle { routine } => Cause::Audit(Audit::NullHandle { routine }),
        FindingKind::NoModule { routine, pool, locks } => Cause::Audit(Audit::NoModule { routine, pool, locks }),
        FindingKind::NoSection { routine } => Cause::Audit(Audit::NoSection { routine }),
        FindingKind::UnloadWithLocks { section, left_by } => {
            Cause::Audit(Audit::LockKept { section, left_by: self::left_by(left_by) })
        }
        FindingKind::UnlockWithoutLock => Cause::Audit(Audit::UnlockWithoutLock),
        FindingKind::TooManyUnlocks { section } => Cause::Audit(Audit::TooManyUnlocks { section }),
        FindingKind::RepeatLock { section, places } => Cause::Audit(Audit::RepeatLock { section, places }),
        FindingKind::HandleDereferenced => Cause::Audit(Audit::HandleDereferenced),
        FindingKind::PageEntireWithInterrupt => Cause::Audit(Audit::PageEntireWithInterrupt),
        FindingKind::ConnectBeforeReset => Cause::Audit(Audit::ConnectBeforeReset),
        FindingKind::PagedCodeFails { irql, .. } => Cause::Audit(Audit::PagedCodeFails { irql: Irql::new(irql) }),
        FindingKind::PagedCodeInNonpaged => Cause::Audit(Audit::PagedCodeInNonpaged),
        FindingKind::PagedCodeMissing => Cause::Audit(Audit::PagedCodeMissing),
        FindingKind::PageEntireRace => Cause::Audit(Audit::PageEntireRace),
    }
}

/// A place, with what begins there: symbols name the variables of a driver, and no table of a `switch`.
fn in_section(Target { section, rva, jump }: Target, locator: &Locator) -> InSection {
    let symbol = locator.place(rva).symbol.filter(|symbol| symbol.offset == 0);
    let named = symbol.map(|symbol| Name::Symbol(symbol.name));
    let table = || jump.map(|jump| Name::JumpTable { jump: Box::new(locator.place(jump)) });
    InSection { section, rva, name: named.or_else(table) }
}

fn left_by(left_by: audit::LeftBy) -> LeftBy {
    match left_by {
        audit::LeftBy::Entry => LeftBy::Entry,
        audit::LeftBy::Unload => LeftBy::Unload,
        audit::LeftBy::ErrorPath => LeftBy::ErrorPath,
        audit::LeftBy::OnePath => LeftBy::OnePath,
        audit::LeftBy::Count => LeftBy::Count,
        audit::LeftBy::UnloadPath => LeftBy::UnloadPath,
        audit::LeftBy::Device => LeftBy::Device,
        audit::LeftBy::Nobody => LeftBy::Nobody,
        audit::LeftBy::Handle => LeftBy::Handle,
    }
}

/// What a finding takes for granted.
pub(super) fn assumption(assumption: &audit::Assumption) -> Assumption {
    match assumption {
        audit::Assumption::NotLocked { section } => Assumption::NotLocked { section: section.clone() },
        audit::Assumption::CalledLater => Assumption::CalledLater,
        audit::Assumption::AtDispatch => Assumption::AtDispatch,
    }
}

/// A step on the way.
pub(super) fn waypoint(kind: &StepKind) -> WaypointKind {
    match *kind {
        StepKind::Entered { role, irql: (lowest, highest) } => {
            WaypointKind::Entered { role: role.to_owned(), lowest: Irql::new(lowest), highest: Irql::new(highest) }
        }
        StepKind::Named => WaypointKind::Named,
        StepKind::Raised { from, to } => WaypointKind::Raised { from: Irql::new(from), to: Irql::new(to) },
        StepKind::Called => WaypointKind::Called,
        StepKind::Locked => WaypointKind::Locked,
        StepKind::Unlocked => WaypointKind::Unlocked,
    }
}

fn usage(how: Use) -> Usage {
    match how {
        Use::Called => Usage::Called,
        Use::Read => Usage::Read,
        Use::Written => Usage::Written,
        Use::Locked => Usage::Locked,
        Use::Named => Usage::Named,
    }
}

fn object_kind(kind: Kind) -> ObjectKind {
    match kind {
        Kind::Timer => ObjectKind::Timer,
        Kind::Dpc => ObjectKind::Dpc,
        Kind::Event => ObjectKind::Event,
        Kind::Mutex => ObjectKind::Mutex,
        Kind::FastMutex => ObjectKind::FastMutex,
        Kind::Semaphore => ObjectKind::Semaphore,
        Kind::SpinLock => ObjectKind::SpinLock,
        Kind::Resource => ObjectKind::Resource,
        Kind::WorkItem => ObjectKind::WorkItem,
        Kind::Apc => ObjectKind::Apc,
    }
}
