//! Why a run ended, as a report.

use kernel::{Cause as Why, EventKind, Limit as KernelLimit, RequestMisuse as Misused, StopKind};
use kernel::{Routine, Thread, ThreadState, Unsupported as NotModelled};
use memory::{PagingFileConfig, WriteError};
use nt_types::layout::exception_record;
use nt_types::{BugCheck, BugCheckCode, NtStatus, Va};
use report::Diagnostic;
use report::cause::{
    Cause, Exception, Hardware, ImageFlaw, Integrity, IrqlMisuse, Limit, ObjectMisuse, RequestKind, RequestMisuse, Tag,
    ThreadKind, Unsupported,
};

use super::scene::Scene;
use super::{discarded, fault, irql, objects, pages, paging, pool, stacks};

/// The report of a stop, without what all reports have.
pub(super) fn report(scene: &Scene<'_>, kind: &StopKind) -> Diagnostic {
    match kind {
        StopKind::BugCheck(check, why) => Diagnostic { bug_check: Some(*check), ..bug_check(scene, *check, why) },
        StopKind::Unsupported(what) => {
            // A call of an import that nobody answers is known by where it would have returned to.
            let called = matches!(what, NotModelled::Import { .. }).then(|| scene.call(scene.place.instruction));
            Diagnostic { at: called.flatten(), ..Diagnostic::from(Cause::Unsupported(unsupported(what))) }
        }
        StopKind::Limit(limit) => Diagnostic::from(Cause::Limit(self::limit(scene, *limit))),
        StopKind::PagingFile(error) => Diagnostic::from(Cause::Limit(paging_file(scene, *error))),
        StopKind::Internal(invariant) => Diagnostic::from(Cause::OwnBug { invariant: invariant.clone() }),
    }
}

fn bug_check(scene: &Scene<'_>, check: BugCheck, why: &Why) -> Diagnostic {
    match why {
        Why::Access { address, access, why } => fault::access(scene, *address, *access, *why),
        Why::InPage { address, error } => fault::in_page(scene, *address, error),
        Why::StackInPage { error, .. } => stacks::in_page(scene, error),
        Why::StackLockedAtExit => stacks::locked_at_exit(scene),
        Why::Section(failure) => paging::refused(scene, *failure),
        Why::Irql { routine, .. } if check.parameters[0] == IRQL_MM_APC_LTE => {
            paging::above_apc(scene, routine, scene.irql())
        }
        Why::Irql { routine, allowed } => {
            let (routine, allowed) = ((*routine).to_owned(), allowed.clone());
            let misuse = IrqlMisuse::OutOfRange { routine, irql: scene.irql(), allowed, pageable: false };
            Diagnostic { because: irql::history(scene), ..Diagnostic::from(Cause::Irql(misuse)) }
        }
        Why::WaitAtDispatch { routine } => wait(scene, *routine),
        Why::Exception { code, address } => exception(scene, check, *code, *address),
        Why::StackOverflow { .. } => {
            Diagnostic::from(Cause::Exception(Exception::Trap { vector: 8, stack_overflow: true }))
        }
        Why::BadStack { .. } => {
            Diagnostic::from(Cause::Exception(Exception::Trap { vector: 8, stack_overflow: false }))
        }
        Why::Requested => Diagnostic::from(Cause::Exception(requested(check))),
        Why::ObjectPageable { object, address } => objects::pageable(scene, *object, *address),
        Why::GoingAway { object, address } => objects::going_away(scene, *object, *address),
        Why::CompletionPageable { routine, section } => {
            objects::routine(scene, *routine, ObjectMisuse::Completion { section: section.clone() })
        }
        Why::WorkItemPageable { item } => objects::work_item(scene, *item),
        Why::PowerFlagMissing => Diagnostic::from(Cause::Object(ObjectMisuse::PowerPageableNotInherited)),
        Why::PoolLeft { address, bytes, tag } => {
            Diagnostic { at: scene.call(scene.place.instruction), ..pool::leak(scene, *address, *bytes, Tag(*tag)) }
        }
        Why::Pool(misuse) => pool::misuse(scene, *misuse),
        Why::Integrity { section, flaw } => integrity(section, *flaw),
        Why::Pages(misuse) => pages::misuse(scene, *misuse),
        Why::Request(misuse) => request(scene, *misuse),
        Why::IrqlNotRestored { what, before, after } => {
            let misuse = IrqlMisuse::NotRestored { callback: irql::callback(*what), expected: *before, found: *after };
            Diagnostic { because: irql::history(scene), ..Diagnostic::from(Cause::Irql(misuse)) }
        }
        Why::RegionsNotLeft { what } => {
            Diagnostic::from(Cause::Irql(IrqlMisuse::RegionsNotLeft { callback: irql::callback(*what) }))
        }
        Why::Rule { routine, rule } => {
            let because = if scene.irql().may_fault() { Vec::new() } else { irql::history(scene) };
            Diagnostic { because, ..Diagnostic::from(Cause::Rule { routine: (*routine).to_owned(), rule }) }
        }
    }
}

