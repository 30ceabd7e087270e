//! Rules that are lists of names.

/// IrqlMmApcLte Rule (WDM), R142.
const IRQL_MM_APC_LTE: &str = include_str!("../../data/irql_mm_apc_lte.txt");
/// HwStorPortProhibitedDDIs Rule (Storport), R144.
const HW_STORPORT_PROHIBITED: &str = include_str!("../../data/hwstorport_prohibited_ddis.txt");

/// May the routine be called at or below APC_LEVEL only?
pub(crate) fn is_apc_or_below(name: &str) -> bool {
    IRQL_MM_APC_LTE.lines().any(|line| line == name)
}

/// Is the routine one that a physical Storport miniport does not call?
pub(crate) fn is_prohibited_for_storport(name: &str) -> bool {
    HW_STORPORT_PROHIBITED.lines().any(|line| line == name)
}
