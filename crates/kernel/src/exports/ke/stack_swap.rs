//! Whether the stack of a thread may leave memory (ddi: KeSetKernelStackSwapEnable).

use crate::call::{Next, Outcome};
use crate::event::EventKind;
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, KeSetKernelStackSwapEnable(enable: bool), APC),
];

fn KeSetKernelStackSwapEnable(m: &mut Machine, enable: bool) -> Outcome {
    let before = std::mem::replace(&mut m.thread().stack_swap, enable);
    m.record(EventKind::StackSwap { enabled: enable });
    Ok(Next::Return(before.into()))
}
