//! Unwinding and walks of the stack as drivers ask for them.

use iced_x86::code_asm::{
    CodeLabel, dword_ptr, eax, ebx, ecx, edx, ptr, qword_ptr, r8, r8d, r9, r9d, rax, rbp, rbx, rcx, rdx, rsi, rsp,
};
use kernel::{Cause, StopKind};
use nt_types::layout::{context, dispatcher_context, exception_record};
use nt_types::{NtStatus, Rva};

use crate::common::{Guest, Program, Scope, Tail, Unwind};

const EXECUTE: Option<CodeLabel> = None;

/// `_local_unwind` to a place outside of two scopes with `__finally` but inside a third one, which stays.
#[test]
fn local_unwind_runs_the_termination_handlers_on_its_way() {
    let mut p = Program::new(&["_local_unwind", "__C_specific_handler"]);
    let mut finals = Vec::new();
    for digit in 1..=3 {
        finals.push(p.here());
        p.load_eax(0);
        p.code.shl(eax, 4).unwrap();
        p.code.or(eax, digit).unwrap();
        p.store_eax(0);
        p.code.ret().unwrap();
    }
    let function = p.here();
    p.code.push(rbx).unwrap();
    p.code.sub(rsp, 0x20).unwrap();
    p.code.mov(ebx, 0x55).unwrap();
    let outer = p.here();
    let middle = p.here();
    let inner = p.here();
    p.code.mov(rcx, rsp).unwrap();
    let mut target = p.label();
    p.code.lea(rdx, ptr(target)).unwrap();
    p.call_import("_local_unwind");
    p.code.int3().unwrap();
    let inner_end = p.here();
    let middle_end = p.here();
    p.place(&mut target);
    p.load_eax(0);
    p.code.nop().unwrap();
    let outer_end = p.here();
    p.code.shl(rbx, 8).unwrap();
    p.code.or(rax, rbx).unwrap();
    p.code.add(rsp, 0x20).unwrap();
    p.code.pop(rbx).unwrap();
    p.code.ret().unwrap();
    let end = p.here();
    let handler = p.thunk("__C_specific_handler");
    let scope = |begin, end, index: usize| Scope { begin, end, routine: Some(finals[index]), target: None };
    let scopes = vec![scope(inner, inner_end, 0), scope(middle, middle_end, 1), scope(outer, outer_end, 2)];
    let codes = vec![[5, 0x32], [1, 0x30]];
    p.unwind(
        function,
        end,
        Unwind { prolog_size: 5, frame: 0, codes, tail: Tail::Scopes { handler, scopes }, ..Unwind::default() },
    );
    let (file, [function]) = p.link([function]);
    assert_eq!(Guest::load(file).call(function, &[]).unwrap(), 0x5512);
}

/// A function with a handler of its own that unwinds by `RtlUnwindEx`, with a value.
#[test]
fn a_handler_of_the_driver_unwinds_to_its_function() {
    let mut p = Program::new(&["RtlUnwindEx"]);
    let handler = p.here();
    p.code.sub(rsp, 0x38).unwrap();
    p.code.mov(eax, dword_ptr(rcx + exception_record::EXCEPTION_FLAGS.offset)).unwrap();
    p.code.test(eax, 6).unwrap(); // EXCEPTION_UNWINDING, EXCEPTION_EXIT_UNWIND
    let mut told = p.label();
    p.code.jne(told).unwrap();
    p.code.mov(rax, qword_ptr(r9 + dispatcher_context::IMAGE_BASE.offset)).unwrap();
    p.code.mov(r8, rcx).unwrap();
    p.code.mov(rcx, rdx).unwrap();
    p.code.mov(rdx, qword_ptr(r9 + dispatcher_context::HANDLER_DATA.offset)).unwrap();
    p.code.mov(edx, dword_ptr(rdx)).unwrap();
    p.code.add(rdx, rax).unwrap();
    p.code.mov(r9d, 0x1234).unwrap();
    p.code.mov(qword_ptr(rsp + 0x20), 0).unwrap();
    p.code.mov(qword_ptr(rsp + 0x28), 0).unwrap();
    p.call_import("RtlUnwindEx");
    p.code.int3().unwrap();
    p.place(&mut told);
    p.count(0);
    p.code.mov(eax, 1).unwrap(); // ExceptionContinueSearch
    p.code.add(rsp, 0x38).unwrap();
    p.code.ret().unwrap();
    let handler_end = p.here();
    let function = p.here();
    p.code.sub(rsp, 0x28).unwrap();
    p.code.ud2().unwrap();
    let target = p.here();
    p.code.mov(ecx, eax).unwrap();
    p.load_eax(0);
    p.code.shl(eax, 16).unwrap();
    p.code.or(eax, ecx).unwrap();
    p.code.add(rsp, 0x28).unwrap();
    p.code.ret().unwrap();
    let end = p.here();
    p.unwind(handler, handler_end, Unwind { prolog_size: 4, frame: 0, codes: vec![[4, 0x62]], ..Unwind::default() });
    p.unwind(function, end, Unwind::of_28h(Tail::Handler { handler, data: target }));
    let (file, [function]) = p.link([function]);
    assert_eq!(Guest::load(file).call(function, &[]).unwrap(), 0x1_1234);
}

