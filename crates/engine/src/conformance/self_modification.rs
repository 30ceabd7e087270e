//! Code that is written, by itself or from outside: a fetch sees what a data read would see.

use super::guest::{CODE, DATA, Guest, SECOND_CODE, assemble, page_fault};
use super::{MakeEngine, cases};
use crate::Access::Write;
use crate::flat::Protection;
use crate::{Exit, Gpr};
use iced_x86::code_asm::{CodeAssembler, al, byte_ptr, eax, ecx, edx, rax, rbx};

cases![
    a_store_into_the_next_instruction,
    a_store_into_a_later_instruction_of_the_block,
    a_store_into_its_own_loop,
    a_push_into_the_next_instruction,
    a_string_store_over_what_follows,
    a_string_copy_over_itself,
    a_string_store_over_itself_that_begins_in_the_page_before,
    a_store_into_the_second_page_of_an_instruction,
    code_that_another_writes_between_runs,
    a_page_that_becomes_writable_and_changes,
    a_store_that_faults_changes_nothing,
];

/// Encoding of `hlt`.
const HLT: u8 = 0xf4;

fn a_store_into_the_next_instruction(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.mov(byte_ptr(rbx), i32::from(HLT as i8))?;
        a.nop()?;
        a.ud2()
    });
    guest.cpu.set(Gpr::Rbx, CODE + 3);
    guest.expect(Exit::Halt, 2);
}

fn a_store_into_a_later_instruction_of_the_block(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.inc(byte_ptr(rbx))?;
        for _ in 0..6 {
            a.inc(eax)?;
        }
        a.hlt()
    });
    // The second byte of the fifth `inc eax`, FF C0, becomes C1: `inc ecx`.
    guest.cpu.set(Gpr::Rbx, CODE + 2 + 4 * 2 + 1);
    guest.expect(Exit::Halt, 8);
    assert_eq!((guest.get(Gpr::Rax), guest.get(Gpr::Rcx)), (5, 1));
}

/// The immediate of `add edx, 0` in a loop counts up.
fn a_store_into_its_own_loop(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        let mut top = a.create_label();
        a.mov(ecx, 5)?;
        a.set_label(&mut top)?;
        a.add(edx, 0)?;
        a.inc(byte_ptr(rbx))?;
        a.dec(ecx)?;
        a.jne(top)?;
        a.hlt()
    });
    guest.cpu.set(Gpr::Rbx, CODE + 5 + 2);
    guest.expect(Exit::Halt, 22);
    assert_eq!(guest.get(Gpr::Rdx), 1 + 2 + 3 + 4);
}

fn a_push_into_the_next_instruction(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.push(rax)?;
        a.ud2()
    });
    guest = guest.with(Gpr::Rax, u64::from_le_bytes([HLT; 8])).with(Gpr::Rsp, CODE + 9);
    guest.expect(Exit::Halt, 2);
}

fn a_string_store_over_what_follows(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.rep().stosb()?;
        a.ud2()
    });
    guest = guest.with(Gpr::Rax, HLT.into()).with(Gpr::Rdi, CODE + 2).with(Gpr::Rcx, 3000);
    guest.expect(Exit::Halt, 3001);
}

/// The copy overwrites its own opcode with `hlt`: no further iteration begins.
fn a_string_copy_over_itself(make: MakeEngine<'_>) {
    let mut guest = Guest::with_code(make, &[0x90, 0xf3, 0xa4]); // nop; rep movsb
    guest.memory.poke(DATA, &[0x90, HLT, HLT, HLT, HLT]);
    guest = guest.with(Gpr::Rsi, DATA).with(Gpr::Rdi, CODE).with(Gpr::Rcx, 5);
    guest.expect(Exit::Halt, 4);
    assert_eq!((guest.get(Gpr::Rcx), guest.cpu.rip), (3, CODE + 2));
}

/// The fourth byte written is the first of the instruction.
fn a_string_store_over_itself_that_begins_in_the_page_before(make: MakeEngine<'_>) {
    let start = SECOND_CODE + 2;
    let mut guest = Guest::with_code(make, &[]).with(Gpr::Rax, HLT.into()).with(Gpr::Rcx, 100);
    guest.memory.poke(start, &[0xf3, 0xaa]); // rep stosb
    guest.cpu.rip = start;
    guest.cpu.set(Gpr::Rdi, SECOND_CODE - 1);
    guest.expect(Exit::Halt, 5);
    assert_eq!((guest.get(Gpr::Rcx), guest.cpu.rip), (96, start + 1));
}

fn a_store_into_the_second_page_of_an_instruction(make: MakeEngine<'_>) {
    let start = SECOND_CODE - 3;
    let code = assemble(start, |a: &mut CodeAssembler| {
        a.mov(eax, 0x11)?;
        a.inc(byte_ptr(rbx))?;
        a.dec(ecx)?;
        a.jne(start)?;
        a.hlt()
    });
    let mut guest = Guest::with_code(make, &[]).with(Gpr::Rbx, SECOND_CODE).with(Gpr::Rcx, 3);
    guest.memory.poke(start, &code);
    guest.cpu.rip = start;
    guest.expect(Exit::Halt, 13);
    assert_eq!(guest.get(Gpr::Rax), 0x2_0011, "the third round reads what two stores made");
}

fn code_that_another_writes_between_runs(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| a.mov(al, 1));
    for value in 1..20 {
        guest.memory.poke(CODE + 1, &[value, HLT]);
        guest.cpu.rip = CODE;
        guest.expect(Exit::Halt, 2);
        assert_eq!(guest.get(Gpr::Rax), u64::from(value));
    }
}

fn a_page_that_becomes_writable_and_changes(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.mov(al, 1)?;
        a.hlt()
    });
    guest.memory.protect(CODE, Protection::ReadExecute);
    guest.expect(Exit::Halt, 2);
    guest.memory.protect(CODE, Protection::ReadWriteExecute);
    guest.memory.poke(CODE + 1, &[9]);
    guest.memory.protect(CODE, Protection::ReadExecute);
    guest.cpu.rip = CODE;
    guest.expect(Exit::Halt, 2);
    assert_eq!(guest.get(Gpr::Rax), 9);
}

fn a_store_that_faults_changes_nothing(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.mov(byte_ptr(rbx), 0)?;
        a.hlt()
    });
    guest.memory.protect(CODE, Protection::ReadExecute);
    guest.cpu.set(Gpr::Rbx, CODE + 3);
    guest.expect_before(page_fault(CODE + 3, Write, true), 0);
}
