//! Rules that are lists of names.

/// IrqlMmApcLte Rule (WDM), R142.
const IRQL_MM_APC_LTE: &str = include_str!("../../data/irql_mm_apc_lte.txt");

/// Routines that wait, page, or use files, the registry or objects, with PASSIVE_LEVEL or "<= APC_LEVEL" as the IRQL of their
/// reference pages.
const BELOW_DISPATCH: &str = include_str!("../../data/below_dispatch.txt");

/// Does a call of the routine show that IRQL is below DISPATCH_LEVEL?
pub(crate) fn shows_below_dispatch(name: &str) -> bool {
    is_apc_or_below(name) || BELOW_DISPATCH.lines().any(|line| line == name)
}

/// May the routine be called at or below APC_LEVEL only (K02)?
pub(crate) fn is_apc_or_below(name: &str) -> bool {
    IRQL_MM_APC_LTE.lines().any(|line| line == name)
}
