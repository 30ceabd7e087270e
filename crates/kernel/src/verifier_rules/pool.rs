//! Rules about pool: what is asked for, and what is freed.

use ::memory::Region;
use nt_types::{Irql, Va};

use super::Broken;
use crate::call::{Call, Trap};
use crate::exports::mm::pool::PoolKind;
use crate::machine::Machine;

const POOL_IRQL: &str = "paged pool is used at or below `APC_LEVEL`, nonpaged pool at or below `DISPATCH_LEVEL`";
const NOT_ALLOCATED: &str = "pool is freed by the address that was returned for it";
const NO_BYTES: &str = "pool is asked for by the number of its bytes, which is not 0";
const RESOURCE: &str = "a resource is deleted before its memory is freed";
const TIMER: &str = "a timer is cancelled before its memory is freed";

impl Machine {
    pub(super) fn broken_allocation_rule(&mut self, call: &Call) -> Result<Option<Broken>, Trap> {
        let (irql, kind, bytes) = (self.irql(), call.raw(self, 0)?, call.raw(self, 1)?);
        let level = u64::from(irql.level());
        let (subcode, limit) = if kind & 1 != 0 { (0x01, Irql::APC) } else { (0x02, Irql::DISPATCH) };
        let kind = kind & 0xFFFF_FFFF;
        Ok(match bytes {
            _ if irql > limit => Some(Broken { parameters: [subcode, level, kind, bytes], rule: POOL_IRQL }),
            0 => Some(Broken { parameters: [0x00, level, kind, 0], rule: NO_BYTES }),
            _ => None,
        })
    }

    pub(super) fn broken_free_rule(&mut self, address: Va) -> Option<Broken> {
        let Some(block) = self.mm.pool.block(address) else { return self.broken_pool_free(address) };
        let (paged, bytes, irql) = (block.kind == PoolKind::Paged, block.bytes, self.irql());
        let (subcode, limit) = if paged { (0x11, Irql::APC) } else { (0x12, Irql::DISPATCH) };
        let paged = u64::from(paged);
        if irql > limit {
            let parameters = [subcode, u64::from(irql.level()), paged, address.0];
            return Some(Broken { parameters, rule: POOL_IRQL });
        }
        if let Some(timer) = self.queued_timer_in(address, bytes) {
            return Some(Broken { parameters: [0x15, timer.0, paged, address.0], rule: TIMER });
        }
        let resource = self.ex.resources.within(address, bytes)?;
        Some(Broken { parameters: [0xD2, resource.0, address.0, bytes], rule: RESOURCE })
    }

    /// An address at which no block begins: 0x16 where one may have begun that was freed before, 0x10 where none can have. What is
    /// wrong in special pool is 0xC1.
    fn broken_pool_free(&self, address: Va) -> Option<Broken> {
        let inside = self.mm.pool.block_around(address).is_some();
        let parameters = match Region::of(address) {
            Some(Region::SpecialPool) => return None,
            Some(Region::PagedPool | Region::NonpagedPool) if !inside => [0x16, 0, address.0, 0],
            _ => [0x10, address.0, 0, 0],
        };
        Some(Broken { parameters, rule: NOT_ALLOCATED })
    }
}