/// The handler that Microsoft's compiler puts in front of `__C_specific_handler` for functions with a security cookie: it
/// calls it, with a frame of its own.
#[test]
fn a_handler_of_the_driver_calls_the_handler_of_c() {
    let mut p = Program::new(&["__C_specific_handler"]);
    let handler = p.here();
    p.code.push(rbp).unwrap();
    p.code.push(rbx).unwrap();
    p.code.sub(rsp, 0x28).unwrap();
    p.count(0);
    p.call_import("__C_specific_handler");
    p.code.add(rsp, 0x28).unwrap();
    p.code.pop(rbx).unwrap();
    p.code.pop(rbp).unwrap();
    p.code.ret().unwrap();
    let handler_end = p.here();
    let function = p.here();
    p.code.sub(rsp, 0x28).unwrap();
    let begin = p.here();
    p.code.ud2().unwrap();
    let end = p.here();
    let target = p.here();
    p.code.mov(ecx, eax).unwrap();
    p.load_eax(0);
    p.code.xor(eax, ecx).unwrap();
    p.code.add(rsp, 0x28).unwrap();
    p.code.ret().unwrap();
    let function_end = p.here();
    let codes = vec![[6, 0x42], [2, 0x30], [1, 0x50]];
    p.unwind(handler, handler_end, Unwind { prolog_size: 6, frame: 0, codes, ..Unwind::default() });
    let scopes = vec![Scope { begin, end, routine: EXECUTE, target: Some(target) }];
    p.unwind(function, function_end, Unwind::of_28h(Tail::Scopes { handler, scopes }));
    let (file, [function]) = p.link([function]);
    let both_phases = 2;
    let expected = NtStatus::ILLEGAL_INSTRUCTION.0 ^ both_phases;
    assert_eq!(Guest::load(file).call(function, &[]).unwrap(), u64::from(expected));
}

