//! Page faults: served from the paging file, or the bug check that Windows would show (BEHAVIOUR.md section 8).

use engine::{Access, Fault, PageFault};
use memory::{Absence, InPageError, PageIn, PageState, ReadTicket, WriteError};
use nt_types::{BugCheck, BugCheckCode, Va};

use crate::event::EventKind;
use crate::finding::FindingKind;
use crate::machine::Machine;
use crate::stop::{Cause, Refusal, Stop, StopKind, Unsupported};
use crate::time::Deadline;
use crate::wait::{Wait, WaitOn};

impl Machine {
    /// An access was refused; `instruction` is the guest instruction or the service that made it (D42).
    pub(crate) fn access_refused(&mut self, fault: Fault, instruction: Va) {
        match fault {
            Fault::Page(fault) => self.page_fault(fault, instruction),
            Fault::NonCanonical(address) => {
                self.non_canonical(PageFault { address, access: Access::Read, protection: false }, instruction);
            }
            Fault::Device(_) => {
                let what = Unsupported::Feature("a kernel routine working on device memory".to_owned());
                let stop = self.stop_at(instruction, StopKind::Unsupported(what));
                self.halt(stop);
            }
        }
    }

    /// The address can never be mapped: the processor raises a general protection fault, and D44 makes it 0x50.
    pub(crate) fn non_canonical(&mut self, fault: PageFault, instruction: Va) {
        self.invalid_access(fault, Refusal::NonCanonical, instruction);
    }

    fn page_fault(&mut self, fault: PageFault, instruction: Va) {
        let address = Va(fault.address);
        if let Some(import) = self.modules.unresolved_import(address) {
            let what = match fault.access {
                Access::Execute => Unsupported::Import { module: import.module, name: import.name },
                _ => Unsupported::DataImport { module: import.module, name: import.name },
            };
            let instruction = if fault.access == Access::Execute { self.caller_of_absent() } else { instruction };
            let stop = self.stop_at(instruction, StopKind::Unsupported(what));
            return self.halt(stop);
        }
        if section_paging::Handle::RANGE.contains(&address.0) {
            let kind = FindingKind::K07HandleDereferenced { handle: address.0, access_address: instruction };
            self.find(kind, address);
        }
        if fault.protection {
            return self.protection_fault(fault, instruction);
        }
        match self.memory.page_state(address) {
            PageState::Resident { .. } if self.memory.is_kept_watched(address, fault.access) => {
                self.kept_touched(address, fault.access, instruction);
            }
            PageState::Resident { .. } => self.latent_fault(fault, instruction),
            PageState::Absent(Absence::Guard) => self.stack_overflow(fault, instruction),
            PageState::Absent(absence) => {
                let why = self.refusal(absence, address);
                self.invalid_access(fault, why, instruction);
            }
            _ if self.irql().may_fault() => self.page_in(address),
            _ => self.invalid_access(fault, Refusal::Out, instruction),
        }
    }

    /// The return address that a call into nowhere left on the stack.
    fn caller_of_absent(&mut self) -> Va {
        let mut bytes = [0; 8];
        let rsp = Va(self.cpu().get(engine::Gpr::Rsp));
        if self.memory.peek(rsp, &mut bytes).is_ok() { Va(u64::from_le_bytes(bytes)) } else { Va(self.cpu().rip) }
    }

    /// An eligible page that happens to be resident, touched above `APC_LEVEL`: reported, and the run goes on (D47).
    fn latent_fault(&mut self, fault: PageFault, instruction: Va) {
        let (address, irql) = (Va(fault.address), self.irql());
        let would_be = self.raised_fault(fault, instruction);
        let kind = FindingKind::K13LatentFault { address, access: fault.access, irql, would_be };
        self.find_at(instruction, kind, address.page_down());
        self.memory.allow(address);
    }

    /// Discarded bytes, there only because their page was kept: reported, and the run goes on (D11).
    fn kept_touched(&mut self, address: Va, access: Access, instruction: Va) {
        self.find_at(instruction, FindingKind::K12InitUseAfterDiscard { address, access }, address);
        self.memory.allow_kept(address, access);
    }

