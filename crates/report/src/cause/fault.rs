//! Accesses that memory refused.

use nt_types::{Irql, Va};

use super::evidence::{Access, Home, Tag};
use crate::code::{Code, Level};
use crate::diagnostic::Diagnostic;
use crate::event::{Event, EventKind, RaisedBy};
use crate::finding::Finding;
use crate::plural;
use crate::span::Span;
use crate::words::{Rule, Words, bug_check};

/// Rule of every fault at raised IRQL (R160).
const NO_FAULT_ABOVE_APC: Rule = Rule {
    text: "a page fault at or above `DISPATCH_LEVEL` cannot be serviced",
    source: "Managing Hardware Priorities",
};
/// R38.
pub(super) const INIT_IS_DISCARDED: Rule = Rule {
    text: "what is in `INIT` is discarded as soon as `DriverEntry`, or its last `Reinitialize` routine, returns",
    source: "MmLockPagableCodeSection macro",
};
/// R190.
const STACK_MAY_LEAVE: Rule = Rule {
    text: "the stack of a thread can be swapped out while it waits in user mode, and a page fault at or above \
           `DISPATCH_LEVEL` cannot be serviced",
    source: "KeWaitForSingleObject function",
};
const PROTECTED: Rule = Rule {
    text: "the attributes of the section do not allow this access",
    source: "/SECTION (Specify Section Attributes)",
};
const NOT_ALLOWED: Rule = Rule {
    text: "pool and stacks hold data, which is not executed",
    source: "Bug Check 0xFC ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY",
};
const INVALID: Rule =
    Rule { text: "it accesses memory that is not valid", source: "Bug Check 0x50 PAGE_FAULT_IN_NONPAGED_AREA" };
const WITHIN_BLOCK: Rule = Rule {
    text: "only the bytes asked for belong to the caller",
    source: "Bug Check 0xD6 DRIVER_PAGE_FAULT_BEYOND_END_OF_ALLOCATION",
};
const NOT_AFTER_FREE: Rule = Rule { text: "pool is not used after it was freed", source: "ExFreePoolWithTag function" };
const UNLOADED: Rule = Rule {
    text: "a driver cancels or awaits all that may call it before it is unloaded",
    source: "Bug Check 0xCE DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS",
};

/// An access that memory refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The address.
    pub address: Va,
    /// How it was accessed.
    pub access: Access,
    /// IRQL of the access.
    pub irql: Irql,
    /// What lies there.
    pub target: Target,
    /// The export that made the access, where it was not the driver's own instruction.
    pub service: Option<String>,
    /// The page was resident by luck: a finding, not a bug check (D47).
    pub latent: bool,
}

/// What lies at an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// A section of a loaded image.
    Section {
        /// The image.
        image: String,
        /// The section.
        section: String,
        /// State of the page.
        state: PageState,
        /// Pageable by MmPageEntireDriver alone, not by its name.
        overridden: bool,
    },
    /// Headers of a loaded image, or a gap between its sections.
    Image {
        /// The image.
        image: String,
        /// State of the page.
        state: PageState,
    },
    /// Memory that is there, but does not allow this access.
    Protected(Home),
    /// Paged pool.
    PagedPool(Tag),
    /// Pool that was freed.
    FreedPool(Tag),
    /// The pages before or after a block of special pool.
    BesidePool {
        /// The tag of the block.
        tag: Tag,
        /// Its bytes.
        bytes: u64,
        /// Where the address lies in the block: not below `bytes`, or negative.
        offset: i64,
    },
    /// The stack of a thread that waits in user mode.
    Stack {
        /// The thread.
        thread: String,
    },
    /// An image that was unloaded.
    Unloaded {
        /// The image.
        image: String,
    },
    /// The handle of a locked section (K07).
    Handle {
        /// The section it stands for.
        section: String,
    },
    /// The guard page below a kernel stack.
    StackGuard,
    /// A user-mode address.
    User,
    /// The first 64 KiB.
    Null,
    /// An address whose upper bits no processor accepts.
    NonCanonical,
    /// Nothing at all.
    Unmapped,
}

/// State of a page of an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageState {
    /// In memory: its protection refused, or the fault is latent.
    Resident,
    /// In the paging file only.
    PagedOut,
    /// Discarded when initialisation ended.
    Discarded,
}

impl Fault {
    pub(super) fn words(&self, report: &Diagnostic) -> Words {
        let code = if self.latent { Code::Finding(Finding::LatentFault) } else { bug_check(report.bug_check) };
        let words = Words::driver(code, Level::Error, self.title(), self.rule()).label(self.label());
        self.remedies(report).into_iter().fold(words, Words::help)
    }

