//! Checker findings K01 to K28 (BEHAVIOUR.md section 10), as far as a run shows them: what an image alone shows is found
//! elsewhere. A finding never changes execution.

use nt_types::{BugCheck, Irql, Va};

use crate::exports::Export;
use crate::routine::{ObjectKind, Routine};
use crate::stop::Place;

/// A finding and where it was seen.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What.
    pub kind: FindingKind,
    /// Where.
    pub place: Place,
}

/// The kinds, each with its evidence.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each variant is the row of its K number in BEHAVIOUR.md section 10")]
pub enum FindingKind {
    Paging(section_paging::Finding),
    K01LockNonpageable { section: section_paging::SectionId, address: Va },
    K02MmIrql { routine: &'static str, irql: Irql },
    K07HandleDereferenced { handle: u64, access_address: Va },
    K08UnlockWithQueuedIrps { section: String, count: u32, majors: Vec<u8> },
    K09IsrPageable { routine: Va, section: String, locked: bool },
    K10DpcPageable { routine: Va, section: String, locked: bool, threaded: bool },
    K11ObjectPageable { object: Va, what: ObjectKind },
    K12InitUseAfterDiscard { address: Va, access: engine::Access },
    K13LatentFault { address: Va, access: engine::Access, irql: Irql, would_be: BugCheck },
    K14WaitTruePageable { routine: &'static str, section: String },
    K19PageEntireRace { base: Va, opener: usize },
    K20UnloadDuringCall { routine: &'static str, caller: Va, section: Option<section_paging::SectionId> },
    K21CompletionPageable { routine: Va, section: String },
    K22WorkItemPageable { item: Va },
    K23PagingPathPageable { routine: Va, major: u8 },
    K26RaiseInPageable { section: String, to: Irql },
    PoolLeak { address: Va, bytes: u64, tag: [u8; 4], site: Va },
    IrqlOutOfRange { export: &'static Export, irql: Irql },
    InterruptLeak { isr: Va, vector: u32 },
    IrqlNotRestored { what: Routine, routine: Va, before: Irql, after: Irql },
}

/// How serious a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// Worth knowing.
    Information,
    /// Probably not what was meant.
    Warning,
    /// A broken rule.
    Error,
}

impl FindingKind {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        use FindingKind as K;
        match self {
            K::Paging(finding) => PAGING_CODES.get(usize::from(finding.number())).copied().unwrap_or("K00"),
            K::K01LockNonpageable { .. } => "K01",
            K::K02MmIrql { .. } => "K02",
            K::K07HandleDereferenced { .. } => "K07",
            K::K08UnlockWithQueuedIrps { .. } => "K08",
            K::K09IsrPageable { .. } => "K09",
            K::K10DpcPageable { .. } => "K10",
            K::K11ObjectPageable { .. } => "K11",
            K::K12InitUseAfterDiscard { .. } => "K12",
            K::K13LatentFault { .. } => "K13",
            K::K14WaitTruePageable { .. } => "K14",
            K::K19PageEntireRace { .. } => "K19",
            K::K20UnloadDuringCall { .. } => "K20",
            K::K21CompletionPageable { .. } => "K21",
            K::K22WorkItemPageable { .. } => "K22",
            K::K23PagingPathPageable { .. } => "K23",
            K::K26RaiseInPageable { .. } => "K26",
            K::PoolLeak { .. } => "pool-leak",
            K::IrqlOutOfRange { .. } => "irql-limit",
            K::InterruptLeak { .. } => "interrupt-leak",
            K::IrqlNotRestored { .. } => "irql-not-restored",
        }
    }

    /// The severity of the table.
    pub fn severity(&self) -> Severity {
        use FindingKind as K;
        match self {
            K::Paging(finding) => paging_severity(finding),
            K::K08UnlockWithQueuedIrps { count: 1.., .. } => Severity::Information,
            K::K01LockNonpageable { .. } | K::K10DpcPageable { locked: true, .. } => Severity::Warning,
            // Windows stops for these only where Driver Verifier watches, and then they are bug checks.
            K::PoolLeak { .. } | K::IrqlOutOfRange { .. } | K::InterruptLeak { .. } | K::IrqlNotRestored { .. } => {
                Severity::Warning
            }
            _ => Severity::Error,
        }
    }
}

/// Codes of the findings that the paging state machine makes, by number.
const PAGING_CODES: [&str; 29] = [
    "K00", "K01", "K02", "K03", "K04", "K05", "K06", "K07", "K08", "K09", "K10", "K11", "K12", "K13", "K14", "K15",
    "K16", "K17", "K18", "K19", "K20", "K21", "K22", "K23", "K24", "K25", "K26", "K27", "K28",
];

fn paging_severity(finding: &section_paging::Finding) -> Severity {
    use section_paging::Finding as F;
    match finding {
        F::RepeatLockByAddress { .. } => Severity::Information,
        F::LockNonpageable { .. } | F::ForeignLock { .. } | F::ResetWithInterrupt { overridden: false, .. } => {
            Severity::Warning
        }
        _ => Severity::Error,
    }
}
