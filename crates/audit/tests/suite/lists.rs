//! Rules that are lists of names, each name.

use audit::FindingKind;
use iced_x86::code_asm::*;

use crate::assembled::{Source, audit};

/// The rule IrqlMmApcLte, as the documentation lists it.
const IRQL_MM_APC_LTE: &str = include_str!("../../data/irql_mm_apc_lte.txt");

/// Routines that a driver calls above APC_LEVEL: its entry point calls one, at PASSIVE_LEVEL, at APC_LEVEL or above.
fn above_apc(name: &'static str, level: i32) -> Vec<(String, u8)> {
    let source = Source::new(&["KfRaiseIrql", name]).text(move |a| {
        a.sub(rsp, 0x28)?;
        a.mov(ecx, level)?;
        a.import("KfRaiseIrql")?;
        a.import(name)?;
        a.add(rsp, 0x28)?;
        a.ret()
    });
    let kinds = audit(&source).findings.into_iter().map(|finding| finding.kind);
    let above = kinds.filter_map(|kind| match kind {
        FindingKind::AboveApc { routine, irql } => Some((routine, irql)),
        _ => None,
    });
    above.collect()
}

/// R142, K02: each routine of the rule, at its highest level and above.
#[test]
fn r142_k02_each_routine_for_apc_level_and_below() {
    assert_eq!(IRQL_MM_APC_LTE.lines().count(), 12);
    for name in IRQL_MM_APC_LTE.lines() {
        assert_eq!(above_apc(name, 1), [], "{name} at APC_LEVEL");
        for level in [2, 5, 15] {
            assert_eq!(above_apc(name, level), [(name.to_owned(), level as u8)]);
        }
    }
    assert_eq!(above_apc("KeSetEvent", 2), [], "a routine that is not in the list");
}
