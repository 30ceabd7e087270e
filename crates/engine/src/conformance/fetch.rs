//! Instruction fetches, above all of instructions that lie in two pages.

use super::guest::{ABSENT, CODE, DATA, Guest, NON_CANONICAL, SECOND_CODE, assemble, exception, page_fault};
use super::{MakeEngine, cases};
use crate::Access::Execute;
use crate::flat::Protection;
use crate::{Exit, Gpr};
use iced_x86::code_asm::{eax, ecx, rax, rcx};

cases![
    an_instruction_in_two_pages_runs,
    the_second_page_is_fetched_only_when_it_is_needed,
    a_missing_second_page_faults_at_its_first_byte,
    a_second_page_that_cannot_execute_faults,
    a_changed_second_page_is_seen,
    an_instruction_that_ends_with_the_page_needs_no_other,
    a_jump_to_a_page_that_cannot_execute_faults_there,
    a_jump_to_an_address_that_is_not_canonical_faults_at_the_jump,
    running_off_a_page_faults_at_the_next,
    an_instruction_longer_than_fifteen_bytes,
    a_page_that_went_and_came_back_unchanged_runs,
];

/// `mov eax, 0x11223344`, placed so that `before` of its five bytes lie in the first page, then `hlt`.
fn straddling(make: MakeEngine<'_>, before: u64) -> Guest {
    let start = SECOND_CODE - before;
    let code = assemble(start, |a| {
        a.mov(eax, 0x1122_3344)?;
        a.hlt()
    });
    let mut guest = Guest::with_code(make, &[]);
    guest.memory.poke(start, &code);
    guest.cpu.rip = start;
    guest
}

fn an_instruction_in_two_pages_runs(make: MakeEngine<'_>) {
    for before in 1..=4 {
        let mut guest = straddling(make, before);
        guest.expect(Exit::Halt, 2);
        assert_eq!(guest.get(Gpr::Rax), 0x1122_3344);
    }
}

/// `nop`s before the straddling instruction retire first.
fn the_second_page_is_fetched_only_when_it_is_needed(make: MakeEngine<'_>) {
    let mut guest = straddling(make, 2);
    guest.memory.poke(SECOND_CODE - 5, &[0x90; 3]);
    guest.cpu.rip = SECOND_CODE - 5;
    guest.memory.protect(SECOND_CODE, Protection::Absent);
    guest.expect_before(page_fault(SECOND_CODE, Execute, false), 3);
    assert_eq!(guest.cpu.rip, SECOND_CODE - 2);
}

fn a_missing_second_page_faults_at_its_first_byte(make: MakeEngine<'_>) {
    let mut guest = straddling(make, 3);
    guest.memory.protect(SECOND_CODE, Protection::Absent);
    guest.expect_before(page_fault(SECOND_CODE, Execute, false), 0);
    guest.memory.protect(SECOND_CODE, Protection::ReadExecute);
    guest.expect(Exit::Halt, 2);
    guest.cpu.rip = SECOND_CODE - 3;
    guest.memory.protect(SECOND_CODE, Protection::Absent);
    guest.expect_before(page_fault(SECOND_CODE, Execute, false), 0);
}

fn a_second_page_that_cannot_execute_faults(make: MakeEngine<'_>) {
    let mut guest = straddling(make, 3);
    guest.memory.protect(SECOND_CODE, Protection::ReadWrite);
    guest.expect_before(page_fault(SECOND_CODE, Execute, true), 0);
}

fn a_changed_second_page_is_seen(make: MakeEngine<'_>) {
    let mut guest = straddling(make, 3);
    guest.expect(Exit::Halt, 2);
    guest.memory.poke(SECOND_CODE, &[0x55, 0x66]);
    guest.cpu.rip = SECOND_CODE - 3;
    guest.expect(Exit::Halt, 2);
    assert_eq!(guest.get(Gpr::Rax), 0x6655_3344);
}

fn an_instruction_that_ends_with_the_page_needs_no_other(make: MakeEngine<'_>) {
    let mut guest = straddling(make, 5);
    guest.memory.protect(SECOND_CODE, Protection::Absent);
    guest.expect_before(page_fault(SECOND_CODE, Execute, false), 1);
    assert_eq!((guest.get(Gpr::Rax), guest.cpu.rip), (0x1122_3344, SECOND_CODE));
}

fn a_jump_to_a_page_that_cannot_execute_faults_there(make: MakeEngine<'_>) {
    for (target, protection) in [(DATA + 3, true), (ABSENT + 3, false)] {
        let mut guest = Guest::new(make, |a| a.jmp(rax)).with(Gpr::Rax, target);
        guest.expect_before(page_fault(target, Execute, protection), 1);
        assert_eq!(guest.cpu.rip, target);
    }
}

fn a_jump_to_an_address_that_is_not_canonical_faults_at_the_jump(make: MakeEngine<'_>) {
    let mut jump = Guest::new(make, |a| a.jmp(rax)).with(Gpr::Rax, NON_CANONICAL);
    jump.expect_before(exception(13, Some(0)), 0);
    let mut call = Guest::new(make, |a| a.call(rax)).with(Gpr::Rax, NON_CANONICAL);
    call.expect_before(exception(13, Some(0)), 0);
    let mut back = Guest::new(make, |a| {
        a.push(rax)?;
        a.ret()
    });
    back.cpu.set(Gpr::Rax, NON_CANONICAL);
    back.expect_before(exception(13, Some(0)), 1);
}

fn running_off_a_page_faults_at_the_next(make: MakeEngine<'_>) {
    let mut guest = Guest::with_code(make, &[0x90; 0x1000]);
    guest.memory.protect(SECOND_CODE, Protection::Absent);
    guest.expect_before(page_fault(SECOND_CODE, Execute, false), 0x1000);
    assert_eq!(guest.cpu.rip, SECOND_CODE);
}

/// Fifteen prefixes and an opcode: #GP, not #UD.
fn an_instruction_longer_than_fifteen_bytes(make: MakeEngine<'_>) {
    let mut code = [0x66; 16];
    code[15] = 0x90;
    Guest::with_code(make, &code).expect_before(exception(13, Some(0)), 0);
    let mut longest = Guest::with_code(make, &code[1..]);
    longest.memory.poke(CODE + 15, &[0xf4]);
    longest.expect(Exit::Halt, 2);
}

fn a_page_that_went_and_came_back_unchanged_runs(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.add(rcx, 1)?;
        a.add(ecx, eax)?;
        a.hlt()
    });
    guest.expect(Exit::Halt, 3);
    guest.cpu.rip = CODE;
    guest.memory.protect(CODE, Protection::Absent);
    guest.expect_before(page_fault(CODE, Execute, false), 0);
    guest.memory.protect(CODE, Protection::ReadExecute);
    guest.expect(Exit::Halt, 3);
    assert_eq!(guest.get(Gpr::Rcx), 2);
}
