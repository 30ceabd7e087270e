//! Unwind information: its forms, and where it is out or wrong.

use iced_x86::code_asm::{CodeLabel, cr8, ebp, ecx, qword_ptr, rax, rbp, rbx, rcx, rsi, rsp, xmm6, xmmword_ptr};
use kernel::{Cause, EventKind, StopKind};
use nt_types::{BugCheckCode, NtStatus, Rva};

use crate::common::{Guest, Program, Scope, Tail, Unwind};

const EXECUTE: Option<CodeLabel> = None;

/// Nonvolatile registers of the handling function are what they were, although its callee changed them all.
#[test]
fn unwinding_restores_general_and_xmm_registers() {
    let mut p = Program::new(&["__C_specific_handler"]);
    let callee = p.here();
    p.code.push(rsi).unwrap(); // 1
    p.code.push(rbx).unwrap(); // 2
    p.code.sub(rsp, 0x28).unwrap(); // 6
    p.code.movaps(xmmword_ptr(rsp + 0x10), xmm6).unwrap(); // 11
    p.code.xorps(xmm6, xmm6).unwrap();
    p.code.xor(rbx, rbx).unwrap();
    p.code.xor(rsi, rsi).unwrap();
    p.code.ud2().unwrap();
    let callee_end = p.here();
    let function = p.here();
    p.code.push(rsi).unwrap();
    p.code.push(rbx).unwrap();
    p.code.sub(rsp, 0x28).unwrap();
    p.code.mov(rbx, 0x1111_2222_3333_4444_u64).unwrap();
    p.code.mov(rsi, 0x5555_6666_7777_8888_u64).unwrap();
    p.code.movq(xmm6, rbx).unwrap();
    let begin = p.here();
    p.code.call(callee).unwrap();
    p.code.nop().unwrap();
    let end = p.here();
    let target = p.here();
    p.code.movq(rax, xmm6).unwrap();
    p.code.add(rax, rbx).unwrap();
    p.code.add(rax, rsi).unwrap();
    p.code.add(rsp, 0x28).unwrap();
    p.code.pop(rbx).unwrap();
    p.code.pop(rsi).unwrap();
    p.code.ret().unwrap();
    let function_end = p.here();
    let handler = p.thunk("__C_specific_handler");
    let codes = vec![[11, 0x68], [1, 0], [6, 0x42], [2, 0x30], [1, 0x60]];
    p.unwind(callee, callee_end, Unwind { prolog_size: 11, frame: 0, codes, ..Unwind::default() });
    let scopes = vec![Scope { begin, end, routine: EXECUTE, target: Some(target) }];
    let codes = vec![[6, 0x42], [2, 0x30], [1, 0x60]];
    let tail = Tail::Scopes { handler, scopes };
    p.unwind(function, function_end, Unwind { prolog_size: 6, frame: 0, codes, tail, ..Unwind::default() });
    let (file, [function]) = p.link([function]);
    let expected = 2 * 0x1111_2222_3333_4444_u64 + 0x5555_6666_7777_8888;
    assert_eq!(Guest::load(file).call(function, &[]).unwrap(), expected);
}

/// A function whose function table lies in a pageable section, and which handles an exception at a given IRQL.
fn with_paged_tables(irql: u64) -> (Guest, Rva) {
    let mut p = Program::new(&["__C_specific_handler"]);
    p.tables_in("PAGEUNW");
    let function = p.here();
    p.code.sub(rsp, 0x28).unwrap();
    p.code.mov(rax, irql).unwrap();
    p.code.mov(cr8, rax).unwrap();
    let begin = p.here();
    p.code.ud2().unwrap();
    let end = p.here();
    let target = p.here();
    p.code.mov(ecx, 0).unwrap();
    p.code.mov(cr8, rcx).unwrap();
    p.code.add(rsp, 0x28).unwrap();
    p.code.ret().unwrap();
    let function_end = p.here();
    let handler = p.thunk("__C_specific_handler");
    let scopes = vec![Scope { begin, end, routine: EXECUTE, target: Some(target) }];
    p.unwind(function, function_end, Unwind::of_28h(Tail::Scopes { handler, scopes }));
    let (file, [function]) = p.link([function]);
    (Guest::load(file), function)
}

#[test]
fn unwind_information_that_is_out_comes_back_for_the_dispatch() {
    let (mut guest, function) = with_paged_tables(0);
    let code = u64::from(NtStatus::ILLEGAL_INSTRUCTION.0);
    assert_eq!(guest.call(function, &[]).unwrap(), code);
    let paged_in = guest.machine.events.iter().filter(|event| matches!(event.kind, EventKind::PagedIn { .. }));
    assert_eq!(paged_in.count(), 1);
}

/// R162: the kernel's own code touches a driver's page that is out.
#[test]
fn unwind_information_that_is_out_is_0xd3_at_dispatch_level() {
    let (mut guest, function) = with_paged_tables(2);
    let stop = guest.call(function, &[]).unwrap_err();
    let StopKind::BugCheck(check, Cause::Access { .. }) = stop.kind else { panic!("{:?}", stop.kind) };
    assert_eq!(check.code, BugCheckCode::DRIVER_PORTION_MUST_BE_NONPAGED);
}