    fn title(&self) -> String {
        let how = self.access.participle();
        let by = self.service.as_ref().map(|service| format!(" by `{service}`")).unwrap_or_default();
        format!("{} {how}{by}{}{}", self.subject(), self.level(), self.state())
    }

    /// The level is part of the title only where it is part of the fault.
    fn level(&self) -> String {
        if self.irql.may_fault() { String::new() } else { format!(" at `{}`", self.irql) }
    }

    fn subject(&self) -> String {
        let what = if self.access == Access::Execute { "code" } else { "data" };
        match &self.target {
            Target::Section { section, state: PageState::Discarded, .. } => {
                format!("discarded {what} of section `{section}`")
            }
            Target::Section { section, state: PageState::Resident, .. } if !self.latent => match self.access {
                Access::Write => format!("read-only {what} of section `{section}`"),
                _ => format!("{what} of non-executable section `{section}`"),
            },
            Target::Section { overridden: true, .. } => format!("{what} of a driver paged as a whole"),
            Target::Section { .. } => format!("pageable {what}"),
            Target::Image { image, .. } => format!("headers of `{image}`"),
            Target::Protected(home) => home.to_string(),
            Target::PagedPool(tag) => format!("paged pool with tag `{tag}`"),
            Target::FreedPool(tag) => format!("freed pool with tag `{tag}`"),
            Target::BesidePool { tag, offset, .. } => {
                format!("memory {} a pool block with tag `{tag}`", if *offset < 0 { "before" } else { "after" })
            }
            Target::Stack { thread } => format!("{what} on the stack of waiting thread `{thread}`"),
            Target::Unloaded { image } => format!("{what} of `{image}`, which was unloaded,"),
            Target::Handle { section } => format!("the handle of section `{section}`"),
            Target::StackGuard => "the guard page below a kernel stack".to_owned(),
            Target::User => format!("user-mode address `{}`", self.address),
            Target::Null => format!("null pointer `{}`", self.address),
            Target::NonCanonical => format!("non-canonical address `{}`", self.address),
            Target::Unmapped => format!("unmapped address `{}`", self.address),
        }
    }

    fn state(&self) -> &'static str {
        match &self.target {
            _ if self.latent => " while it may leave memory",
            Target::Section { state: PageState::PagedOut, .. }
            | Target::Image { state: PageState::PagedOut, .. }
            | Target::PagedPool(_)
            | Target::Stack { .. } => " while paged out",
            Target::Section { state: PageState::Discarded, .. } => " after initialisation ended",
            Target::Handle { .. } => " as if it were a pointer",
            _ => "",
        }
    }

    fn label(&self) -> String {
        let access = match &self.service {
            Some(service) => format!("{} by `{service}` at `{}`", self.access.noun(), self.address),
            None if self.access == Access::Execute => self.access.noun().to_owned(),
            None => format!("{} at `{}`", self.access.noun(), self.address),
        };
        let outcome = match &self.target {
            _ if self.latent => "needs a page that may leave memory at any time",
            Target::Section { state, .. } | Target::Image { state, .. } => match state {
                PageState::Resident => "is not allowed by the protection of its page",
                PageState::PagedOut => "needs a page that is not resident",
                PageState::Discarded => "needs a page that was freed for good",
            },
            Target::PagedPool(_) | Target::Stack { .. } => "needs a page that is not resident",
            Target::BesidePool { .. } => return format!("{access} {}", self.beside()),
            Target::Protected(_) => "is not allowed by the protection of its page",
            _ => "needs a page that does not exist",
        };
        format!("{access} {outcome}")
    }

    /// How far from a block of special pool.
    fn beside(&self) -> String {
        match self.target {
            Target::BesidePool { bytes, offset, .. } if offset < 0 => {
                format!("is {} before the first of {bytes}", plural(offset.unsigned_abs(), "byte"))
            }
            Target::BesidePool { bytes, offset, .. } => {
                format!("is {} after the last of {bytes}", plural(offset.unsigned_abs() - bytes + 1, "byte"))
            }
            _ => String::new(),
        }
    }

    fn rule(&self) -> Rule {
        match &self.target {
            Target::Section { state: PageState::Discarded, .. } => INIT_IS_DISCARDED,
            Target::Section { state: PageState::Resident, .. } if !self.latent => PROTECTED,
            Target::Protected(_) => NOT_ALLOWED,
            Target::Stack { .. } => STACK_MAY_LEAVE,
            Target::Unloaded { .. } => UNLOADED,
            Target::BesidePool { .. } => WITHIN_BLOCK,
            Target::FreedPool(_) => NOT_AFTER_FREE,
            Target::Section { .. } | Target::Image { .. } | Target::PagedPool(_) if !self.irql.may_fault() => {
                NO_FAULT_ABOVE_APC
            }
            _ => INVALID,
        }
    }

    fn remedies(&self, report: &Diagnostic) -> Vec<String> {
        match &self.target {
            Target::Section { section, state: PageState::Discarded, .. } => {
                vec![format!("move what is used after initialisation from `{section}` to a section that is kept")]
            }
            Target::Section { state: PageState::Resident, .. } if !self.latent => Vec::new(),
            Target::Section { overridden: true, .. } | Target::Image { state: PageState::PagedOut, .. } => {
                vec!["call `MmResetDriverPaging` before anything that runs at raised IRQL is enabled".to_owned()]
            }
            Target::Section { .. } if self.service.is_some() => {
                vec!["move what the kernel touches to a nonpaged section, or to the device extension".to_owned()]
            }
            Target::Section { section, .. } => {
                let executed = self.access == Access::Execute;
                vec![keep_locked(section, executed, report), move_out(executed, report)]
            }
            Target::PagedPool(_) => vec!["allocate it with `POOL_FLAG_NON_PAGED`".to_owned()],
            Target::Stack { .. } => vec![
                "wait with `KernelMode` as `WaitMode`: then the stack stays in memory".to_owned(),
                "or keep what others use during the wait in nonpaged pool, or in the device extension".to_owned(),
            ],
            Target::FreedPool(_) => vec!["free the block after its last use, and clear the pointer with it".to_owned()],
            Target::BesidePool { .. } => {
                vec!["compare the index with the number of bytes that were asked for".to_owned()]
            }
            Target::Unloaded { .. } => {
                vec!["cancel timers and wait for DPCs, work items and threads in the `Unload` routine".to_owned()]
            }
            Target::Handle { .. } => vec!["pass the handle to the paging routines only".to_owned()],
            Target::User => {
                vec!["probe user buffers, and access them inside `__try` in the context of their process".to_owned()]
            }
            _ => Vec::new(),
        }
    }
}

