//! One report for each cause of the catalogue.

use nt_types::{BugCheck, BugCheckCode, Irql, NtStatus, Rva, Va};
use report::cause::{
    Access, Audit, Callback, Cause, Content, Exception, Expectation, Expected, Fault, Hardware, Holder, Home,
    ImageFlaw, InPageReason, InSection, Input, Integrity, IrqlMisuse, Layout, LeftBehind, LeftBy, Limit, Memory, Name,
    ObjectKind, ObjectMisuse, Operation, PageMisuse, PageState, Paging, PoolMisuse, Refusal, Remark, RequestKind,
    RequestMisuse, Requests, Stack, Tag, Target, ThreadKind, UnloadMisuse, Unsupported, Usage, WrongPages,
};
use report::{Diagnostic, Place, Source, Symbol};

use crate::fixture::place;

const KERNEL: Va = Va(0xffff_f800_0012_3000);
const DRIVER: Va = Va(0xffff_f800_1000_5040);
const POOL: Va = Va(0xffff_8000_0001_2340);
const STACK: Va = Va(0xffff_d000_0001_2340);
const TAG: Tag = Tag(*b"Ser1");

/// All of them.
pub(crate) fn causes() -> Vec<Diagnostic> {
    [
        memory(),
        paging(),
        refused(),
        irql(),
        objects(),
        requests(),
        unload(),
        exceptions(),
        pool(),
        pages(),
        stacks(),
        expectations(),
        audit(),
        rest(),
        remarks(),
    ]
    .concat()
}

/// A report that ends in this bug check.
fn stops(code: BugCheckCode, first: u64, cause: Cause) -> Diagnostic {
    Diagnostic { bug_check: Some(BugCheck { code, parameters: [first, 2, 0, KERNEL.0] }), ..Diagnostic::from(cause) }
}

fn fault(access: Access, irql: Irql, target: Target, service: Option<&str>) -> Cause {
    let service = service.map(str::to_owned);
    Cause::Memory(Memory::Fault(Fault { address: DRIVER, access, irql, target, service, latent: false }))
}

fn section(name: &str, state: PageState, overridden: bool) -> Target {
    Target::Section { image: "serial.sys".into(), section: name.into(), state, overridden }
}

fn home() -> Home {
    Home::Section { image: "serial.sys".into(), section: "PAGEDATA".into() }
}