/// The loop with which drivers walk their own stack: capture, look up, unwind, until a frame has no function.
#[test]
fn a_driver_walks_its_own_stack() {
    let mut p = Program::new(&["RtlCaptureContext", "RtlLookupFunctionEntry", "RtlVirtualUnwind"]);
    let records = p.data(0x800);
    let inner = p.here();
    p.code.push(rbx).unwrap();
    p.code.push(rsi).unwrap();
    p.code.sub(rsp, 0x58).unwrap();
    p.lea(rbx, p.data(0x100)); // CONTEXT
    p.lea(rsi, records);
    p.code.mov(rcx, rbx).unwrap();
    p.call_import("RtlCaptureContext");
    let captured = p.here();
    let step = p.here();
    p.code.mov(rax, qword_ptr(rbx + context::RIP.offset)).unwrap();
    p.code.mov(qword_ptr(rsi), rax).unwrap();
    p.code.add(rsi, 8).unwrap();
    p.code.mov(rcx, rax).unwrap();
    p.code.lea(rdx, rsp + 0x40).unwrap();
    p.code.xor(r8d, r8d).unwrap();
    p.call_import("RtlLookupFunctionEntry");
    let mut done = p.label();
    p.code.test(rax, rax).unwrap();
    p.code.je(done).unwrap();
    p.code.mov(qword_ptr(rsp + 0x20), rbx).unwrap(); // ContextRecord
    p.code.lea(rcx, rsp + 0x48).unwrap();
    p.code.mov(qword_ptr(rsp + 0x28), rcx).unwrap(); // HandlerData
    p.code.lea(rcx, rsp + 0x50).unwrap();
    p.code.mov(qword_ptr(rsp + 0x30), rcx).unwrap(); // EstablisherFrame
    p.code.mov(qword_ptr(rsp + 0x38), 0).unwrap(); // ContextPointers
    p.code.xor(ecx, ecx).unwrap(); // UNW_FLAG_NHANDLER
    p.code.mov(rdx, qword_ptr(rsp + 0x40)).unwrap();
    p.code.mov(r8, qword_ptr(rbx + context::RIP.offset)).unwrap();
    p.code.mov(r9, rax).unwrap();
    p.call_import("RtlVirtualUnwind");
    p.code.jmp(step).unwrap();
    p.place(&mut done);
    p.code.add(rsp, 0x58).unwrap();
    p.code.pop(rsi).unwrap();
    p.code.pop(rbx).unwrap();
    p.code.ret().unwrap();
    let inner_end = p.here();
    let outer = p.here();
    p.code.push(rbp).unwrap();
    p.code.mov(rbp, rsp).unwrap();
    p.code.sub(rsp, 0x20).unwrap();
    p.code.call(inner).unwrap();
    let called = p.here();
    p.code.nop().unwrap();
    p.code.mov(rsp, rbp).unwrap();
    p.code.pop(rbp).unwrap();
    p.code.ret().unwrap();
    let outer_end = p.here();
    let codes = vec![[6, 0xA2], [2, 0x60], [1, 0x30]];
    p.unwind(inner, inner_end, Unwind { prolog_size: 6, frame: 0, codes, ..Unwind::default() });
    let codes = vec![[8, 0x32], [4, 0x03], [1, 0x50]];
    p.unwind(outer, outer_end, Unwind { prolog_size: 8, frame: 0x05, codes, ..Unwind::default() });
    let (file, [outer, captured, called]) = p.link([outer, captured, called]);
    let mut guest = Guest::load(file);
    guest.call(outer, &[]).unwrap();
    let places: Vec<String> = guest.names(&[0, 8, 16].map(|at| guest.peek_va(guest.at(Rva(records.0 + at)))));
    let names = [captured, called].map(|rva| format!("+{:#x}", rva.0));
    assert_eq!(places, [&names[0], &names[1], "KiReturnFromRoutine"]);
}

/// `RtlCaptureContext` and `RtlRestoreContext`: back to where the context was taken, with the registers of then.
#[test]
fn a_restored_context_goes_on_where_it_was_captured() {
    let mut p = Program::new(&["RtlCaptureContext", "RtlRestoreContext"]);
    let function = p.here();
    p.code.push(rbx).unwrap();
    p.code.sub(rsp, 0x20).unwrap();
    p.code.mov(rbx, 0x77_u64).unwrap();
    p.lea(rcx, p.data(0x100));
    p.call_import("RtlCaptureContext");
    p.count(0);
    p.load_eax(0);
    p.code.cmp(eax, 3).unwrap();
    let mut done = p.label();
    p.code.je(done).unwrap();
    p.code.xor(rbx, rbx).unwrap();
    p.lea(rcx, p.data(0x100));
    p.code.xor(edx, edx).unwrap();
    p.call_import("RtlRestoreContext");
    p.code.int3().unwrap();
    p.place(&mut done);
    p.code.shl(eax, 8).unwrap();
    p.code.or(rax, rbx).unwrap();
    p.code.add(rsp, 0x20).unwrap();
    p.code.pop(rbx).unwrap();
    p.code.ret().unwrap();
    let (file, [function]) = p.link([function]);
    assert_eq!(Guest::load(file).call(function, &[]).unwrap(), 0x377);
}

