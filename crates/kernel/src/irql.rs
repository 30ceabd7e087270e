//! Every change of IRQL, and what the memory manager and the checker do at it.

use std::ops::RangeInclusive;

use memory::{TrimReason, TrimReport};
use nt_types::{BugCheck, BugCheckCode, Irql, Va};

use crate::call::{Call, Trap};
use crate::event::EventKind;
use crate::exports::Export;
use crate::finding::FindingKind;
use crate::irql_rules;
use crate::machine::Machine;
use crate::stop::{Cause, StopKind};
use crate::verifier::Trigger;

impl Machine {
    /// Raises or lowers the IRQL of the active processor on behalf of the driver; `place` is where it asked for it. Where
    /// the driver's code goes on at a raised IRQL, see also [`Machine::check_raise`].
    pub(crate) fn set_irql(&mut self, new: Irql, place: Va) {
        if new > self.irql() {
            self.triggered(Trigger::Raise, new);
        }
        self.irql_becomes(new, place);
    }

    /// Raises for a spin lock that the driver asks for at `place`; at or above `DISPATCH_LEVEL` that is a trigger too.
    pub(crate) fn raise_for_spin_lock(&mut self, place: Va) {
        let new = self.irql().max(Irql::DISPATCH);
        self.check_raise(new, place);
        self.triggered(Trigger::SpinLock, new);
        self.irql_becomes(new, place);
    }

    /// The same for a lock whose caller has raised already: the IRQL stays, even where the caller did not.
    pub(crate) fn spin_lock_at_dpc_level(&mut self, place: Va) {
        let level = self.irql().max(Irql::DISPATCH);
        self.check_raise(level, place);
        self.triggered(Trigger::SpinLock, level);
    }

    /// Raises for a synchronised execution. The caller of that service does not run raised: no K26.
    pub(crate) fn raise_to_synchronize(&mut self, new: Irql, place: Va) {
        self.triggered(Trigger::Synchronize, new.max(Irql::DISPATCH));
        self.irql_becomes(new, place);
    }

    /// A service that takes a spin lock of the driver at `place` masks interrupts for as long as it has it.
    pub(crate) fn mask_interrupts(&mut self, place: Va) {
        self.triggered(Trigger::SpinLock, Irql::HIGH);
        self.irql_becomes(Irql::HIGH, place);
    }

    fn irql_becomes(&mut self, new: Irql, place: Va) {
        let old = self.irql();
        self.cpu().cr8 = new.level();
        self.irql_is_now(old, new, place);
    }

    /// The driver wrote CR8 itself.
    pub(crate) fn irql_written(&mut self, old: Irql, instruction: Va) {
        let new = self.irql();
        if new > old {
            // The trim comes before the raise takes effect (D48, D49); the write itself touches no memory.
            self.cpu().cr8 = old.level();
            self.check_raise(new, instruction);
            self.triggered(Trigger::Raise, new);
            self.cpu().cr8 = new.level();
        }
        self.irql_is_now(old, new, instruction);
    }

    fn irql_is_now(&mut self, old: Irql, new: Irql, place: Va) {
        if new > old {
            self.record_at(place, EventKind::IrqlRaised { from: old, to: new });
        } else if new < old {
            self.record_at(place, EventKind::IrqlLowered { from: old, to: new });
            self.attention = true;
        }
        self.watch_by_irql();
    }

    /// Name of the section that holds this code, if the page may leave memory now.
    fn eligible_section_at(&self, place: Va) -> Option<String> {
        if !self.memory.paging().is_eligible(place.page()) {
            return None;
        }
        self.modules.section_name(place)
    }

    /// Lets the kernel itself work at `irql` on guest memory. What traps is judged at that level: a latent fault is
    /// reported and the work starts over; else it is to be tried again later, unless the machine stopped.
    pub(crate) fn work_at<T>(&mut self, irql: Irql, work: impl Fn(&mut Machine) -> Result<T, Trap>) -> Option<T> {
        self.before_delivery(irql);
        let before = std::mem::replace(&mut self.cpu().cr8, irql.level());
        self.watch_by_irql();
        let service = self.kernel_images.interrupt_entry;
        let done = self.past_latent_faults(service, work).map_err(|trap| self.trap(trap, service)).ok();
        self.cpu().cr8 = before;
        self.watch_by_irql();
        done
    }

    /// Works on guest memory for `service`; above `APC_LEVEL` what is found to be a latent fault is reported, and the work
    /// starts over. For work between changes of the IRQL: each change forgets which pages were reported.
    pub(crate) fn past_latent_faults<T>(
        &mut self,
        service: Va,
        work: impl Fn(&mut Machine) -> Result<T, Trap>,
    ) -> Result<T, Trap> {
        loop {
            match work(self) {
                Err(Trap::Fault(fault)) if !self.irql().may_fault() => self.access_refused(fault, service),
                other => return other,
            }
            if let Some(stop) = self.stop.take() {
                return Err(Trap::Stop(stop));
            }
        }
    }