    fn refusal(&self, absence: Absence, address: Va) -> Refusal {
        match absence {
            Absence::NonCanonical => Refusal::NonCanonical,
            Absence::Discarded => Refusal::Discarded,
            _ if self.modules.unloaded_at(address).is_some() => Refusal::Unloaded,
            _ => self.special_refusal(address).unwrap_or(Refusal::NotMapped),
        }
    }

    /// Starts a page-in and blocks the thread until it ends; what touched the page starts over then (D6).
    fn page_in(&mut self, address: Va) {
        self.note_needed(address);
        if self.thrashes() {
            let error = self.memory.too_few_frames(address);
            return self.in_page_failed(&error, address);
        }
        match self.memory.begin_page_in(address) {
            Ok(PageIn::AlreadyIn | PageIn::Absent(_)) => {}
            Ok(PageIn::Soft) => self.record(EventKind::PagedIn { page: address.page_down(), hard: false }),
            Ok(PageIn::Hard(ticket)) => {
                self.page_read_began(ticket);
                self.record(EventKind::PagedIn { page: address.page_down(), hard: true });
                self.block(Wait::on(WaitOn::PageReads(vec![ticket])), false);
            }
            Ok(PageIn::Shared(ticket)) => self.block(Wait::on(WaitOn::PageReads(vec![ticket])), false),
            Err(error) => self.in_page_failed(&error, address),
        }
    }

    /// True where more pages came in than memory can hold, and no instruction was retired meanwhile: what comes in for one
    /// access takes the place of what another access of the same instruction or call needs, without end.
    fn thrashes(&mut self) -> bool {
        let (step, in_a_row) = self.mm.page_ins_in_a_row;
        let in_a_row = if step == self.steps { in_a_row.saturating_add(1) } else { 1 };
        self.mm.page_ins_in_a_row = (self.steps, in_a_row);
        in_a_row > self.memory.config().frames
    }

    /// A call has done a part of its work for good, which is as much as an instruction retired.
    pub(crate) fn got_on(&mut self) {
        self.mm.page_ins_in_a_row = (self.steps, 0);
    }

    /// A read from the paging file has begun: it ends later.
    pub(crate) fn page_read_began(&mut self, ticket: ReadTicket) {
        let deadline = Deadline::PageRead(ticket);
        if !self.deadlines.holds(&deadline) {
            self.deadlines.add(self.now_ns() + self.options.page_read_ns, deadline);
        }
    }

    /// A read from the paging file is over.
    pub(crate) fn page_read_ended(&mut self, ticket: ReadTicket) {
        if let Err(error) = self.memory.finish(ticket) {
            match self.reader(ticket) {
                _ if let Some(owner) = self.brings_stack_in(error.va) => self.stack_lost(owner, &error),
                Some(reader) => self.as_thread(reader, |m| m.in_page_failed(&error, error.va)),
                None => self.in_page_failed(&error, error.va),
            }
        }
        self.wake_readers(ticket);
    }

    /// The access is fatal: which bug check, by the tables of sections 8.1 and 8.2.
    fn invalid_access(&mut self, fault: PageFault, why: Refusal, instruction: Va) {
        if why == Refusal::Discarded {
            let (address, access) = (Va(fault.address), fault.access);
            self.find(FindingKind::K12InitUseAfterDiscard { address, access }, address);
        }
        let check = if self.irql().may_fault() {
            match self.low_fault(fault, why, instruction) {
                Some(check) => check,
                None => return,
            }
        } else {
            self.raised_fault(fault, instruction)
        };
        let cause = Cause::Access { address: Va(fault.address), access: fault.access, why };
        let stop = self.stop_at(instruction, StopKind::BugCheck(check, cause));
        self.halt(stop);
    }