fn memory() -> Vec<Diagnostic> {
    let (passive, dispatch) = (Irql::PASSIVE, Irql::DISPATCH);
    let out = |name| section(name, PageState::PagedOut, false);
    let stop = |code, cause| stops(code, DRIVER.0, cause);
    let latent = Fault {
        address: DRIVER,
        access: Access::Execute,
        irql: dispatch,
        target: section("PAGESER", PageState::Resident, false),
        service: None,
        latent: true,
    };
    vec![
        stop(BugCheckCode::DRIVER_IRQL_NOT_LESS_OR_EQUAL, fault(Access::Write, dispatch, out("PAGEDATA"), None)),
        stop(
            BugCheckCode::DRIVER_IRQL_NOT_LESS_OR_EQUAL,
            fault(Access::Execute, Irql::new(5), section(".text", PageState::PagedOut, true), None),
        ),
        stop(
            BugCheckCode::DRIVER_PORTION_MUST_BE_NONPAGED,
            fault(Access::Read, dispatch, out("PAGEDATA"), Some("KeSetTimer")),
        ),
        stop(
            BugCheckCode::SYSTEM_SCAN_AT_RAISED_IRQL_CAUGHT_IMPROPER_DRIVER_UNLOAD,
            fault(Access::Read, dispatch, Target::Unloaded { image: "serial.sys".into() }, Some("KeSetTimer")),
        ),
        stop(
            BugCheckCode::IRQL_NOT_LESS_OR_EQUAL,
            fault(Access::Write, dispatch, Target::PagedPool(TAG), Some("KeSetEvent")),
        ),
        stop(
            BugCheckCode::IRQL_NOT_LESS_OR_EQUAL,
            fault(Access::Read, dispatch, Target::Stack { thread: "ioctl 0x222000".into() }, Some("KeSetEvent")),
        ),
        stop(
            BugCheckCode::PAGE_FAULT_IN_NONPAGED_AREA,
            fault(Access::Execute, passive, section("INIT", PageState::Discarded, false), None),
        ),
        stop(BugCheckCode::PAGE_FAULT_IN_NONPAGED_AREA, fault(Access::Read, passive, Target::Null, None)),
        stop(BugCheckCode::PAGE_FAULT_IN_NONPAGED_AREA, fault(Access::Read, passive, Target::FreedPool(TAG), None)),
        stop(
            BugCheckCode::DRIVER_PAGE_FAULT_BEYOND_END_OF_ALLOCATION,
            fault(Access::Write, passive, Target::BesidePool { tag: TAG, bytes: 8, offset: 8 }, None),
        ),
        stop(
            BugCheckCode::PAGE_FAULT_BEYOND_END_OF_ALLOCATION,
            fault(Access::Read, passive, Target::BesidePool { tag: TAG, bytes: 8, offset: -2 }, None),
        ),
        stop(
            BugCheckCode::PAGE_FAULT_IN_NONPAGED_AREA,
            fault(Access::Read, passive, Target::Handle { section: "PAGESER".into() }, None),
        ),
        stop(
            BugCheckCode::DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS,
            fault(Access::Execute, passive, Target::Unloaded { image: "serial.sys".into() }, None),
        ),
        stop(
            BugCheckCode::ATTEMPTED_WRITE_TO_READONLY_MEMORY,
            fault(Access::Write, passive, section(".rdata", PageState::Resident, false), None),
        ),
        stop(
            BugCheckCode::ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY,
            fault(Access::Execute, passive, section(".data", PageState::Resident, false), None),
        ),
        stop(BugCheckCode::DRIVER_IRQL_NOT_LESS_OR_EQUAL, Cause::Memory(Memory::Fault(latent))),
        Diagnostic::from(Cause::Memory(Memory::InitUse { section: "INIT".into(), access: Access::Read })),
        stop(
            BugCheckCode::KERNEL_DATA_INPAGE_ERROR,
            Cause::Memory(Memory::InPage { address: DRIVER, reason: InPageReason::Injected(NtStatus(0xc000_009c)) }),
        ),
        stop(
            BugCheckCode::KERNEL_DATA_INPAGE_ERROR,
            Cause::Memory(Memory::InPage { address: DRIVER, reason: InPageReason::NoFrames { frames: 64 } }),
        ),
        stop(
            BugCheckCode::MEMORY_MANAGEMENT,
            Cause::Memory(Memory::PagingFileCorrupt { offset: 0x3000, found: 0x1234, expected: 0xcafe_f00d }),
        ),
    ]
}

fn paging() -> Vec<Diagnostic> {
    let pageser = || "PAGESER".to_owned();
    let routine = || "MmPageEntireDriver".to_owned();
    let above = Paging::AboveApc { routine: "MmLockPagableSectionByHandle".into(), irql: Irql::DISPATCH };
    let reads = Requests { count: 2, kind: Some(RequestKind::Read) };
    let causes = [
        above.clone(),
        Paging::LockNonpageable { section: ".text".into(), thunk_to: Some(pageser()) },
        Paging::LockNonpageable { section: ".data".into(), thunk_to: None },
        Paging::PageEntireWithInterrupt { vector: 0x34, routine: place(".text", 0x1200, "SerialIsr", 0) },
        Paging::ResetWithInterrupt { vector: 0x34, overridden: true },
        Paging::ResetWithInterrupt { vector: 0x34, overridden: false },
        Paging::ForeignLock {
            operation: Operation::Unlock,
            caller: "upper.sys".into(),
            owner: "serial.sys".into(),
            section: pageser(),
        },
        Paging::HandleDereferenced { handle: POOL, section: pageser() },
        Paging::UnlockWithRequests { section: pageser(), count: 0, outstanding: reads },
        Paging::UnlockWithRequests { section: pageser(), count: 1, outstanding: Requests { count: 1, kind: None } },
        Paging::RepeatLockByAddress { section: pageser() },
        Paging::PageEntireRace { opener: 1 },
        Paging::LockOfInit { section: "INIT".into(), count: 1 },
        Paging::NoModule { routine: routine(), address: POOL, system: false },
        Paging::NoModule { routine: routine(), address: KERNEL, system: true },
    ];
    let verified = stops(BugCheckCode::DRIVER_VERIFIER_DETECTED_VIOLATION, 0x0002_0019, Cause::Paging(above));
    causes.map(|cause| Diagnostic::from(Cause::Paging(cause))).into_iter().chain([verified]).collect()
}

