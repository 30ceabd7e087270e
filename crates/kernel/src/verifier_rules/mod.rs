//! What Driver Verifier stops a driver for at a call, with the subcode and parameters that bug check 0xC4 has for it (docs:
//! debugger/bug-check-0xc4). Rules that need more than the call and the IRQL stand where that is known.

mod integrity;
mod memory;
mod pool;
mod waits;

use nt_types::{BugCheck, BugCheckCode, Irql, Va};

use crate::call::{Call, Trap};
use crate::exports::Export;
use crate::machine::Machine;
use crate::routine::Routine;
use crate::stop::{Cause, StopKind};

/// A rule about a call that is broken: the four parameters, and what is to be said of it.
struct Broken {
    parameters: [u64; 4],
    rule: &'static str,
}

const RAISE_UP: &str = "KeRaiseIrql gets an IRQL that is not below the current one";
const LOWER_DOWN: &str = "KeLowerIrql gets an IRQL that is not above the current one";
const AT_DISPATCH: &str = "this form of a spin lock is used at `DISPATCH_LEVEL`";
const FAST_MUTEX: &str = "a fast mutex is acquired at or below `APC_LEVEL` and released at `APC_LEVEL`";
const SIGNAL: &str = "an event is set at or below `DISPATCH_LEVEL`";
const APCS_DISABLED: &str =
    "a resource, a push lock, or a fast mutex in its unsafe form, is used while APCs are disabled";
const REGION: &str = "a critical region is entered and left at or below `APC_LEVEL`";
const ZW: &str = "Zw routines are called at `PASSIVE_LEVEL`";

impl Machine {
    /// 0xC4 where a verified driver breaks a rule by this call; nothing has changed.
    pub(crate) fn check_verified_call(&mut self, export: &'static Export, call: &Call) -> Result<(), Trap> {
        let caller = call.return_address;
        if !self.options.verifier.verified || self.modules.driver_at(caller).is_none() {
            return Ok(());
        }
        let broken = match self.broken_rule(export.name, call)? {
            Some(broken) => Some(broken),
            None => self.broken_integrity_rule(export.name, call)?,
        };
        let Some(Broken { parameters, rule }) = broken else { return Ok(()) };
        let check = BugCheck { code: BugCheckCode::DRIVER_VERIFIER_DETECTED_VIOLATION, parameters };
        let cause = Cause::Rule { routine: export.name, rule };
        Err(self.stop_at(caller, StopKind::BugCheck(check, cause)).into())
    }

    /// 0xC4/0x111: a service routine returned at another IRQL.
    pub(crate) fn isr_changed_irql(&mut self, what: Routine, routine: Va, before: Irql, after: Irql) -> Trap {
        let parameters = [0x111, routine.0, u64::from(before.level()), u64::from(after.level())];
        let check = BugCheck { code: BugCheckCode::DRIVER_VERIFIER_DETECTED_VIOLATION, parameters };
        let cause = Cause::IrqlNotRestored { what, before, after };
        self.stop_at(routine, StopKind::BugCheck(check, cause)).into()
    }

    fn broken_rule(&mut self, routine: &str, call: &Call) -> Result<Option<Broken>, Trap> {
        let (irql, forced) = (self.irql(), self.options.verifier.force_irql);
        let level = u64::from(irql.level());
        let first = call.raw(self, 0)?;
        let broken = |subcode: u64, p3: u64, p4: u64, rule| Some(Broken { parameters: [subcode, level, p3, p4], rule });
        Ok(match routine {
            "ExAllocatePool"
            | "ExAllocatePoolWithTag"
            | "ExAllocatePoolWithQuotaTag"
            | "ExAllocatePoolWithTagPriority" => self.broken_allocation_rule(call)?,
            "ExFreePool" | "ExFreePoolWithTag" => self.broken_free_rule(Va(first)),
            "KfRaiseIrql" if first as u8 & 0xF < irql.level() => broken(0x30, first & 0xFF, 0, RAISE_UP),
            "KeLowerIrql" if first as u8 & 0xF > irql.level() => broken(0x31, first & 0xFF, 0, LOWER_DOWN),
            "KeReleaseSpinLock" if irql != Irql::DISPATCH => broken(0x32, first, 0, AT_DISPATCH),
            "ExAcquireFastMutex" | "ExTryToAcquireFastMutex" if irql > Irql::APC => broken(0x33, first, 0, FAST_MUTEX),
            "ExReleaseFastMutex" if irql != Irql::APC => {
                let disabled = u64::from(self.thread().critical_regions);
                broken(0x34, disabled, first, FAST_MUTEX)
            }
            "KeAcquireSpinLockAtDpcLevel" if irql < Irql::DISPATCH => broken(0x40, first, 0, AT_DISPATCH),
            "KeReleaseSpinLockFromDpcLevel" if irql < Irql::DISPATCH => broken(0x41, first, 0, AT_DISPATCH),
            "KeAcquireSpinLockRaiseToDpc" if irql > Irql::DISPATCH => broken(0x42, first, 0, AT_DISPATCH),
            "KeWaitForSingleObject" => self.broken_wait([0, 2, 4], call)?,
            "KeWaitForMultipleObjects" => self.broken_wait([1, 4, 6], call)?,
            "KeSetEvent" if irql > Irql::DISPATCH => broken(0x80, first, 0, SIGNAL),
            "KeEnterCriticalRegion" if forced && irql > Irql::APC => broken(0x11A, 0, 0, REGION),
            "KeLeaveCriticalRegion" if forced && irql > Irql::APC => broken(0x11B, 0, 0, REGION),
            _ if routine.starts_with("Zw") && irql > Irql::PASSIVE => {
                Some(Broken { parameters: [0xE6, call.return_address.0, level, 0], rule: ZW })
            }
            _ if routine.starts_with("Mm") || routine == "IoFreeMdl" => self.broken_memory_rule(routine, call)?,
            _ => self.broken_apc_rule(routine, first),
        })
    }

    /// Resources, push locks and unsafe fast mutexes want APCs disabled.
    fn broken_apc_rule(&mut self, routine: &str, object: u64) -> Option<Broken> {
        let irql = self.irql();
        let disabled = u64::from(self.apc_disable_count() as u32);
        let enabled = irql < Irql::APC && disabled == 0 && self.thread().guarded_regions == 0;
        let subcode = match routine {
            "ExAcquireResourceExclusiveLite"
            | "ExAcquireResourceSharedLite"
            | "ExAcquireSharedStarveExclusive"
            | "ExAcquireSharedWaitForExclusive" => 0x37,
            "ExReleaseResourceLite" => 0x38,
            "ExAcquireFastMutexUnsafe" => 0x39,
            "ExReleaseFastMutexUnsafe" => 0x3A,
            "ExAcquirePushLockExclusiveEx"
            | "ExAcquirePushLockSharedEx"
            | "ExfAcquirePushLockExclusive"
            | "ExfAcquirePushLockShared" => 0xEA,
            "ExReleasePushLockExclusiveEx"
            | "ExReleasePushLockSharedEx"
            | "ExfReleasePushLockExclusive"
            | "ExfReleasePushLockShared" => 0xEB,
            _ => return None,
        };
        let parameters = [subcode, u64::from(irql.level()), disabled, object];
        enabled.then_some(Broken { parameters, rule: APCS_DISABLED })
    }
}
