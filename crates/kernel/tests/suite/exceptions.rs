//! Exceptions that nobody handles, that nothing may handle, and what is left of the machine when dispatching fails.

use iced_x86::code_asm::{CodeLabel, dword_ptr, eax, ecx, edx, ptr, qword_ptr, r8d, r9d, rax, rcx, rdx, rsp};
use kernel::{Cause, EventKind, Stop, StopKind};
use nt_types::layout::{context, exception_pointers, exception_record};
use nt_types::{BugCheck, BugCheckCode, Irql, NtStatus, Rva, Va};

use crate::common::{Guest, Program, Scope, Tail, Unwind};

fn bug_check(stop: &Stop) -> (BugCheck, &Cause) {
    match &stop.kind {
        StopKind::BugCheck(check, cause) => (*check, cause),
        other => panic!("no bug check: {other:#x?}"),
    }
}

/// A function without a handler whose body `body` makes; where its last instruction is.
fn faulty(body: impl FnOnce(&mut Program) -> CodeLabel) -> (Guest, Rva, Rva) {
    faulty_with(&["KeBugCheckEx"], body)
}

fn faulty_with(imports: &[&'static str], body: impl FnOnce(&mut Program) -> CodeLabel) -> (Guest, Rva, Rva) {
    let mut p = Program::new(imports);
    let begin = p.here();
    p.code.sub(rsp, 0x28).unwrap();
    let at = body(&mut p);
    p.code.int3().unwrap();
    let end = p.here();
    p.unwind(begin, end, Unwind::of_28h(Tail::None));
    let (file, [begin, at]) = p.link([begin, at]);
    (Guest::load(file), begin, at)
}

#[test]
fn an_exception_that_nobody_handles_is_0x1e() {
    let (mut guest, begin, at) = faulty(|p| {
        let at = p.here();
        p.code.ud2().unwrap();
        at
    });
    let stop = guest.call(begin, &[]).unwrap_err();
    let (check, cause) = bug_check(&stop);
    let address = guest.at(at);
    assert_eq!(check.code, BugCheckCode::KMODE_EXCEPTION_NOT_HANDLED);
    assert_eq!(check.parameters, [u64::from(NtStatus::ILLEGAL_INSTRUCTION.0), address.0, 0, 0]);
    assert!(matches!(*cause, Cause::Exception { code: NtStatus::ILLEGAL_INSTRUCTION, address: at } if at == address));
    assert_eq!(stop.place.stack, [address]);
}

#[test]
fn a_user_mode_address_is_0x1e_with_the_access() {
    let (mut guest, begin, at) = faulty(|p| {
        p.code.mov(ecx, 0x7000).unwrap();
        let at = p.here();
        p.code.mov(dword_ptr(rcx + 8), eax).unwrap();
        at
    });
    let stop = guest.call(begin, &[]).unwrap_err();
    let (check, _) = bug_check(&stop);
    assert_eq!(check.code, BugCheckCode::KMODE_EXCEPTION_NOT_HANDLED);
    assert_eq!(check.parameters, [u64::from(NtStatus::ACCESS_VIOLATION.0), guest.at(at).0, 1, 0x7008]);
}

/// D44: the processor raises a general protection fault, in which nothing tells the address; the report does.
#[test]
fn d44_an_address_that_is_not_canonical_is_0x50() {
    const ADDRESS: u64 = 0x1234_5678_9ABC_DEF0;
    for (writes, operation) in [(false, 0), (true, 2)] {
        let (mut guest, begin, at) = faulty(|p| {
            p.code.mov(rcx, ADDRESS - 8).unwrap();
            let at = p.here();
            match writes {
                false => p.code.mov(eax, dword_ptr(rcx + 8)).unwrap(),
                true => p.code.mov(dword_ptr(rcx + 8), eax).unwrap(),
            }
            at
        });
        let stop = guest.call(begin, &[]).unwrap_err();
        let (check, _) = bug_check(&stop);
        assert_eq!(check.code, BugCheckCode::PAGE_FAULT_IN_NONPAGED_AREA);
        assert_eq!(check.parameters, [ADDRESS, operation, guest.at(at).0, 4]);
    }
}

/// A work item whose routine executes an undefined instruction, inside a `__try` of nobody.
#[test]
fn in_a_system_thread_it_is_0x7e_with_record_and_context() {
    let mut p = Program::new(&["ExQueueWorkItem", "KeDelayExecutionThread"]);
    let routine = p.here();
    p.code.ud2().unwrap();
    let start = p.here();
    p.code.sub(rsp, 0x28).unwrap();
    p.lea(rax, p.data(0x100));
    let mut target = p.label();
    p.code.lea(rcx, ptr(routine)).unwrap();
    p.code.mov(qword_ptr(rax + 0x10), rcx).unwrap(); // WorkerRoutine
    p.code.mov(rcx, rax).unwrap();
    p.code.mov(edx, 1).unwrap();
    p.call_import("ExQueueWorkItem");
    p.place(&mut target);
    p.code.pause().unwrap();
    p.code.jmp(target).unwrap();
    let end = p.here();
    p.unwind(start, end, Unwind::of_28h(Tail::None));
    let (file, [start, routine]) = p.link([start, routine]);
    let mut guest = Guest::load(file);
    let stop = guest.call(start, &[]).unwrap_err();
    let (check, _) = bug_check(&stop);
    let address = guest.at(routine);
    assert_eq!(check.code, BugCheckCode::SYSTEM_THREAD_EXCEPTION_NOT_HANDLED);
    let [code, at, record, registers] = check.parameters;
    assert_eq!((code, at), (u64::from(NtStatus::ILLEGAL_INSTRUCTION.0), address.0));
    let mut found = [0; 4];
    guest.machine.memory.peek(exception_record::EXCEPTION_CODE.at(Va(record)), &mut found).unwrap();
    assert_eq!(found, NtStatus::ILLEGAL_INSTRUCTION.0.to_le_bytes());
    let mut found = [0; 8];
    guest.machine.memory.peek(context::RIP.at(Va(registers)), &mut found).unwrap();
    assert_eq!(found, address.0.to_le_bytes());
}

/// A function that executes `body` inside a `__try` whose filter accepts everything, and then returns 7.
fn guarded(imports: &[&'static str], body: impl FnOnce(&mut Program)) -> (Guest, Rva) {
    guarded_beside(imports, |p| p.here(), |p, _| body(p))
}

/// The same, with code outside of the function at the label that `beside` gives.
fn guarded_beside(
    imports: &[&'static str],
    beside: impl FnOnce(&mut Program) -> CodeLabel,
    body: impl FnOnce(&mut Program, CodeLabel),
) -> (Guest, Rva) {
    let mut p = Program::new(&[imports, &["__C_specific_handler"]].concat());
    let other = beside(&mut p);
    let function = p.here();
    p.code.sub(rsp, 0x28).unwrap();
    let begin = p.here();
    body(&mut p, other);
    p.code.nop().unwrap();
    let end = p.here();
    p.code.xor(eax, eax).unwrap();
    p.code.add(rsp, 0x28).unwrap();
    p.code.ret().unwrap();
    let block = p.here();
    p.code.mov(eax, 7).unwrap();
    p.code.add(rsp, 0x28).unwrap();
    p.code.ret().unwrap();
    let function_end = p.here();
    let handler = p.thunk("__C_specific_handler");
    let scopes = vec![Scope { begin, end, routine: None, target: Some(block) }];
    p.unwind(function, function_end, Unwind::of_28h(Tail::Scopes { handler, scopes }));
    let (file, [function]) = p.link([function]);
    (Guest::load(file), function)
}

#[test]
fn a_handler_takes_what_is_raised_inside_its_scope() {
    let (mut guest, function) = guarded(&[], |p| p.code.ud2().unwrap());
    assert_eq!(guest.call(function, &[]).unwrap(), 7);
}

#[test]
fn fast_fail_cannot_be_handled() {
    let (mut guest, function) = guarded(&[], |p| {
        p.code.mov(ecx, 3).unwrap();
        p.code.int(0x29).unwrap();
    });
    let stop = guest.call(function, &[]).unwrap_err();
    let (check, _) = bug_check(&stop);
    assert_eq!(check.code, BugCheckCode::KERNEL_SECURITY_CHECK_FAILURE);
    assert_eq!([check.parameters[0], check.parameters[3]], [3, 0]);
    let mut code = [0; 4];
    guest.machine.memory.peek(Va(check.parameters[2]), &mut code).unwrap();
    assert_eq!(code, NtStatus::STACK_BUFFER_OVERRUN.0.to_le_bytes());
}

#[test]
fn a_stop_that_the_driver_asks_for_is_no_exception() {
    let (mut guest, function) = guarded(&["KeBugCheckEx"], |p| {
        p.code.mov(ecx, 0xE2).unwrap();
        p.code.mov(edx, 0x11).unwrap();
        p.call_import("KeBugCheckEx");
    });
    let stop = guest.call(function, &[]).unwrap_err();
    let (check, cause) = bug_check(&stop);
    assert_eq!((check.code, check.parameters[0]), (BugCheckCode(0xE2), 0x11));
    assert!(matches!(cause, Cause::Requested));
    assert_eq!(guest.names(&stop.place.stack).len(), 1);
}

#[test]
fn without_a_stack_it_is_a_double_fault() {
    for bad in [0x1000_u64, 0xFFFF_D000_1234_0000, 0x1234_5678_9ABC_DEF0, 8] {
        let (mut guest, function) = guarded(&[], |p| {
            p.code.mov(rsp, bad).unwrap();
            p.code.ud2().unwrap();
        });
        let stop = guest.call(function, &[]).unwrap_err();
        let (check, cause) = bug_check(&stop);
        assert_eq!((check.code, check.parameters[0]), (BugCheckCode::UNEXPECTED_KERNEL_MODE_TRAP, 8));
        assert!(matches!(cause, Cause::BadStack { .. }), "{cause:?}");
    }
}

/// A filter that raises an exception of its own is asked about it, and so on.
#[test]
fn endless_nesting_ends_with_the_stack() {
    let mut p = Program::new(&["__C_specific_handler"]);
    let function = p.here();
    p.code.sub(rsp, 0x28).unwrap();
    let begin = p.here();
    p.code.ud2().unwrap();
    let end = p.here();
    let filter = p.here();
    p.code.ud2().unwrap();
    let filter_end = p.here();
    let handler = p.thunk("__C_specific_handler");
    let scopes = vec![Scope { begin, end, routine: Some(filter), target: Some(begin) }];
    p.unwind(function, end, Unwind::of_28h(Tail::Scopes { handler, scopes }));
    p.unwind(filter, filter_end, Unwind::default());
    let (file, [function]) = p.link([function]);
    let mut guest = Guest::load(file);
    let stop = guest.call(function, &[]).unwrap_err();
    let (check, cause) = bug_check(&stop);
    assert_eq!((check.code, check.parameters[0]), (BugCheckCode::UNEXPECTED_KERNEL_MODE_TRAP, 8));
    assert!(matches!(cause, Cause::StackOverflow { .. }), "{cause:?}");
}

/// A DPC interrupts a function inside a `__try`. Its exception is not that function's business.
#[test]
fn an_exception_in_a_dpc_does_not_reach_what_it_interrupted() {
    let routine = |p: &mut Program| {
        let routine = p.here();
        p.code.ud2().unwrap();
        routine
    };
    let (mut guest, function) = guarded_beside(&["KeInitializeDpc", "KeInsertQueueDpc"], routine, |p, routine| {
        p.lea(rcx, p.data(0x200));
        p.code.lea(rdx, ptr(routine)).unwrap();
        p.call_import("KeInitializeDpc");
        p.lea(rcx, p.data(0x200));
        p.code.xor(edx, edx).unwrap();
        p.call_import("KeInsertQueueDpc");
        let spin = p.here();
        p.code.jmp(spin).unwrap();
    });
    let stop = guest.call(function, &[]).unwrap_err();
    let (check, _) = bug_check(&stop);
    assert_eq!(
        check.code,
        BugCheckCode::KMODE_EXCEPTION_NOT_HANDLED,
        "{check:x?} {:?}",
        guest.names(&stop.place.stack)
    );
    assert_eq!(stop.place.irql, Irql::DISPATCH);
    let names = guest.names(&stop.place.stack);
    assert_eq!(names[1], "KiInterruptDispatch", "{names:?}");
    assert!(names[2].starts_with('+'), "{names:?}");
}

/// A scope with a filter or a termination handler that stops the run; the stack that the stop shows.
fn stack_inside(target: bool) -> (Vec<String>, [String; 3]) {
    let mut p = Program::new(&["__C_specific_handler", "KeBugCheckEx"]);
    let routine = p.here();
    p.code.sub(rsp, 0x28).unwrap();
    p.call_import("KeBugCheckEx");
    let inside = p.here();
    p.code.int3().unwrap();
    let routine_end = p.here();
    let callee = p.here();
    p.code.sub(rsp, 0x28).unwrap();
    let begin = p.here();
    p.code.ud2().unwrap();
    let end = p.here();
    let callee_end = p.here();
    let caller = p.here();
    p.code.sub(rsp, 0x28).unwrap();
    p.code.call(callee).unwrap();
    let called = p.here();
    p.code.nop().unwrap();
    let caller_end = p.here();
    let block = p.here();
    let handler = p.thunk("__C_specific_handler");
    p.unwind(routine, routine_end, Unwind::of_28h(Tail::None));
    let scopes = vec![Scope { begin, end, routine: Some(routine), target: target.then_some(block) }];
    p.unwind(callee, callee_end, Unwind::of_28h(Tail::Scopes { handler, scopes }));
    let scopes = vec![Scope { begin: called, end: caller_end, routine: None, target: Some(block) }];
    p.unwind(caller, caller_end, Unwind::of_28h(Tail::Scopes { handler, scopes }));
    let (file, [caller, inside, begin, called]) = p.link([caller, inside, begin, called]);
    let mut guest = Guest::load(file);
    let stop = guest.call(caller, &[]).unwrap_err();
    (guest.names(&stop.place.stack), [inside, begin, called].map(|rva| format!("+{:#x}", rva.0)))
}

#[test]
fn the_stack_of_a_filter_leads_to_what_raised_the_exception() {
    let (stack, [inside, raised, called]) = stack_inside(true);
    assert_eq!(stack, [inside.as_str(), "__C_specific_handler", "KiExceptionDispatch", &raised, &called]);
}

/// The inner `__C_specific_handler` called it; the outer one began the unwind that tells the inner.
#[test]
fn the_stack_of_a_termination_handler_leads_to_what_is_left() {
    let (stack, [inside, raised, called]) = stack_inside(false);
    assert_eq!(stack, [inside.as_str(), "__C_specific_handler", "__C_specific_handler", &raised, &called]);
}

/// Three instructions in single step, counted by a filter that is not itself stepped through.
#[test]
fn single_step_stops_while_it_is_handled() {
    let mut p = Program::new(&["__C_specific_handler"]);
    let filter = p.here();
    p.count(0);
    p.code.mov(rax, qword_ptr(rcx + exception_pointers::CONTEXT_RECORD.offset)).unwrap();
    p.code.mov(rcx, qword_ptr(rcx + exception_pointers::EXCEPTION_RECORD.offset)).unwrap();
    p.code.cmp(dword_ptr(rcx), NtStatus::SINGLE_STEP.0 as i32).unwrap();
    let mut other = p.label();
    p.code.jne(other).unwrap();
    p.code.mov(rcx, rax).unwrap();
    p.load_eax(0);
    p.code.cmp(eax, 3).unwrap();
    let mut on = p.label();
    p.code.jb(on).unwrap();
    p.code.and(dword_ptr(rcx + context::E_FLAGS.offset), !0x100).unwrap();
    p.place(&mut on);
    p.code.mov(eax, -1).unwrap();
    p.code.ret().unwrap();
    p.place(&mut other);
    p.code.xor(eax, eax).unwrap();
    p.code.ret().unwrap();
    let function = p.here();
    p.code.sub(rsp, 0x28).unwrap();
    let begin = p.here();
    p.code.nop().unwrap();
    p.code.pushfq().unwrap();
    p.code.or(dword_ptr(rsp), 0x100).unwrap();
    p.code.popfq().unwrap();
    for _ in 0..6 {
        p.code.nop().unwrap();
    }
    let end = p.here();
    p.load_eax(0);
    p.code.add(rsp, 0x28).unwrap();
    p.code.ret().unwrap();
    let function_end = p.here();
    let handler = p.thunk("__C_specific_handler");
    let scopes = vec![Scope { begin, end, routine: Some(filter), target: Some(end) }];
    p.unwind(function, function_end, Unwind::of_28h(Tail::Scopes { handler, scopes }));
    let (file, [function]) = p.link([function]);
    assert_eq!(Guest::load(file).call(function, &[]).unwrap(), 3);
}

/// The record is the driver's, but for the address, which is that of the call.
#[test]
fn a_raised_record_keeps_its_parameters() {
    let (mut guest, begin, after) = faulty_with(&["RtlRaiseException"], |p| {
        p.lea(rcx, p.data(0x100));
        p.code.mov(dword_ptr(rcx + exception_record::EXCEPTION_CODE.offset), 0x2000_1234).unwrap();
        p.code.mov(dword_ptr(rcx + exception_record::NUMBER_PARAMETERS.offset), 2).unwrap();
        p.code.mov(qword_ptr(rcx + exception_record::EXCEPTION_INFORMATION.offset), 0x11).unwrap();
        p.code.mov(qword_ptr(rcx + exception_record::EXCEPTION_INFORMATION.element(1, 8).offset), 0x22).unwrap();
        p.call_import("RtlRaiseException");
        p.here()
    });
    let stop = guest.call(begin, &[]).unwrap_err();
    let (check, _) = bug_check(&stop);
    let after = guest.at(after);
    assert_eq!(check.parameters, [0x2000_1234, after.0, 0x11, 0x22]);
    assert_eq!(stop.place.stack, [after]);
}

#[test]
fn a_failed_assertion_prints_and_breaks() {
    let (mut guest, function) = guarded(&["RtlAssert"], |p| {
        p.lea(rcx, p.data(0x100));
        p.code.mov(dword_ptr(rcx), u32::from_le_bytes(*b"a<b\0")).unwrap();
        p.code.mov(rdx, rcx).unwrap();
        p.code.mov(r8d, 12).unwrap();
        p.code.xor(r9d, r9d).unwrap();
        p.call_import("RtlAssert");
    });
    assert_eq!(guest.call(function, &[]).unwrap(), 7);
    let kinds: Vec<&EventKind> = guest.machine.events.iter().map(|event| &event.kind).collect();
    let printed = kinds.iter().any(|kind| matches!(kind, EventKind::Printed { text } if text.contains("failed: a<b")));
    let broke = kinds.iter().any(|kind| matches!(kind, EventKind::Exception { code: NtStatus::BREAKPOINT, .. }));
    assert!(printed && broke, "{kinds:?}");
}