fn refused() -> Vec<Diagnostic> {
    let section = || "PAGESER".to_owned();
    let image = || "serial.sys".to_owned();
    let lock = |value, reason| ("MmLockPagableDataSection", Operation::Lock, value, 0x1234, reason);
    let unlock = |reason| ("MmUnlockPagableImageSection", Operation::Unlock, POOL, 0x1010, reason);
    let cases = [
        lock(POOL, Refusal::NoModule),
        lock(DRIVER, Refusal::NoSection { image: image() }),
        lock(DRIVER, Refusal::Discarded { section: "INIT".into() }),
        ("MmLockPagableSectionByHandle", Operation::Lock, Va::NULL, 0x1234, Refusal::UnknownHandle),
        unlock(Refusal::UnknownHandle),
        unlock(Refusal::StaleHandle { image: image(), section: section(), unloading: false }),
        unlock(Refusal::StaleHandle { image: image(), section: section(), unloading: true }),
        unlock(Refusal::CountZero { section: section(), locking: false, taken_by: None }),
        unlock(Refusal::CountZero { section: section(), locking: false, taken_by: Some("filter.sys".into()) }),
        unlock(Refusal::CountZero { section: section(), locking: true, taken_by: None }),
        lock(DRIVER, Refusal::CountOverflow { section: section(), limit: 5 }),
    ];
    let report = |(routine, operation, value, subtype, reason): (&str, _, _, _, _)| {
        let cause = Paging::Refused { routine: routine.into(), operation, value, reason };
        stops(BugCheckCode::MEMORY_MANAGEMENT, subtype, Cause::Paging(cause))
    };
    cases.map(report).to_vec()
}

fn irql() -> Vec<Diagnostic> {
    let dispatch = Irql::DISPATCH;
    let causes = [
        IrqlMisuse::RaiseInPageable {
            section: "PAGE".into(),
            routine: Some("KeAcquireSpinLockRaiseToDpc".into()),
            to: dispatch,
        },
        IrqlMisuse::RaiseInPageable { section: "PAGE".into(), routine: None, to: dispatch },
        IrqlMisuse::WaitTrue { routine: "KeSetEvent".into(), section: "PAGE".into() },
        IrqlMisuse::OutOfRange {
            routine: "ZwCreateFile".into(),
            irql: dispatch,
            allowed: Irql::PASSIVE..=Irql::PASSIVE,
            pageable: true,
        },
        IrqlMisuse::OutOfRange {
            routine: "KeSetEvent".into(),
            irql: Irql::new(5),
            allowed: Irql::PASSIVE..=dispatch,
            pageable: false,
        },
        IrqlMisuse::OutOfRange {
            routine: "KeReleaseSpinLock".into(),
            irql: Irql::PASSIVE,
            allowed: dispatch..=dispatch,
            pageable: false,
        },
        IrqlMisuse::WrongDirection { routine: "KeLowerIrql".into(), from: Irql::PASSIVE, to: dispatch },
        IrqlMisuse::AcquiredTwice { object: ObjectKind::SpinLock },
        IrqlMisuse::NotHeld { object: ObjectKind::FastMutex },
    ];
    let returned = IrqlMisuse::NotRestored { callback: Callback::Dpc, expected: dispatch, found: Irql::PASSIVE };
    let wait = IrqlMisuse::Wait { routine: "KeWaitForSingleObject".into(), irql: dispatch };
    let regions = IrqlMisuse::RegionsNotLeft { callback: Callback::Dispatch };
    let fatal = [
        stops(BugCheckCode::IRQL_UNEXPECTED_VALUE, 0x0200_0000, Cause::Irql(returned)),
        stops(BugCheckCode::ATTEMPTED_SWITCH_FROM_DPC, POOL.0, Cause::Irql(wait)),
        stops(BugCheckCode::APC_INDEX_MISMATCH, KERNEL.0, Cause::Irql(regions)),
    ];
    causes.map(|cause| Diagnostic::from(Cause::Irql(cause))).into_iter().chain(fatal).collect()
}

