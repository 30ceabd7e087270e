//! The IRQL (ddi: KeRaiseIrql, KeLowerIrql).

use nt_types::Irql;

use crate::call::{Call, Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, KeGetCurrentIrql(), HIGH),
    export!(Ntoskrnl, KeLowerIrql(new: Irql; ..), HIGH),
    export!(Ntoskrnl, KeRaiseIrqlToDpcLevel(; ..), DISPATCH),
    export!(Ntoskrnl, KfRaiseIrql(new: Irql; ..), HIGH),
];

fn KeGetCurrentIrql(m: &mut Machine) -> Outcome {
    Ok(Next::Return(u64::from(m.irql().level())))
}

fn KfRaiseIrql(m: &mut Machine, call: &Call, new: Irql) -> Outcome {
    let old = m.irql();
    m.check_raise(new, call.return_address);
    m.set_irql(new, call.return_address);
    Ok(Next::Return(u64::from(old.level())))
}

fn KeRaiseIrqlToDpcLevel(m: &mut Machine, call: &Call) -> Outcome {
    KfRaiseIrql(m, call, Irql::DISPATCH)
}

fn KeLowerIrql(m: &mut Machine, call: &Call, new: Irql) -> Outcome {
    m.set_irql(new, call.return_address);
    Ok(Next::VOID)
}