fn integrity(section: &str, flaw: kernel::ImageFlaw) -> Diagnostic {
    let flaw = match flaw {
        kernel::ImageFlaw::WritableCode => ImageFlaw::WritableCode,
        kernel::ImageFlaw::Unaligned => ImageFlaw::Unaligned,
        kernel::ImageFlaw::ImportsInCode => ImageFlaw::ImportsInCode,
    };
    Diagnostic::from(Cause::Integrity(Integrity { section: section.to_owned(), flaw }))
}

/// Number of the rule IrqlMmApcLte in bug check 0xC4 (R143).
const IRQL_MM_APC_LTE: u64 = 0x0002_0019;

fn wait(scene: &Scene<'_>, routine: Va) -> Diagnostic {
    let name = scene.machine.kernel_images().routine_name(routine).or(scene.place.service).unwrap_or_default();
    let misuse = IrqlMisuse::Wait { routine: name.to_owned(), irql: scene.irql() };
    Diagnostic { because: irql::history(scene), ..Diagnostic::from(Cause::Irql(misuse)) }
}

/// Below are the addresses of user mode, where no driver has code.
const FIRST_KERNEL_ADDRESS: Va = Va(0xFFFF_8000_0000_0000);

fn exception(scene: &Scene<'_>, check: BugCheck, code: NtStatus, address: Va) -> Diagnostic {
    let exception = match code {
        NtStatus::ACCESS_VIOLATION if address < FIRST_KERNEL_ADDRESS => {
            let thread = thread_kind(scene, check);
            let called = scene.place.stack.get(1).and_then(|returns_to| scene.call(*returns_to));
            return Diagnostic {
                at: called,
                ..Diagnostic::from(Cause::Exception(Exception::NoCode { address, thread }))
            };
        }
        NtStatus::BREAKPOINT => Exception::Breakpoint { poison: is_discarded(scene, address) },
        NtStatus::ASSERTION_FAILURE => Exception::Assertion,
        _ if check.code == BugCheckCode::KERNEL_SECURITY_CHECK_FAILURE => requested(check),
        _ => {
            let accessed = if code == NtStatus::ACCESS_VIOLATION { accessed(scene, check) } else { None };
            Exception::Unhandled { code, address: accessed, thread: thread_kind(scene, check) }
        }
    };
    let poison = exception == Exception::Breakpoint { poison: true };
    let finding = poison.then_some(report::Finding::InitUseAfterDiscard);
    let because = if poison { discarded::events(scene, address) } else { Vec::new() };
    Diagnostic { finding, because, ..Diagnostic::from(Cause::Exception(exception)) }
}

/// The address that an access violation was about: the second item of its information, which 0x7E has in a record only.
fn accessed(scene: &Scene<'_>, check: BugCheck) -> Option<Va> {
    let [_, _, record, last] = check.parameters;
    if check.code != BugCheckCode::SYSTEM_THREAD_EXCEPTION_NOT_HANDLED {
        return Some(Va(last));
    }
    let mut address = [0; 8];
    let field = exception_record::EXCEPTION_INFORMATION.element(1, 8);
    scene.machine.memory.peek(field.at(Va(record)), &mut address).ok()?;
    Some(Va(u64::from_le_bytes(address)))
}