fn objects() -> Vec<Diagnostic> {
    let object = ObjectKind::Timer;
    let pageable = ObjectMisuse::Pageable { object, address: DRIVER, home: home() };
    let causes = [
        pageable.clone(),
        ObjectMisuse::Waited { object: ObjectKind::Event, address: STACK },
        ObjectMisuse::WaitOnStack { blocks: false },
        ObjectMisuse::WaitOnStack { blocks: true },
        ObjectMisuse::Isr { section: "PAGEISR".into(), locked: true },
        ObjectMisuse::Dpc { section: "PAGEDPC".into(), locked: false, threaded: false },
        ObjectMisuse::Dpc { section: "PAGEDPC".into(), locked: true, threaded: false },
        ObjectMisuse::Dpc { section: "PAGEDPC".into(), locked: false, threaded: true },
        ObjectMisuse::Completion { section: "PAGE".into() },
        ObjectMisuse::WorkItem { address: POOL, home: Home::PagedPool(TAG) },
        ObjectMisuse::PagingPath { function: RequestKind::Read, section: "PAGE".into() },
        ObjectMisuse::PowerPageableNotInherited,
        ObjectMisuse::NotInitialised { object: ObjectKind::Event, address: POOL },
    ];
    let going = ObjectMisuse::GoingAway { object, address: POOL, home: Some(Home::NonpagedPool(TAG)) };
    let item = ObjectMisuse::GoingAway { object: ObjectKind::WorkItem, address: POOL, home: None };
    let fatal = [
        stops(BugCheckCode::DRIVER_VERIFIER_DETECTED_VIOLATION, 0xe1, Cause::Object(pageable)),
        stops(BugCheckCode::TIMER_OR_DPC_INVALID, 0, Cause::Object(going)),
        stops(BugCheckCode::WORKER_INVALID, 2, Cause::Object(item)),
    ];
    causes.map(|cause| Diagnostic::from(Cause::Object(cause))).into_iter().chain(fatal).collect()
}

fn stacks() -> Vec<Diagnostic> {
    let lost = |reason| Cause::Stack(Stack::InPage { thread: "ioctl 0x222000".into(), reason });
    let status = NtStatus::DEVICE_DATA_ERROR;
    let reasons = [InPageReason::Io(status), InPageReason::Injected(status), InPageReason::NoFrames { frames: 64 }];
    let lost = reasons.map(|reason| stops(BugCheckCode::KERNEL_STACK_INPAGE_ERROR, status.0.into(), lost(reason)));
    let kept = stops(BugCheckCode::KERNEL_STACK_LOCKED_AT_EXIT, 0, Cause::Stack(Stack::LockedAtExit));
    lost.into_iter().chain([kept]).collect()
}

fn requests() -> Vec<Diagnostic> {
    let (irp, function) = (POOL, RequestKind::Read);
    let causes = [
        RequestMisuse::PendingMismatch { irp, function, marked: true },
        RequestMisuse::PendingMismatch { irp, function, marked: false },
        RequestMisuse::NeverCompleted { irp, function },
        RequestMisuse::CancelRoutineSet { irp, function },
        RequestMisuse::NoStackLocation { irp, function },
        RequestMisuse::Rule { number: 0x20e },
    ];
    let twice = Cause::Request(RequestMisuse::CompletedTwice { irp, function });
    let fatal = stops(BugCheckCode::MULTIPLE_IRP_COMPLETE_REQUESTS, irp.0, twice);
    causes.map(|cause| Diagnostic::from(Cause::Request(cause))).into_iter().chain([fatal]).collect()
}

