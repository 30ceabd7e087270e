//! What routines of a driver leave as they found it: the IRQL, and how often the thread was told to take no APCs.

use nt_types::{BugCheck, BugCheckCode, Irql, NtStatus, Va};

use crate::call::{Next, Outcome, Trap};
use crate::machine::Machine;
use crate::routine::Routine;
use crate::stop::{Cause, StopKind};

/// Number of the rule IrqlReturn in bug check 0xC4 (docs: devtest/wdm-irqlreturn).
const IRQL_RETURN: u64 = 0x0002_001D;

impl Machine {
    /// The APC disable count of the current thread: one less for each critical region entered (docs:
    /// debugger/bug-check-0xc7).
    pub(crate) fn apc_disable_count(&mut self) -> i32 {
        0_i32.wrapping_sub_unsigned(self.thread().critical_regions)
    }

    /// `CombinedApcDisable` of the current thread: `SpecialApcDisable` above `KernelApcDisable`, 16 bits each.
    fn combined_apc_disable(&mut self) -> u32 {
        let special = 0_u16.wrapping_sub(self.thread().guarded_regions as u16);
        let kernel = self.apc_disable_count() as u16;
        u32::from(special) << 16 | u32::from(kernel)
    }

    fn unbalanced(&mut self, place: Va, code: BugCheckCode, parameters: [u64; 4], cause: Cause) -> Trap {
        self.stop_at(place, StopKind::BugCheck(BugCheck { code, parameters }, cause)).into()
    }

    /// 0xC7/4, of a timer 0xC7/5: a DPC routine changed the count of the thread that it interrupted.
    pub(crate) fn check_dpc_regions(&mut self, routine: Va, before: i32, timer: bool) -> Result<(), Trap> {
        let after = self.apc_disable_count();
        if after == before {
            return Ok(());
        }
        let [before, after] = [before, after].map(|count| u64::from(count as u32));
        let parameters = [if timer { 5 } else { 4 }, routine.0, before, after];
        Err(self.unbalanced(
            routine,
            BugCheckCode::TIMER_OR_DPC_INVALID,
            parameters,
            Cause::RegionsNotLeft { what: Routine::Dpc },
        ))
    }

    /// A worker routine returned to the worker thread, which serves others next: 0xE1 at `DISPATCH_LEVEL` or above, 0x01 in a
    /// critical or guarded region. `item` is the work item, if there is one, and its parameter.
    pub(crate) fn worker_routine_ended(&mut self, routine: Va, item: Option<(Va, u64)>) -> Outcome {
        let after = self.irql();
        if let Some((item, parameter)) = item.filter(|_| after >= Irql::DISPATCH) {
            let parameters = [routine.0, u64::from(after.level()), parameter, item.0];
            let cause = Cause::IrqlNotRestored { what: Routine::WorkItem, before: Irql::PASSIVE, after };
            let code = BugCheckCode::WORKER_THREAD_RETURNED_AT_BAD_IRQL;
            return Err(self.unbalanced(routine, code, parameters, cause));
        }
        self.check_regions(routine, routine, 1, Routine::WorkItem)?;
        Ok(Next::ExitThread(NtStatus::SUCCESS))
    }

    /// A system service is about to return to the program: 0x4A above `PASSIVE_LEVEL`, 0x01 in a critical or guarded region.
    /// The verifier has numbers of its own for the routine: rule IrqlReturn, and 0xC4/0xC5 in a critical region.
    /// `place` is the driver's routine that served it.
    pub(crate) fn check_return_to_program(&mut self, service: Va, place: Va) -> Result<(), Trap> {
        let irql = self.irql();
        if irql > Irql::PASSIVE {
            let cause = Cause::IrqlNotRestored { what: Routine::Dispatch, before: Irql::PASSIVE, after: irql };
            let (code, parameters) = match self.options.verifier.ddi_compliance {
                true => {
                    let text = format!("the dispatch routine was called at {} and returned at {irql}\0", Irql::PASSIVE);
                    let text = self.verifier_note(text.as_bytes());
                    (BugCheckCode::DRIVER_VERIFIER_DETECTED_VIOLATION, [IRQL_RETURN, text.0, 0, 0])
                }
                false => {
                    let parameters = [service.0, u64::from(irql.level()), 0, 0];
                    (BugCheckCode::IRQL_GT_ZERO_AT_SYSTEM_SERVICE, parameters)
                }
            };
            return Err(self.unbalanced(place, code, parameters, cause));
        }
        let count = self.apc_disable_count();
        if self.options.verifier.io && count != 0 {
            let parameters = [0xC5, place.0, u64::from(count as u32), 0];
            let cause = Cause::RegionsNotLeft { what: Routine::Dispatch };
            let code = BugCheckCode::DRIVER_VERIFIER_DETECTED_VIOLATION;
            return Err(self.unbalanced(place, code, parameters, cause));
        }
        self.check_regions(service, place, 0, Routine::Dispatch)
    }

    fn check_regions(&mut self, routine: Va, place: Va, call_type: u64, what: Routine) -> Result<(), Trap> {
        /// `OriginalApcEnvironment`: no thread is attached to another process.
        const APC_STATE_INDEX: u64 = 0;
        let combined = self.combined_apc_disable();
        if combined == 0 {
            return Ok(());
        }
        let parameters = [routine.0, APC_STATE_INDEX, u64::from(combined), call_type];
        Err(self.unbalanced(place, BugCheckCode::APC_INDEX_MISMATCH, parameters, Cause::RegionsNotLeft { what }))
    }

    /// 0xC8: the routine of an interrupt returned at another IRQL; 3 says which kind of routine it was.
    pub(crate) fn isr_returned_raised(&mut self, what: Routine, routine: Va, before: Irql, lock: Va) -> Trap {
        const SERVICE_ROUTINE: u64 = 3;
        let after = self.irql();
        let connected = self.connected_interrupts();
        let object = connected.iter().find(|other| other.routine == routine && other.lock == lock);
        let object = object.map_or(Va::NULL, |interrupt| interrupt.object);
        let levels = u64::from(after.level()) << 16 | u64::from(before.level()) << 8;
        let parameters = [levels | SERVICE_ROUTINE, routine.0, object.0, 0];
        let cause = Cause::IrqlNotRestored { what, before, after };
        self.unbalanced(routine, BugCheckCode::IRQL_UNEXPECTED_VALUE, parameters, cause)
    }
}