/// The remedy that keeps the section where it is.
fn keep_locked(section: &str, code: bool, report: &Diagnostic) -> String {
    let unlock = report.because.iter().find_map(|event| last_unlock(section, event));
    let routine = if code { "MmLockPagableCodeSection" } else { "MmLockPagableDataSection" };
    match unlock {
        Some((place, Some(outstanding))) => format!(
            "keep `{section}` locked until the last outstanding request completes; \
             the unlock{place} ran while {outstanding} still queued"
        ),
        Some((place, None)) => {
            format!(
                "keep `{section}` locked as long as it may be used at raised IRQL; the unlock{place} was the last one"
            )
        }
        None => format!("lock `{section}` with `{routine}` before the IRQL is raised, and unlock it afterwards"),
    }
}

/// Where the unlock to zero was, and what was pending then: "1 read was".
fn last_unlock(section: &str, event: &Event) -> Option<(String, Option<String>)> {
    let EventKind::SectionUnlocked { section: unlocked, to: 0, outstanding, .. } = &event.kind else { return None };
    let place = event.at.as_ref().map(|span| format!(" in {}", span.place.function())).unwrap_or_default();
    let verb = if outstanding.count == 1 { "was" } else { "were" };
    (unlocked == section).then(|| (place, (outstanding.count > 0).then(|| format!("{outstanding} {verb}"))))
}

/// The remedy that moves the code or data.
fn move_out(code: bool, report: &Diagnostic) -> String {
    let Some(span) = report.at.as_ref().filter(|_| code) else {
        return format!("or move the {} to a nonpaged section", if code { "code" } else { "data" });
    };
    let function = span.place.function();
    let raise = report.because.iter().find(|event| matches!(event.kind, EventKind::IrqlRaised { .. }));
    let raised_by_itself = |at: &Span| at.place.function() == function;
    match raise {
        Some(Event {
            kind: EventKind::IrqlRaised { by: RaisedBy::Dpc | RaisedBy::Interrupt, .. },
            at: Some(at),
            ..
        }) if raised_by_itself(at) => {
            format!("or move {function} to a nonpaged section: the system calls it at raised IRQL")
        }
        Some(Event { at: Some(at), .. }) if raised_by_itself(at) => {
            format!("or move the part of {function} that runs at raised IRQL to a nonpaged section")
        }
        Some(Event { kind: EventKind::IrqlRaised { by: RaisedBy::SpinLockHeld, .. }, .. }) => {
            format!("or move {function} to a nonpaged section if all its callers hold a spin lock")
        }
        _ => format!("or move {function} to a nonpaged section if it is called at raised IRQL"),
    }
}
