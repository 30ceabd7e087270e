//! Stack traces through `.pdata`, across the kernel boundary.

use nt_types::Va;

use crate::machine::Machine;

impl Machine {
    /// Return addresses of the current thread, innermost first, starting with `instruction`.
    pub(crate) fn stack_trace(&mut self, instruction: Va) -> Vec<Va> {
        vec![instruction]
    }
}
