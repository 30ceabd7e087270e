//! What the user chooses about a run.

use nt_types::Va;

use crate::choice::ChoicePoints;
use crate::deed::Bound;
use crate::registry::Registry;

/// Low resources simulation (docs: devtest/low-resources-simulation).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LowResources {
    /// Chances in 10 000 that a call finds no memory.
    pub chances: u32,
    /// Virtual time before the first may fail, in nanoseconds.
    pub delay_ns: u64,
}

impl Default for LowResources {
    /// 6 %, after 8 minutes.
    fn default() -> LowResources {
        LowResources { chances: 600, delay_ns: 8 * 60 * 1_000_000_000 }
    }
}

/// Which options of Driver Verifier are on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Verifier {
    /// Drivers are verified: the automatic checks and the counters are on (R184; docs: devtest/automatic-checks).
    pub verified: bool,
    /// Force IRQL checking: trims before each raise, and wants synchronisation objects resident (R180, R181).
    pub force_irql: bool,
    /// Special pool: blocks of less than a page lie beside pages that are never mapped (docs: devtest/special-pool).
    pub special_pool: bool,
    /// Pool tracking: all pool is freed before the driver is unloaded, and each lock on pages of a process is known (docs:
    /// devtest/pool-tracking).
    pub pool_tracking: bool,
    /// I/O verification: wants completion routines resident.
    pub io: bool,
    /// DDI compliance checking (R143).
    pub ddi_compliance: bool,
    /// Code integrity checks: no memory is both writable and executable (docs: devtest/code-integrity-checking).
    pub code_integrity: bool,
}

impl Verifier {
    /// No driver is verified.
    pub const OFF: Verifier = Verifier {
        verified: false,
        special_pool: false,
        force_irql: false,
        pool_tracking: false,
        io: false,
        ddi_compliance: false,
        code_integrity: false,
    };
    /// What is modelled of the standard settings, without special pool and pool tracking: those are about other mistakes, change
    /// where blocks lie, and turn what a driver leaves behind from a finding into the end of the run.
    pub const ON: Verifier =
        Verifier { verified: true, force_irql: true, io: true, ddi_compliance: true, ..Verifier::OFF };
}

/// Options of a machine.
#[derive(Clone, Debug)]
pub struct Options {
    /// Processors, 1 to 64.
    pub processors: usize,
    /// The run ends after this many instructions.
    pub step_limit: u64,
    /// Instructions before the machine looks at its processors again.
    pub slice_steps: u64,
    /// Instructions before another ready thread gets the processor.
    pub quantum_steps: u64,
    /// Seed of what is left to chance: identifiers that drivers ask for, and failures of [`LowResources`].
    pub seed: u64,
    /// Where choices are asked for.
    pub choices: ChoicePoints,
    /// How many deeds of each kind a run may have; a schedule that is followed may have more.
    pub bound: Bound,
    /// Driver Verifier (D39, D48).
    pub verifier: Verifier,
    /// Driver Verifier lets allocations fail at random (R188).
    pub low_resources: Option<LowResources>,
    /// Overwrite discarded bytes that share a kept page (D11).
    pub poison: bool,
    /// Which bytes are discarded after initialisation (D9).
    pub discard: driver_image::pageability::DiscardMode,
    /// What a page read from the paging file takes, in nanoseconds of virtual time.
    pub page_read_ns: u64,
    /// What the registry holds at start.
    pub registry: Registry,
    /// First address that images are loaded at.
    pub image_base: Va,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            processors: 1,
            step_limit: 200_000_000,
            slice_steps: 10_000,
            quantum_steps: 1_000_000,
            seed: 0,
            choices: ChoicePoints::NONE,
            bound: Bound::default(),
            verifier: Verifier::OFF,
            low_resources: None,
            poison: true,
            discard: driver_image::pageability::DiscardMode::Documented,
            page_read_ns: 100_000,
            registry: Registry::default(),
            image_base: Va(0xFFFF_F800_1000_0000),
        }
    }
}