fn is_discarded(scene: &Scene<'_>, address: Va) -> bool {
    let paging = scene.machine.memory.paging();
    paging.section_at(address).and_then(|section| paging.section(section)).is_some_and(|section| section.discarded)
}

fn thread_kind(scene: &Scene<'_>, check: BugCheck) -> ThreadKind {
    match scene.interruption() {
        Some(Routine::Dpc | Routine::Isr { .. }) => ThreadKind::None,
        _ if check.code == BugCheckCode::SYSTEM_THREAD_EXCEPTION_NOT_HANDLED => ThreadKind::System,
        _ => ThreadKind::Service,
    }
}

/// Stops that the driver asked for; its compiler may have asked in its name.
fn requested(check: BugCheck) -> Exception {
    let [first, second, ..] = check.parameters;
    match check.code {
        BugCheckCode::DRIVER_OVERRAN_STACK_BUFFER => Exception::StackCookie { found: first, expected: second },
        BugCheckCode::KERNEL_SECURITY_CHECK_FAILURE => Exception::FastFail { code: first as u32 },
        _ => Exception::Requested,
    }
}

fn request(scene: &Scene<'_>, misuse: Misused) -> Diagnostic {
    let (irp, misuse): (Va, fn(Va, RequestKind) -> RequestMisuse) = match misuse {
        Misused::CompletedTwice { irp } => (irp, |irp, function| RequestMisuse::CompletedTwice { irp, function }),
        Misused::NoStackLocation { irp } => (irp, |irp, function| RequestMisuse::NoStackLocation { irp, function }),
    };
    let function = scene.last(|event| match event.kind {
        EventKind::IrpSent { irp: sent, major, .. } if sent == irp => RequestKind::from_major(major),
        _ => None,
    });
    let completed = scene.last(|event| match event.kind {
        EventKind::IrpCompleted { irp: completed, status, .. } if completed == irp => {
            Some(Some(scene.told(event, report::EventKind::Completed { irp, status })))
        }
        // What was completed before that was another request at this address.
        EventKind::IrpSent { irp: sent, .. } if sent == irp => Some(None),
        _ => None,
    });
    let cause = Cause::Request(misuse(irp, function.unwrap_or(RequestKind::Create)));
    Diagnostic { because: completed.flatten().into_iter().collect(), ..Diagnostic::from(cause) }
}

fn unsupported(what: &NotModelled) -> Unsupported {
    match what {
        NotModelled::Import { module, name } => Unsupported::Export { module: module.clone(), export: name.clone() },
        NotModelled::DataImport { module, name } => {
            Unsupported::Variable { module: module.clone(), name: name.clone() }
        }
        NotModelled::Parameter { routine, what } => {
            Unsupported::Feature { feature: format!("`{routine}` with {what}") }
        }
        NotModelled::Instruction(bytes) => Unsupported::Instruction { bytes: bytes.clone() },
        NotModelled::Msr { register, write } => {
            Unsupported::Hardware { place: Hardware::Msr(*register), write: *write }
        }
        NotModelled::Feature(feature) => Unsupported::Feature { feature: feature.clone() },
    }
}

fn limit(scene: &Scene<'_>, limit: KernelLimit) -> Limit {
    match limit {
        KernelLimit::Steps(steps) => Limit::Steps { steps, irql: scene.irql() },
        KernelLimit::Deadlock => Limit::Deadlock { threads: waiting(scene) },
        KernelLimit::Resource(what) => Limit::Resource { what: what.to_owned() },
    }
}

fn waiting(scene: &Scene<'_>) -> u32 {
    let waits = |thread: &&Thread| !thread.idle && matches!(thread.state, ThreadState::Waiting { .. });
    scene.machine.threads().filter(waits).count() as u32
}

fn paging_file(scene: &Scene<'_>, error: WriteError) -> Limit {
    let path = match &scene.machine.memory.config().paging_file {
        PagingFileConfig::File(path) | PagingFileConfig::Directory(path) => path.display().to_string(),
        PagingFileConfig::Anonymous => std::env::temp_dir().display().to_string(),
    };
    let error = match error {
        WriteError::Io(kind) => kind.to_string(),
        WriteError::Full { pages } => format!("it has its largest size, {pages} pages"),
    };
    Limit::PagingFile { path, error }
}
