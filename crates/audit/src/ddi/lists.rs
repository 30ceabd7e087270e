//! Rules that are lists of names.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Names, one a line.
type Names = LazyLock<HashSet<&'static str>>;

/// IrqlMmApcLte Rule (WDM), R142.
static IRQL_MM_APC_LTE: Names = Names::new(|| include_str!("../../data/irql_mm_apc_lte.txt").lines().collect());

/// Routines that wait, page, or use files, the registry or objects, with PASSIVE_LEVEL or "<= APC_LEVEL" as the IRQL of their
/// reference pages.
static BELOW_DISPATCH: Names = Names::new(|| include_str!("../../data/below_dispatch.txt").lines().collect());

/// Does a call of the routine show that IRQL is below DISPATCH_LEVEL?
pub(crate) fn shows_below_dispatch(name: &str) -> bool {
    is_apc_or_below(name) || BELOW_DISPATCH.contains(name)
}

/// May the routine be called at or below APC_LEVEL only (K02)?
pub(crate) fn is_apc_or_below(name: &str) -> bool {
    IRQL_MM_APC_LTE.contains(name)
}
