//! Kernel stacks leave memory while their threads wait in user mode.

use std::io::ErrorKind;

use devices::Bus;
use kernel::{Action, EventKind, Options, RequestId, Stop, Thread, ThreadState, WaitOn};
use memory::{InjectedFault, Injection, MemoryConfig, PageState, TrimPolicy, TrimReason};
use nt_types::{NtStatus, PAGE_SIZE, Va};

use crate::probe::Probe;
use crate::sample::{IOCTL, Lab, Setup, bug_check};

/// Waits in user mode for an event of its device, and in kernel mode for one on its stack.
const IN_USER_MODE: &str = "broken/x61-status-on-swapped-stack-fixed";
const IN_KERNEL_MODE: &str = "broken/x60-event-on-swapped-stack-fixed";
/// Waits in user mode while its stack is not allowed to leave.
const KEPT: &str = "broken/94-stack-kept-at-exit-fixed";

/// A driver whose control request waits for a timer.
fn waiting(mut lab: Lab, driver: &str) -> (Lab, RequestId) {
    let base = lab.load(driver).expect("it starts");
    let file = lab.open(base).expect("it opens");
    let request = lab.start(Action::Ioctl { file, code: IOCTL, input: vec![0; 4], output_length: 64 });
    lab.pass_ns(500_000).expect("it waits");
    (lab, request)
}

fn in_config(config: MemoryConfig) -> Lab {
    Lab::with(Options::default(), MemoryConfig { frames: 8192, ..config }, Bus::new())
}

/// The pages of the stacks of threads that a driver has wait for an object; there must be some.
fn stacks(lab: &Lab) -> Vec<Va> {
    let waits = |thread: &&Thread| match &thread.state {
        ThreadState::Waiting { wait, .. } => matches!(wait.on, WaitOn::Objects { .. } | WaitOn::PageReads(_)),
        _ => false,
    };
    let pages = |thread: &Thread| (0..(thread.stack.1 - thread.stack.0) / PAGE_SIZE).map(|page| page * PAGE_SIZE);
    let stacks: Vec<Va> =
        lab.machine.threads().filter(waits).flat_map(|thread| pages(thread).map(|at| thread.stack.0 + at)).collect();
    assert!(!stacks.is_empty(), "somebody waits");
    stacks
}

fn out(lab: &Lab, pages: &[Va]) -> usize {
    pages.iter().filter(|page| matches!(lab.machine.memory.page_state(**page), PageState::Out { .. })).count()
}

fn answer(lab: &mut Lab, request: RequestId) -> Result<NtStatus, Box<Stop>> {
    Ok(lab.finish(request)?.expect("it is answered").status)
}

/// R190, D51: the stack of who waits in user mode leaves as a whole and is back, as it was, before the thread goes on.
#[test]
fn r190_d51_a_stack_leaves_while_its_thread_waits_in_user_mode() {
    let (mut lab, request) = waiting(Lab::new(Setup::TRIMMED), IN_USER_MODE);
    let pages = stacks(&lab);
    assert_eq!((pages.len(), out(&lab, &pages)), (6, 6));
    assert_eq!(answer(&mut lab, request).expect("it goes on"), NtStatus::SUCCESS);
    let back =
        |event: &kernel::Event| matches!(event.kind, EventKind::PagedIn { page, hard: true } if pages.contains(&page));
    assert_eq!(lab.machine.events.iter().filter(|event| back(event)).count(), 6);
    assert!(lab.codes().is_empty());
}

/// R190: in kernel mode it stays, also where everything leaves that may.
#[test]
fn r190_a_stack_stays_while_its_thread_waits_in_kernel_mode() {
    let (mut lab, request) = waiting(Lab::new(Setup::TRIMMED), IN_KERNEL_MODE);
    let pages = stacks(&lab);
    lab.machine.evict(&pages, TrimReason::Command);
    assert_eq!(out(&lab, &pages), 0);
    assert_eq!(answer(&mut lab, request).expect("it goes on"), NtStatus::SUCCESS);
}

/// D51: whichever of its pages is asked for, all of the stack leaves; where no policy asks for any, none does.
#[test]
fn d51_a_stack_leaves_as_a_whole() {
    for trim in [TrimPolicy::OnRaise, TrimPolicy::Pressure, TrimPolicy::Never] {
        let (mut lab, request) = waiting(in_config(MemoryConfig { trim, ..MemoryConfig::default() }), IN_USER_MODE);
        let pages = stacks(&lab);
        assert_eq!(out(&lab, &pages), 0, "{trim:?}");
        lab.machine.evict(&pages[2..3], TrimReason::Command);
        assert_eq!(out(&lab, &pages), 6, "{trim:?}");
        assert_eq!(answer(&mut lab, request).expect("it goes on"), NtStatus::SUCCESS, "{trim:?}");
    }
}

/// D51: pages that keep their frames for a while come back from there without a read.
#[test]
fn d51_a_stack_in_transition_comes_back_at_once() {
    let config = MemoryConfig { trim: TrimPolicy::AtOnce, transition_stay: true, ..MemoryConfig::default() };
    let (mut lab, request) = waiting(in_config(config), IN_USER_MODE);
    let pages = stacks(&lab);
    assert!(pages.iter().all(|page| matches!(lab.machine.memory.page_state(*page), PageState::Transition { .. })));
    let reads = lab.machine.memory.counters().reads;
    assert_eq!(answer(&mut lab, request).expect("it goes on"), NtStatus::SUCCESS);
    assert_eq!(lab.machine.memory.counters().reads, reads);
}