fn unload() -> Vec<Diagnostic> {
    let holder = |step| Holder { at: place(".text", 0x2c18, "SerialOpen", 0x58), step };
    let causes = [
        UnloadMisuse::Locks {
            section: "PAGESER".into(),
            count: 2,
            holders: vec![holder(1200), holder(3400)],
            pages: 3,
            entry_failed: false,
        },
        UnloadMisuse::Locks {
            section: "PAGESER".into(),
            count: 1,
            holders: vec![holder(7)],
            pages: 1,
            entry_failed: true,
        },
        UnloadMisuse::DuringCall { routine: "MmLockPagableDataSection".into(), section: Some("PAGESER".into()) },
        UnloadMisuse::PoolLeak { tag: TAG, blocks: 10, bytes: 640, holders: (0..10).map(holder).collect() },
        UnloadMisuse::Left { object: LeftBehind::SymbolicLink, name: Some(r"\DosDevices\COM1".into()) },
        UnloadMisuse::Left { object: LeftBehind::Object(ObjectKind::Timer), name: None },
    ];
    causes.map(|cause| Diagnostic::from(Cause::Unload(cause))).to_vec()
}

fn pages() -> Vec<Diagnostic> {
    let (routine, physical, page) = ("MmRoutine", 0x12_3000, DRIVER.page_down());
    let content = Content::PageOf(page, Some(home()));
    let cases = [
        (0x1233, WrongPages::PhysicalUnlocked { physical, content: content.clone() }),
        (0x1233, WrongPages::PhysicalUnlocked { physical, content: Content::Nothing }),
        (0x1235, WrongPages::NotMapped { address: page }),
        (0x1236, WrongPages::MdlUnlocked { index: 1, frame: 0x123, content }),
        (0x1236, WrongPages::MdlUnlocked { index: 0, frame: 0, content: Content::NoPage }),
        (0x1240, WrongPages::NotResident { page, home: Some(home()) }),
        (0x6_1948, WrongPages::Unlocked { device: true }),
        (7, WrongPages::Unlocked { device: false }),
        (0, WrongPages::LeftLocked { pages: 2 }),
        (6, WrongPages::NotUnmappable { address: page }),
        (POOL.0, WrongPages::PartOutside { address: page, bytes: 0x80 }),
        (0, WrongPages::PartTooLarge { pages: 3 }),
    ];
    let code = |wrong: &WrongPages| match wrong {
        WrongPages::Unlocked { device: false } => BugCheckCode::PFN_LIST_CORRUPT,
        WrongPages::LeftLocked { .. } => BugCheckCode::PROCESS_HAS_LOCKED_PAGES,
        WrongPages::NotUnmappable { .. } => BugCheckCode::SYSTEM_PTE_MISUSE,
        WrongPages::PartOutside { .. } => BugCheckCode::INVALID_MDL_RANGE,
        WrongPages::PartTooLarge { .. } => BugCheckCode::TARGET_MDL_TOO_SMALL,
        _ => BugCheckCode::MEMORY_MANAGEMENT,
    };
    let stop = |(first, wrong): (u64, WrongPages)| {
        stops(code(&wrong), first, Cause::Pages(PageMisuse { routine: routine.into(), wrong }))
    };
    let flaws = [(0x2003, ImageFlaw::WritableCode), (0x2004, ImageFlaw::Unaligned), (0x2005, ImageFlaw::ImportsInCode)];
    let integrity = flaws.map(|(first, flaw)| {
        let cause = Cause::Integrity(Integrity { section: "PAGE".into(), flaw });
        stops(BugCheckCode::DRIVER_VERIFIER_DETECTED_VIOLATION, first, cause)
    });
    cases.map(stop).into_iter().chain(integrity).collect()
}