    /// Above `APC_LEVEL` every access to a page that may leave is to be seen, also where the page happens to be there (D47).
    pub(crate) fn watch_by_irql(&mut self) {
        let raised = !self.irql().may_fault();
        self.memory.watch_eligible(raised);
    }

    /// K26: the code at `place` goes on at this IRQL, so that it must not be able to leave memory (R5).
    pub(crate) fn check_raise(&mut self, to: Irql, place: Va) {
        if to >= Irql::DISPATCH
            && let Some(section) = self.eligible_section_at(place)
        {
            self.find(FindingKind::K26RaiseInPageable { section, to }, place);
        }
    }

    /// The trim before a raise, a spin lock or a synchronised execution takes effect (D48), where the policy has it.
    pub(crate) fn trim(&mut self, reason: TrimReason) {
        let policy = self.memory.config().trim;
        if self.options.verifier.force_irql || policy.trims_on_raise() {
            self.memory.set_step(self.steps);
            let report = self.memory.trim(reason);
            self.trimmed(report, reason);
        }
    }

    /// Evicts those of these pages that may leave.
    pub fn evict(&mut self, pages: &[Va], reason: TrimReason) {
        self.memory.set_step(self.steps);
        let report = self.memory.evict(pages, reason);
        self.trimmed(report, reason);
    }

    /// Records what left memory because frames were short.
    pub(crate) fn note_pressure(&mut self) {
        let report = self.memory.take_pressure_report();
        self.trimmed(report, TrimReason::Pressure);
    }

    /// Lets the policy act on pages that may leave since the last change of locks, pins or overrides.
    pub(crate) fn settle(&mut self) {
        self.memory.set_step(self.steps);
        let report = self.memory.settle();
        self.trimmed(report, TrimReason::Eligible);
    }

    fn trimmed(&mut self, report: TrimReport, reason: TrimReason) {
        if let Some((_, error)) = report.failed.first() {
            self.paging_file_failed(*error);
        }
        if !report.pages.is_empty() {
            self.record(EventKind::Trimmed { pages: report.pages, reason });
        }
    }

    /// A DDI compliance rule is broken while the verifier is on: 0xC4 with the rule's number and a text (R143, D39).
    fn irql_rule_violated(
        &mut self,
        rule: u64,
        export: &'static Export,
        allowed: RangeInclusive<Irql>,
        place: Va,
    ) -> Trap {
        let how = if *allowed.start() == Irql::PASSIVE && *allowed.end() > Irql::PASSIVE { "<=" } else { "=" };
        let (routine, limit, irql) = (export.name, allowed.end(), self.irql());
        let text = format!("{routine} should only be called at IRQL {how} {limit}; it was called at {irql}\0");
        let address = self.verifier_note(text.as_bytes());
        let code = BugCheckCode::DRIVER_VERIFIER_DETECTED_VIOLATION;
        let check = BugCheck { code, parameters: [rule, address.0, 0, 0] };
        self.stop_at(place, StopKind::BugCheck(check, Cause::Irql { routine, allowed })).into()
    }

    /// A service called outside its documented IRQLs. With the verifier a violation of an IRQL rule is 0xC4, and nothing has
    /// changed (D39). Else it is K02 for those of IrqlMmApcLte, and the call goes on as far as it physically can (D40); for
    /// other services it is a finding; what then happens is physics.
    pub(crate) fn check_service_irql(&mut self, export: &'static Export, call: &Call) -> Result<(), Trap> {
        self.check_verified_call(export, call)?;
        let (irql, routine, allowed) = (self.irql(), export.name, self.allowed_irql(export, call)?);
        if allowed.contains(&irql) {
            return Ok(());
        }
        let rule = irql_rules::broken_by(routine, irql);
        if let Some(rule) = rule.filter(|_| self.is_compliance_checked(call)) {
            return Err(self.irql_rule_violated(rule, export, allowed, call.return_address));
        }
        let kind = match rule {
            Some(irql_rules::IRQL_MM_APC_LTE) => FindingKind::K02MmIrql { routine, irql },
            _ if export.irql.contains(&irql) => return Ok(()),
            _ => FindingKind::IrqlOutOfRange { export, irql },
        };
        self.find(kind, call.return_address);
        Ok(())
    }

    /// The IRQLs at which this call of the export is allowed. With `Wait` set to TRUE an event is set at or below `APC_LEVEL`
    /// (docs: devtest/wdm-irqlkesetevent).
    fn allowed_irql(&mut self, export: &'static Export, call: &Call) -> Result<RangeInclusive<Irql>, Trap> {
        let waits = export.name == "KeSetEvent" && call.argument(self, 2)?;
        Ok(if waits { Irql::PASSIVE..=Irql::APC } else { export.irql.clone() })
    }

    /// True for a call of a verified driver while DDI compliance checking is on.
    fn is_compliance_checked(&self, call: &Call) -> bool {
        self.options.verifier.ddi_compliance && self.modules.driver_at(call.return_address).is_some()
    }
}