/// A fork in the middle of the wait goes on as the other side does.
#[test]
fn d51_both_sides_of_a_fork_get_the_stack_back() {
    let (mut lab, request) = waiting(Lab::new(Setup::TRIMMED), IN_USER_MODE);
    let mut fork = lab.machine.fork();
    assert_eq!(fork.state_hash(), lab.machine.state_hash());
    assert_eq!(answer(&mut lab, request).expect("it goes on"), NtStatus::SUCCESS);
    std::mem::swap(&mut fork, &mut lab.machine);
    assert_eq!(answer(&mut lab, request).expect("so does the fork"), NtStatus::SUCCESS);
    assert_eq!(fork.state_hash(), lab.machine.state_hash());
}

/// D52: the global flag "Disable paging of kernel stacks" keeps stacks in memory, DisablePagingExecutive does not.
#[test]
fn d52_what_keeps_stacks_in_memory() {
    let session_manager = r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager";
    let rows = [
        (format!("['{session_manager}']\nGlobalFlag = 0x80000\n"), 0),
        (format!("['{session_manager}']\nGlobalFlag = 0x40000\n"), 6),
        (format!("['{session_manager}\\Memory Management']\nDisablePagingExecutive = 1\n"), 6),
    ];
    for (text, left) in rows {
        let mut registry = kernel::Registry::default();
        registry.load(text.as_bytes()).expect("the registry file is right");
        let config = MemoryConfig { frames: 8192, trim: TrimPolicy::AtOnce, ..MemoryConfig::default() };
        let lab = Lab::with(Options { registry, ..Options::default() }, config, Bus::new());
        let (lab, _) = waiting(lab, IN_USER_MODE);
        assert_eq!(out(&lab, &stacks(&lab)), left, "{text}");
    }
}

/// R191: the routine says how it was before, and a stack that is not allowed to leave stays in a wait in user mode.
#[test]
fn r191_swapping_can_be_disabled() {
    let (lab, _) = waiting(Lab::new(Setup::TRIMMED), KEPT);
    assert_eq!(out(&lab, &stacks(&lab)), 0);
    let mut probe = Probe::plain();
    let stop = probe.ask("KeSetKernelStackSwapEnable", &[0]).expect_err("its thread ends so");
    assert_eq!(bug_check(&stop).code.0, 0x94);
    let mut probe = Probe::plain();
    assert_eq!(probe.ask("KeSetKernelStackSwapEnable", &[1]).expect("it may end"), 1, "it was enabled");
}

/// R192, D53: a stack that cannot be read back is 0x77 with the status and the place in the paging file; a read that ends early
/// is the form with P1 = 2. A wrong checksum is 0x1A/0x3f as for any page (D46).
#[test]
fn r192_d53_a_stack_that_cannot_be_read_back_is_0x77() {
    let status = |status: u32| (InjectedFault::ReadStatus(NtStatus(status)), status);
    let io = (InjectedFault::ReadIo(ErrorKind::Other), 0xC000_0185);
    let documented = [0xC000_009A, 0xC000_009C, 0xC000_009D, 0xC000_016A, 0xC000_0185].map(status);
    for (fault, status) in documented.into_iter().chain([io]) {
        let (pages, check) = lost(fault);
        let offset = check.parameters[3];
        assert_eq!((check.code.0, check.parameters), (0x77, [status.into(), status.into(), 0, offset]), "{fault:?}");
        assert!(offset.is_multiple_of(PAGE_SIZE) && !pages.is_empty());
    }
    let (pages, check) = lost(InjectedFault::ShortRead);
    assert_eq!((check.code.0, check.parameters), (0x77, [2, 0, 0, pages[0].0]));
    let (_, check) = lost(InjectedFault::BitFlip);
    assert_eq!((check.code.0, check.parameters[0]), (0x1A, 0x3F));
}

/// The stack of a waiting thread, and the bug check where the next read of the paging file fails like this.
fn lost(fault: InjectedFault) -> (Vec<Va>, nt_types::BugCheck) {
    let (mut lab, request) = waiting(Lab::new(Setup::TRIMMED), IN_USER_MODE);
    let pages = stacks(&lab);
    lab.machine.memory.inject(Injection { number: 1, fault });
    let stop = answer(&mut lab, request).expect_err("the stack is lost");
    (pages, bug_check(&stop))
}

/// D26: whoever else touches such a stack at PASSIVE_LEVEL and cannot have the page gets 0x7A.
#[test]
fn d26_another_thread_that_touches_a_stack_gets_0x7a() {
    let (mut lab, _) = waiting(Lab::new(Setup::TRIMMED), IN_USER_MODE);
    let page = stacks(&lab)[0];
    let fault = InjectedFault::ReadStatus(NtStatus::IO_DEVICE_ERROR);
    lab.machine.memory.inject(Injection { number: 1, fault });
    let read = lab.machine.kernel_images().export("ntoskrnl.exe", "KeReadStateEvent").expect("it is exported");
    let request = lab.machine.call_routine("touch", read, &[page.0]).expect("it starts");
    let stop = lab.finish(request).expect_err("the page cannot be read");
    assert_eq!(bug_check(&stop).code.0, 0x7A);
}
