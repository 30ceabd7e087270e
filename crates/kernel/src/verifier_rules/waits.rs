//! Waits that could last where none may: 0x120 to 0x123 with DDI compliance checking, which says what is wrong with them; 0x3B
//! without.

use memory::Region;
use nt_types::constants as c;
use nt_types::{Irql, Va};

use super::Broken;
use crate::call::{Call, Trap};
use crate::machine::Machine;

const NO_WAIT: &str = "a wait at `DISPATCH_LEVEL` has a timeout of zero, and there is none above";
const OBJECT_ON_STACK: &str =
    "an object on the kernel stack is waited for in kernel mode, which keeps the stack in memory";

impl Machine {
    /// `arguments`: which of the call's are the object or the objects, the mode, and the timeout.
    pub(super) fn broken_wait(&mut self, arguments: [usize; 3], call: &Call) -> Result<Option<Broken>, Trap> {
        let [object, mode, timeout] = arguments;
        let (object, mode) = (call.raw(self, object)?, call.raw(self, mode)? as u32 & 0xFF);
        let (irql, timeout, compliance) = (self.irql(), call.raw(self, timeout)?, self.options.verifier.ddi_compliance);
        if irql < Irql::DISPATCH {
            let on_stack = Region::of(Va(object)) == Some(Region::KernelStack);
            let is_broken = compliance && mode == c::USER_MODE && on_stack;
            return Ok(is_broken.then_some(Broken { parameters: [0x123, object, 0, 0], rule: OBJECT_ON_STACK }));
        }
        let lasts = timeout == 0 || self.read_u64(Va(timeout))? != 0;
        let subcode = match (irql > Irql::DISPATCH, timeout) {
            (true, _) => 0x120,
            (false, 0) => 0x121,
            (false, _) if lasts => 0x122,
            _ => return Ok(None),
        };
        let level = u64::from(irql.level());
        if !compliance {
            return Ok(Some(Broken { parameters: [0x3B, level, object, timeout], rule: NO_WAIT }));
        }
        let place = self.verifier_note(&[irql.level()]);
        Ok(Some(Broken { parameters: [subcode, place.0, object, timeout], rule: NO_WAIT }))
    }
}