fn exceptions() -> Vec<Diagnostic> {
    let code = NtStatus(0xc000_0005);
    let case = |number, cause| stops(number, u64::from(code.0), Cause::Exception(cause));
    vec![
        case(
            BugCheckCode::KMODE_EXCEPTION_NOT_HANDLED,
            Exception::Unhandled { code, address: Some(POOL), thread: ThreadKind::Service },
        ),
        case(
            BugCheckCode::KMODE_EXCEPTION_NOT_HANDLED,
            Exception::NoCode { address: Va(0), thread: ThreadKind::Service },
        ),
        case(
            BugCheckCode::SYSTEM_THREAD_EXCEPTION_NOT_HANDLED,
            Exception::NoCode { address: Va(0x1234_0000), thread: ThreadKind::System },
        ),
        case(
            BugCheckCode::SYSTEM_THREAD_EXCEPTION_NOT_HANDLED,
            Exception::Unhandled { code: NtStatus(0xc000_0094), address: None, thread: ThreadKind::System },
        ),
        case(BugCheckCode::UNEXPECTED_KERNEL_MODE_TRAP, Exception::Trap { vector: 8, stack_overflow: true }),
        case(BugCheckCode::UNEXPECTED_KERNEL_MODE_TRAP, Exception::Trap { vector: 0, stack_overflow: false }),
        case(BugCheckCode::KERNEL_SECURITY_CHECK_FAILURE, Exception::FastFail { code: 3 }),
        case(
            BugCheckCode::DRIVER_OVERRAN_STACK_BUFFER,
            Exception::StackCookie { found: 0, expected: 0x2b99_2ddf_a232 },
        ),
        case(BugCheckCode(0x1234_5678), Exception::Requested),
        case(BugCheckCode::KMODE_EXCEPTION_NOT_HANDLED, Exception::Assertion),
        case(BugCheckCode::KMODE_EXCEPTION_NOT_HANDLED, Exception::Breakpoint { poison: false }),
        case(BugCheckCode::KMODE_EXCEPTION_NOT_HANDLED, Exception::Breakpoint { poison: true }),
    ]
}

fn pool() -> Vec<Diagnostic> {
    let address = POOL;
    let causes = [
        PoolMisuse::FreedTwice { address, tag: TAG },
        PoolMisuse::NotPool { address, home: Some(Home::Stack) },
        PoolMisuse::WrongTag { address, passed: TAG, actual: Tag(*b"\x00\xff2z") },
        PoolMisuse::Overwritten { address, tag: TAG, bytes: 1, at: address + 1 },
        PoolMisuse::Overwritten { address, tag: TAG, bytes: 8, at: address + 0xFFFF_FFFF_FFFF_FFFF },
        PoolMisuse::BadArgument { routine: "ExAllocatePool2".into(), argument: 2, value: 0 },
    ];
    let above = PoolMisuse::AboveIrql { routine: "ExAllocatePool2".into(), paged: true, irql: Irql::DISPATCH };
    let fatal = causes.map(|cause| stops(BugCheckCode::BAD_POOL_CALLER, 7, Cause::Pool(cause)));
    fatal.into_iter().chain([Diagnostic::from(Cause::Pool(above))]).collect()
}

fn expectations() -> Vec<Diagnostic> {
    let section = || "PAGESER".to_owned();
    let cases = [
        Expected::Status { expected: NtStatus::SUCCESS, found: NtStatus(0xc000_0120) },
        Expected::Bytes { expected: 1, found: 0 },
        Expected::Data { expected: b"hello\n".to_vec(), found: vec![b'x'; 40] },
        Expected::Pending { expected: true },
        Expected::Pending { expected: false },
        Expected::Resident { section: section(), expected: 3, found: 0 },
        Expected::Locks { section: section(), expected: 1, found: 2 },
        Expected::NoSection { section: section() },
    ];
    let asserted = Cause::Assertion {
        at: "tests/driver.rs:40".to_owned(),
        message: "assertion `left == right` failed\n  left: 4\n right: 5".to_owned(),
    };
    let cases = cases.map(|what| Cause::Expectation(Expectation { line: 7, what })).into_iter().chain([asserted]);
    cases.map(Diagnostic::from).collect()
}

