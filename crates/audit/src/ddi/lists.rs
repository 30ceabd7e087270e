//! Rules that are lists of names.

/// IrqlMmApcLte Rule (WDM), R142.
const IRQL_MM_APC_LTE: &str = include_str!("../../data/irql_mm_apc_lte.txt");

/// May the routine be called at or below APC_LEVEL only?
pub(crate) fn is_apc_or_below(name: &str) -> bool {
    IRQL_MM_APC_LTE.lines().any(|line| line == name)
}
