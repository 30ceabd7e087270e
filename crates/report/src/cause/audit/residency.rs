//! What is not in memory when it is needed.

use nt_types::Irql;

use super::{InSection, Usage};
use crate::cause::evidence::{Access, ObjectKind};
use crate::code::Level;
use crate::finding::Finding;
use crate::words::{Rule, Words};

const NO_FAULT_ABOVE_APC: Rule = Rule {
    text: "a page fault at or above `DISPATCH_LEVEL` cannot be serviced",
    source: "Managing Hardware Priorities",
};
pub(super) const INIT_IS_DISCARDED: Rule = Rule {
    text: "what is in `INIT` is discarded as soon as `DriverEntry`, or its last `Reinitialize` routine, returns",
    source: "MmLockPagableCodeSection macro",
};
const DPC_NONPAGED: Rule = Rule {
    text: "a DPC or timer routine runs at `DISPATCH_LEVEL` and is resident then",
    source: "MmLockPagableCodeSection macro",
};
const OBJECTS_NONPAGED: Rule = Rule {
    text: "timers, DPCs, events, mutexes, semaphores, spin locks and work items lie in nonpaged memory",
    source: "Force IRQL Checking",
};

const FEASIBLE: &str = "`nonpaged run --trim=on-raise` shows whether the path is feasible";

pub(super) fn pageable_code(section: &str, irql: Irql) -> Words {
    let title = format!("pageable code may be reached at `{irql}`");
    Words::finding(Finding::LatentFault, Level::Error, title, NO_FAULT_ABOVE_APC)
        .label(format!("enters section `{section}`"))
        .note(no_lock(section))
        .help("move it to a nonpaged section, or lock its section before the IRQL is raised")
        .help(FEASIBLE)
}

pub(super) fn pageable_data(target: &InSection, access: Access, routine: Option<&str>, irql: Irql) -> Words {
    let title = format!("pageable data may be {} at `{irql}`", access.participle());
    let by = routine.map_or(String::new(), |routine| format!(" by `{routine}`"));
    Words::finding(Finding::LatentFault, Level::Error, title, NO_FAULT_ABOVE_APC)
        .label(format!("{} of {target}{by}", access.noun()))
        .note(no_lock(&target.section))
        .help("move the data to a nonpaged section, or lock their section before the IRQL is raised")
        .help(FEASIBLE)
}

fn no_lock(section: &str) -> String {
    format!("no lock of `{section}` is taken on this path, or left to it by another routine")
}

pub(super) fn discarded(target: &InSection, usage: Usage) -> Words {
    let (what, label) = match usage {
        Usage::Called => ("code called", "calls"),
        Usage::Read => ("data read", "reads"),
        Usage::Written => ("data written", "writes"),
        Usage::Locked => ("section locked", "locks"),
        Usage::Named => ("routine named to the system", "names"),
    };
    let title = format!("discarded {what} after initialisation");
    let title = if usage == Usage::Named { format!("{what} that is discarded before it is called") } else { title };
    Words::finding(Finding::InitUseAfterDiscard, Level::Error, title, INIT_IS_DISCARDED)
        .label(format!("{label} {target}"))
        .help("move it to `PAGE`, or to a nonpaged section if it is used at `DISPATCH_LEVEL`")
}

pub(super) fn dpc_pageable(role: &str, section: &str) -> Words {
    let title = format!("{role} in pageable section `{section}`, which is never locked");
    Words::finding(Finding::DpcPageable, Level::Error, title, DPC_NONPAGED)
        .help("move it, and all it calls and touches, to nonpaged sections")
}

pub(super) fn object(object: ObjectKind, home: Option<&InSection>) -> Words {
    let finding = if object == ObjectKind::WorkItem { Finding::WorkItemPageable } else { Finding::ObjectPageable };
    let lies = match home {
        Some(home) if home.name.is_some() => format!("it is {home}"),
        Some(home) => format!("it lies at {home}"),
        None => "it lies in paged pool".to_owned(),
    };
    Words::finding(finding, Level::Error, format!("{object} in pageable memory"), OBJECTS_NONPAGED)
        .note(lies)
        .help("put it in the device extension, or in nonpaged pool")
}