/// The jump of a `switch`.
fn jump(named: bool) -> Place {
    Place {
        image: "serial.sys".into(),
        section: Some(".text".into()),
        rva: Rva(0x1017),
        symbol: named.then(|| Symbol { name: "SerialDpc".into(), offset: 0x17 }),
        source: named.then(|| Source { file: "serial.c".into(), line: 52 }),
    }
}

fn audit() -> Vec<Diagnostic> {
    let (section, rva, irql) = (|| "PAGEDATA".to_owned(), Rva(0x5004), Irql::DISPATCH);
    let data = |access, routine: Option<&str>| Audit::PageableData {
        target: InSection { section: section(), rva, name: routine.map(|_| Name::Symbol("Format".to_owned())) },
        access,
        routine: routine.map(str::to_owned),
        irql,
    };
    let there = |name: &str| InSection { section: "INIT".into(), rva, name: Some(Name::Symbol(name.to_owned())) };
    let jump_table = |named: bool| Audit::PageableData {
        target: InSection { section: section(), rva, name: Some(Name::JumpTable { jump: Box::new(jump(named)) }) },
        access: Access::Read,
        routine: None,
        irql,
    };
    let usages = [Usage::Called, Usage::Read, Usage::Written, Usage::Locked, Usage::Named];
    let discarded = usages.map(|usage| Audit::Discarded { target: there("Setup"), usage });
    let causes = [
        Audit::PageableCode { section: "PAGESER".into(), irql },
        data(Access::Read, Some("DbgPrint")),
        data(Access::Write, None),
        jump_table(true),
        jump_table(false),
        Audit::DpcPageable { role: "DPC routine".into(), section: "PAGEDPC".into() },
        Audit::Object { object: ObjectKind::Timer, home: Some(there("Timer")) },
        Audit::Object { object: ObjectKind::WorkItem, home: None },
        Audit::LockOfInit { section: "INIT".into() },
        Audit::NullHandle { routine: "MmLockPagableSectionByHandle".into() },
        Audit::LockKept { section: section(), left_by: LeftBy::Entry },
        Audit::LockKept { section: section(), left_by: LeftBy::Unload },
        Audit::LockKept { section: section(), left_by: LeftBy::ErrorPath },
        Audit::LockKept { section: section(), left_by: LeftBy::Device },
        Audit::LockKept { section: section(), left_by: LeftBy::OnePath },
        Audit::LockKept { section: section(), left_by: LeftBy::Count },
        Audit::LockKept { section: section(), left_by: LeftBy::UnloadPath },
        Audit::LockKept { section: section(), left_by: LeftBy::Handle },
        Audit::LockKept { section: section(), left_by: LeftBy::Nobody },
        Audit::NoSection { routine: "MmLockPagableDataSection".into() },
        Audit::UnlockWithoutLock,
        Audit::TooManyUnlocks { section: section() },
        Audit::RepeatLock { section: section(), places: 2 },
        Audit::HandleDereferenced,
        Audit::PageEntireWithInterrupt,
        Audit::NoModule { routine: "MmPageEntireDriver".into(), pool: true, locks: false },
        Audit::NoModule { routine: "MmLockPagableDataSection".into(), pool: false, locks: true },
        Audit::ConnectBeforeReset,
        Audit::PageEntireRace,
        Audit::PagedCodeFails { irql },
        Audit::PagedCodeInNonpaged,
        Audit::PagedCodeMissing,
        Audit::Incomplete { reasons: vec!["1 jumps go through tables that are not understood".into()] },
    ];
    causes.into_iter().chain(discarded).map(|cause| Diagnostic::from(Cause::Audit(cause))).collect()
}