/// Whatever unwind information says, dispatching an exception ends.
#[test]
fn unwind_information_that_makes_no_sense_ends_the_search() {
    let nonsense: [Unwind; 5] = [
        Unwind { codes: vec![[0, 0x0B]], ..Unwind::default() }, // an unknown operation
        Unwind { codes: vec![[0, 0x03]], frame: 0x05, ..Unwind::default() }, // a frame pointer that leads nowhere
        Unwind { codes: vec![[0, 0x0A]], ..Unwind::default() }, // a machine frame that is none
        Unwind { tail: Tail::Chained(0), ..Unwind::default() }, // a chain that never ends
        Unwind { codes: vec![[0, 0x11], [0xFF, 0xFF], [0xFF, 0xFF]], ..Unwind::default() }, // 4 GiB of stack
    ];
    for (index, unwind) in nonsense.into_iter().enumerate() {
        let mut p = Program::new(&["KeBugCheckEx"]);
        let function = p.here();
        p.code.xor(ebp, ebp).unwrap();
        let at = p.here();
        p.code.ud2().unwrap();
        let end = p.here();
        p.unwind(function, end, unwind);
        let (file, [function, at]) = p.link([function, at]);
        let mut guest = Guest::load(file);
        let stop = guest.call(function, &[]).unwrap_err();
        let StopKind::BugCheck(check, Cause::Exception { address, .. }) = stop.kind else {
            panic!("{index}: {:x?}", stop.kind)
        };
        assert_eq!((check.code, address), (BugCheckCode::KMODE_EXCEPTION_NOT_HANDLED, guest.at(at)), "{index}");
    }
}

#[test]
fn a_scope_table_that_never_ends_is_cut() {
    let mut p = Program::new(&["__C_specific_handler"]);
    let function = p.here();
    p.code.ud2().unwrap();
    let end = p.here();
    let handler = p.thunk("__C_specific_handler");
    p.unwind(function, end, Unwind { tail: Tail::Rows { handler, rows: u32::MAX }, ..Unwind::default() });
    let (file, [function]) = p.link([function]);
    let stop = Guest::load(file).call(function, &[]).unwrap_err();
    assert!(matches!(stop.kind, StopKind::BugCheck(..)), "{:?}", stop.kind);
}

/// A part of a function that is chained to another part: its own registers, then those of the first.
#[test]
fn chained_unwind_information_is_undone_part_by_part() {
    let mut p = Program::new(&["__C_specific_handler"]);
    let callee = p.here();
    p.code.push(rbx).unwrap();
    p.code.sub(rsp, 0x20).unwrap();
    let mut cold = p.label();
    p.code.jmp(cold).unwrap();
    let callee_end = p.here();
    p.place(&mut cold);
    p.code.mov(qword_ptr(rsp + 0x38), rsi).unwrap(); // 5
    p.code.xor(rbx, rbx).unwrap();
    p.code.xor(rsi, rsi).unwrap();
    p.code.ud2().unwrap();
    let cold_end = p.here();
    let function = p.here();
    p.code.sub(rsp, 0x28).unwrap();
    p.code.mov(rbx, 0x11_u64).unwrap();
    p.code.mov(rsi, 0x22_u64).unwrap();
    let begin = p.here();
    p.code.call(callee).unwrap();
    p.code.nop().unwrap();
    let end = p.here();
    let target = p.here();
    p.code.lea(rax, rbx + rsi * 2).unwrap();
    p.code.add(rsp, 0x28).unwrap();
    p.code.ret().unwrap();
    let function_end = p.here();
    let handler = p.thunk("__C_specific_handler");
    let codes = vec![[5, 0x32], [1, 0x30]];
    let first = p.unwind(callee, callee_end, Unwind { prolog_size: 5, frame: 0, codes, ..Unwind::default() });
    let codes = vec![[5, 0x64], [7, 0]];
    p.unwind(
        cold,
        cold_end,
        Unwind { prolog_size: 5, frame: 0, codes, tail: Tail::Chained(first), ..Unwind::default() },
    );
    let scopes = vec![Scope { begin, end, routine: EXECUTE, target: Some(target) }];
    p.unwind(function, function_end, Unwind::of_28h(Tail::Scopes { handler, scopes }));
    let (file, [function]) = p.link([function]);
    assert_eq!(Guest::load(file).call(function, &[]).unwrap(), 0x55);
}

/// Numbers that look random, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Random unwind information, of a form that gets past the header: every run ends, in one way or another.
#[test]
fn random_unwind_information_always_ends() {
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    for _ in 0..400 {
        let mut p = Program::new(&["__C_specific_handler"]);
        let function = p.here();
        p.code.sub(rsp, 0x68).unwrap();
        p.code.lea(rbp, rsp + 0x20).unwrap();
        p.code.ud2().unwrap();
        p.code.add(rsp, 0x68).unwrap();
        p.code.ret().unwrap();
        let end = p.here();
        let count = numbers.next() % 8;
        let flags = [0, 1, 2, 3, 4][numbers.next() as usize % 5];
        let mut bytes =
            vec![(1 + (numbers.next() % 2) as u8) | flags << 3, (numbers.next() % 12) as u8, count as u8, 0x25];
        bytes.extend((0..count + count % 2).flat_map(|_| [(numbers.next() % 10) as u8, (numbers.next() % 0xB0) as u8]));
        // A handler, its number of rows, and rows: offsets near the code.
        bytes.extend((0..24).flat_map(|_| (0x1F00 + numbers.next() as u32 % 0x2200).to_le_bytes()));
        p.unwind(function, end, Unwind { bytes, ..Unwind::default() });
        let (file, [function]) = p.link([function]);
        let _ = Guest::load(file).call(function, &[]);
    }
}