/// `RtlUnwind` to a frame that does not exist is an exception itself.
#[test]
fn a_target_frame_that_is_none_is_an_exception() {
    let mut p = Program::new(&["RtlUnwind"]);
    let function = p.here();
    p.code.sub(rsp, 0x28).unwrap();
    p.code.lea(rcx, rsp - 0x100).unwrap();
    p.code.xor(r8d, r8d).unwrap();
    p.code.xor(r9d, r9d).unwrap();
    p.code.xor(edx, edx).unwrap();
    p.call_import("RtlUnwind");
    p.code.int3().unwrap();
    let end = p.here();
    p.unwind(function, end, Unwind::of_28h(Tail::None));
    let (file, [function]) = p.link([function]);
    let stop = Guest::load(file).call(function, &[]).unwrap_err();
    let StopKind::BugCheck(check, _) = stop.kind else { panic!("{:?}", stop.kind) };
    assert_eq!(check.parameters[0], u64::from(NtStatus::INVALID_UNWIND_TARGET.0));
}

/// The entries of `RtlCaptureStackBackTrace`, and the number that `RtlWalkFrameChain` finds.
#[test]
fn the_kernel_captures_the_stack_for_the_driver() {
    let mut p = Program::new(&["RtlCaptureStackBackTrace", "RtlWalkFrameChain", "RtlPcToFileHeader"]);
    let (places, hash, header) = (p.data(0x100), p.data(0x80), p.data(0x88));
    let inner = p.here();
    p.code.push(rbx).unwrap();
    p.code.sub(rsp, 0x20).unwrap();
    p.code.xor(ecx, ecx).unwrap();
    p.code.mov(edx, 8).unwrap();
    p.lea(r8, places);
    p.lea(r9, hash);
    p.call_import("RtlCaptureStackBackTrace");
    let first = p.here();
    p.code.mov(rbx, rax).unwrap();
    p.lea(rcx, p.data(0x200));
    p.code.mov(edx, 1).unwrap();
    p.code.xor(r8d, r8d).unwrap();
    p.call_import("RtlWalkFrameChain");
    p.code.shl(rbx, 8).unwrap();
    p.code.or(rbx, rax).unwrap();
    p.code.lea(rcx, ptr(inner)).unwrap();
    p.lea(rdx, header);
    p.call_import("RtlPcToFileHeader");
    p.code.mov(rax, rbx).unwrap();
    p.code.add(rsp, 0x20).unwrap();
    p.code.pop(rbx).unwrap();
    p.code.ret().unwrap();
    let inner_end = p.here();
    let outer = p.here();
    p.code.sub(rsp, 0x28).unwrap();
    p.code.call(inner).unwrap();
    let second = p.here();
    p.code.add(rsp, 0x28).unwrap();
    p.code.ret().unwrap();
    let outer_end = p.here();
    p.unwind(
        inner,
        inner_end,
        Unwind { prolog_size: 5, frame: 0, codes: vec![[5, 0x32], [1, 0x30]], ..Unwind::default() },
    );
    p.unwind(outer, outer_end, Unwind::of_28h(Tail::None));
    let (file, [outer, first, second]) = p.link([outer, first, second]);
    let mut guest = Guest::load(file);
    assert_eq!(guest.call(outer, &[]).unwrap(), 0x201);
    let found = [0, 8].map(|at| guest.peek_va(guest.at(Rva(places.0 + at))));
    assert_eq!(found, [guest.at(first), guest.at(second)]);
    let sum = (found[0].0 as u32).wrapping_add(found[1].0 as u32);
    assert_eq!(guest.peek_va(guest.at(hash)).0 as u32, sum);
    assert_eq!(guest.peek_va(guest.at(header)), guest.base);
}

/// `__chkstk` changes no register; a frame larger than the stack is found before it is used.
#[test]
fn chkstk_touches_the_stack_that_is_about_to_be_taken() {
    let program = |size: u32| {
        let mut p = Program::new(&["__chkstk"]);
        let function = p.here();
        p.code.mov(eax, size).unwrap();
        p.call_import("__chkstk");
        p.code.ret().unwrap();
        let (file, [function]) = p.link([function]);
        (Guest::load(file), function)
    };
    let (mut guest, function) = program(0x3000);
    assert_eq!(guest.call(function, &[]).unwrap(), 0x3000);
    let (mut guest, function) = program(0x7000);
    let stop = guest.call(function, &[]).unwrap_err();
    assert!(matches!(stop.kind, StopKind::BugCheck(_, Cause::StackOverflow { .. })), "{:?}", stop.kind);
}