fn rest() -> Vec<Diagnostic> {
    let routine = || "ExAllocatePool2".to_owned();
    let path = || "pagefile.bin".to_owned();
    let error = || "no space left on device".to_owned();
    let causes = [
        Cause::Layout(Layout::PageableNowhere { section: "PAGE".into(), bytes: 600, alignment: 0x80 }),
        Cause::Layout(Layout::SuspiciousName { section: "page".into() }),
        Cause::Layout(Layout::LongName { section: "PAGECONFIG".into(), header: "/4".into() }),
        Cause::Layout(Layout::MixedSection { section: "PAGE".into() }),
        Cause::Layout(Layout::WritableCode { section: ".text".into() }),
        Cause::Layout(Layout::ProhibitedImport { routine: "MmLockPagableDataSection".into() }),
        Cause::Layout(Layout::SmallPageable { code: true, bytes: 300 }),
        Cause::Unsupported(Unsupported::Export { module: "ntoskrnl.exe".into(), export: "ZwCreateSection".into() }),
        Cause::Unsupported(Unsupported::Parameter { routine: routine(), parameter: "Flags".into(), value: 0x4000 }),
        Cause::Unsupported(Unsupported::Instruction { bytes: vec![0x0f, 0x01, 0xd0] }),
        Cause::Unsupported(Unsupported::Hardware { place: Hardware::Port(0x3f8), write: None }),
        Cause::Unsupported(Unsupported::Hardware { place: Hardware::Msr(0x1a0), write: Some(1) }),
        Cause::Unsupported(Unsupported::Hardware { place: Hardware::Memory(0xfee0_0000), write: None }),
        Cause::Unsupported(Unsupported::Hardware { place: Hardware::ControlRegister(4), write: Some(0) }),
        Cause::Unsupported(Unsupported::Image { feature: "TLS callbacks".into() }),
        Cause::Unsupported(Unsupported::Variable { module: "ntoskrnl.exe".into(), name: "InitSafeBootMode".into() }),
        Cause::Unsupported(Unsupported::Feature { feature: "a power request".into() }),
        Cause::Limit(Limit::Resource { what: "frames for a kernel stack".into() }),
        Cause::Rule { routine: "IoCompleteRequest".into(), rule: "a request has a final status" },
        Cause::Limit(Limit::Steps { steps: 1_000_000, irql: Irql::PASSIVE }),
        Cause::Limit(Limit::Steps { steps: 1_000_000, irql: Irql::DISPATCH }),
        Cause::Limit(Limit::Frames { frames: 64, fixed: 64 }),
        Cause::Limit(Limit::Deadlock { threads: 2 }),
        Cause::Limit(Limit::PagingFile { path: path(), error: error() }),
        Cause::Limit(Limit::Output { path: "log.txt".into(), error: error() }),
        Cause::Input(Input::Arguments { problem: "`--seed` needs a number".into() }),
        Cause::Input(Input::Unreadable { role: "driver", path: "a.sys".into(), error: "no such file".into() }),
        Cause::Input(Input::NotLoadable { path: "a.sys".into(), reason: "the image has no sections".into() }),
        Cause::Input(Input::Malformed {
            role: "scenario",
            path: "a.toml".into(),
            line: Some(3),
            column: Some(1),
            text: Some("  raed = 1".into()),
            problem: "unknown field `raed`".into(),
        }),
        Cause::Input(Input::UnknownName { role: "code", name: "K99".into(), known: vec!["K01".into(), "K02".into()] }),
        Cause::OwnBug { invariant: "a page is both resident and out".into() },
    ];
    causes.map(Diagnostic::from).to_vec()
}

fn remarks() -> Vec<Diagnostic> {
    let names = ["ntoskrnl.exe!FsRtlGetFileSize", "fltmgr.sys!FltRegisterFilter"].map(str::to_owned).to_vec();
    let missing = |named: Option<&str>| Remark::SymbolsMissing {
        image: "serial.sys".into(),
        path: "build/serial.pdb".into(),
        named: named.map(str::to_owned),
    };
    let symbols = Remark::SymbolsUnusable { path: "serial.pdb".into(), problem: "it belongs to another image".into() };
    [
        Remark::UnresolvedImports { names },
        symbols,
        missing(Some("C:\\build\\serial.pdb")),
        missing(None),
        Remark::StoppedHere,
        Remark::FilesChanged { paths: vec!["close.toml".into()] },
        Remark::FilesChanged { paths: ["close.toml", "library.sys"].map(str::to_owned).to_vec() },
        Remark::FilesChanged { paths: Vec::new() },
    ]
    .map(|remark| Diagnostic::from(Cause::Remark(remark)))
    .to_vec()
}