    /// R162, in its order.
    fn raised_fault(&mut self, fault: PageFault, instruction: Va) -> BugCheck {
        let address = Va(fault.address);
        let code = if !self.kernel_images.holds(instruction) {
            BugCheckCode::DRIVER_IRQL_NOT_LESS_OR_EQUAL
        } else if self.modules.driver_at(address).is_some() {
            BugCheckCode::DRIVER_PORTION_MUST_BE_NONPAGED
        } else if self.modules.unloaded_at(address).is_some() {
            BugCheckCode::SYSTEM_SCAN_AT_RAISED_IRQL_CAUGHT_IMPROPER_DRIVER_UNLOAD
        } else {
            BugCheckCode::IRQL_NOT_LESS_OR_EQUAL
        };
        let operation = match fault.access {
            Access::Read => 0,
            Access::Write => 1,
            Access::Execute => 8,
        };
        BugCheck { code, parameters: [address.0, u64::from(self.irql().level()), operation, instruction.0] }
    }

    /// D44 and R167. A user-mode address is an exception first, which the driver may handle: then there is no bug check.
    fn low_fault(&mut self, fault: PageFault, why: Refusal, instruction: Va) -> Option<BugCheck> {
        let address = Va(fault.address);
        if !address.is_kernel() && address.is_canonical() {
            self.access_violation(fault, instruction);
            return None;
        }
        let in_module = self.kernel_images.holds(instruction) || self.modules.driver_at(instruction).is_some();
        if why == Refusal::Unloaded && !in_module {
            let operation = u64::from(fault.access == Access::Write);
            let code = BugCheckCode::DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS;
            return Some(BugCheck { code, parameters: [address.0, operation, instruction.0, 0] });
        }
        if let Refusal::SpecialPoolFreed | Refusal::SpecialPoolEnd = why {
            let code = self.special_pool_fault(why == Refusal::SpecialPoolFreed, self.kernel_images.holds(instruction));
            let operation = u64::from(fault.access == Access::Write);
            return Some(BugCheck { code, parameters: [address.0, operation, instruction.0, 0] });
        }
        let operation = match fault.access {
            Access::Read => 0,
            Access::Write => 2,
            Access::Execute => 0x10,
        };
        let entry = match why {
            Refusal::Discarded => 0,
            Refusal::NonCanonical => 4,
            _ => 2,
        };
        let code = BugCheckCode::PAGE_FAULT_IN_NONPAGED_AREA;
        Some(BugCheck { code, parameters: [address.0, operation, instruction.0, entry] })
    }

    /// Protection of a resident page decides at any IRQL (D45).
    fn protection_fault(&mut self, fault: PageFault, instruction: Va) {
        let (code, why) = match fault.access {
            Access::Execute => (BugCheckCode::ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY, Refusal::NoExecute),
            _ => (BugCheckCode::ATTEMPTED_WRITE_TO_READONLY_MEMORY, Refusal::ReadOnly),
        };
        let address = Va(fault.address);
        let (_, entry) = self.memory.pte(address);
        let check = BugCheck { code, parameters: [address.0, entry, 0, 0] };
        let stop =
            self.stop_at(instruction, StopKind::BugCheck(check, Cause::Access { address, access: fault.access, why }));
        self.halt(stop);
    }

    fn stack_overflow(&mut self, fault: PageFault, instruction: Va) {
        let check = BugCheck { code: BugCheckCode::UNEXPECTED_KERNEL_MODE_TRAP, parameters: [8, 0, 0, 0] };
        let cause = Cause::StackOverflow { address: Va(fault.address) };
        let stop = self.stop_at(instruction, StopKind::BugCheck(check, cause));
        self.halt(stop);
    }

    /// 0x7A in its third form (D46); a page that came back with the wrong checksum is 0x1A/0x3f.
    pub(crate) fn in_page_failed(&mut self, error: &InPageError, address: Va) {
        let stop = self.in_page_stop(error, address);
        self.halt(stop);
    }

    /// The stop that [`in_page_failed`](Machine::in_page_failed) makes.
    pub(crate) fn in_page_stop(&mut self, error: &InPageError, address: Va) -> Stop {
        let here = self.here();
        let cause = Cause::InPage { address, error: *error };
        self.stop_at(here, StopKind::BugCheck(error.bug_check(address), cause))
    }

    /// The host could not write the paging file: the run cannot go on without losing a page.
    pub(crate) fn paging_file_failed(&mut self, error: WriteError) {
        let here = self.here();
        let stop = self.stop_at(here, StopKind::PagingFile(error));
        self.halt(stop);
    }
}
