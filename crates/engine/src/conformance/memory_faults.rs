//! Accesses that memory refuses: what is reported, and that nothing is committed.

use super::guest::{
    ABSENT, Assembled, BEHIND, CODE, DATA, Guest, NON_CANONICAL, READ_ONLY, STACK, exception, page_fault,
};
use super::{MakeEngine, cases};
use crate::Access::{Read, Write};
use crate::flat::Protection;
use crate::{Exit, Gpr};
use iced_x86::code_asm::{
    CodeAssembler, al, byte_ptr, dword_ptr, eax, ebx, ecx, qword_ptr, rax, rbp, rbx, rcx, rdx, rsp, xmm0, xmmword_ptr,
};

cases![
    loads_report_reads,
    stores_report_writes,
    read_modify_write_of_an_absent_page_reports_a_write,
    read_modify_write_of_a_read_only_page_reports_a_write,
    an_unequal_cmpxchg_writes_too,
    a_straddling_load_reports_the_first_byte_in_the_refusing_page,
    a_straddling_store_writes_nothing,
    a_straddling_read_modify_write_reports_the_first_page_first,
    a_fault_leaves_flags_and_counts_what_came_before,
    the_stack_pointer_stays_where_a_push_or_pop_faults,
    a_pop_to_memory_uses_the_new_stack_pointer,
    a_failed_frame_is_not_begun,
    a_failed_division_operand_leaves_the_accumulator,
    a_faulting_instruction_runs_once_the_page_is_there,
    addresses_that_are_not_canonical,
];

/// The fault of one instruction with RBX at `address`, twice.
#[track_caller]
fn refuses(make: MakeEngine<'_>, address: u64, exit: Exit, program: fn(&mut CodeAssembler) -> Assembled) {
    let mut guest = Guest::new(make, program).with(Gpr::Rbx, address).with(Gpr::Rax, 5);
    guest.expect_before(exit, 0);
    assert_eq!(guest.cpu.rip, CODE);
}

fn loads_report_reads(make: MakeEngine<'_>) {
    let fault = page_fault(ABSENT + 8, Read, false);
    refuses(make, ABSENT + 8, fault, |a| a.mov(rax, qword_ptr(rbx)));
    refuses(make, ABSENT + 8, fault, |a| a.add(eax, dword_ptr(rbx)));
    refuses(make, ABSENT + 8, fault, |a| a.cmp(byte_ptr(rbx), 3));
    refuses(make, ABSENT + 8, fault, |a| a.movzx(eax, byte_ptr(rbx)));
    refuses(make, ABSENT + 8, fault, |a| a.cmove(rax, qword_ptr(rbx)));
    refuses(make, ABSENT + 8, fault, |a| a.bt(dword_ptr(rbx), 3));
    refuses(make, ABSENT + 8, fault, |a| a.jmp(qword_ptr(rbx)));
    refuses(make, ABSENT + 8, fault, |a| a.push(qword_ptr(rbx)));
    refuses(make, ABSENT + 8, fault, |a| a.movups(xmm0, xmmword_ptr(rbx)));
}

fn stores_report_writes(make: MakeEngine<'_>) {
    for (address, protection) in [(ABSENT + 8, false), (READ_ONLY + 8, true)] {
        let fault = page_fault(address, Write, protection);
        refuses(make, address, fault, |a| a.mov(qword_ptr(rbx), rax));
        refuses(make, address, fault, |a| a.mov(byte_ptr(rbx), 3));
        refuses(make, address, fault, |a| a.sete(byte_ptr(rbx)));
        refuses(make, address, fault, |a| a.pop(qword_ptr(rbx)));
        refuses(make, address, fault, |a| a.movups(xmmword_ptr(rbx), xmm0));
        refuses(make, address, fault, |a| a.sidt(qword_ptr(rbx)));
    }
}

fn modifies(make: MakeEngine<'_>, address: u64, exit: Exit) {
    refuses(make, address, exit, |a| a.add(qword_ptr(rbx), rax));
    refuses(make, address, exit, |a| a.inc(dword_ptr(rbx)));
    refuses(make, address, exit, |a| a.shl(dword_ptr(rbx), 3));
    refuses(make, address, exit, |a| a.bts(dword_ptr(rbx), 3));
    refuses(make, address, exit, |a| a.xchg(qword_ptr(rbx), rax));
    refuses(make, address, exit, |a| a.lock().xadd(dword_ptr(rbx), eax));
    refuses(make, address, exit, |a| a.cmpxchg8b(qword_ptr(rbx)));
    refuses(make, address, exit, |a| a.cmpxchg16b(xmmword_ptr(rbx)));
    refuses(make, address, exit, |a| a.shld(qword_ptr(rbx), rax, 3));
}

fn read_modify_write_of_an_absent_page_reports_a_write(make: MakeEngine<'_>) {
    modifies(make, ABSENT + 16, page_fault(ABSENT + 16, Write, false));
}

fn read_modify_write_of_a_read_only_page_reports_a_write(make: MakeEngine<'_>) {
    modifies(make, READ_ONLY + 16, page_fault(READ_ONLY + 16, Write, true));
}

fn an_unequal_cmpxchg_writes_too(make: MakeEngine<'_>) {
    let fault = page_fault(READ_ONLY, Write, true);
    refuses(make, READ_ONLY, fault, |a| a.cmpxchg(qword_ptr(rbx), rcx));
}

fn a_straddling_load_reports_the_first_byte_in_the_refusing_page(make: MakeEngine<'_>) {
    refuses(make, ABSENT - 3, page_fault(ABSENT, Read, false), |a| a.mov(rax, qword_ptr(rbx)));
    refuses(make, ABSENT - 15, page_fault(ABSENT, Read, false), |a| a.movups(xmm0, xmmword_ptr(rbx)));
    refuses(make, READ_ONLY - 1, page_fault(READ_ONLY - 1, Read, false), |a| a.mov(eax, dword_ptr(rbx)));
}

fn a_straddling_store_writes_nothing(make: MakeEngine<'_>) {
    refuses(make, ABSENT - 3, page_fault(ABSENT, Write, false), |a| a.mov(qword_ptr(rbx), rax));
    refuses(make, ABSENT - 8, page_fault(ABSENT, Write, false), |a| a.movups(xmmword_ptr(rbx), xmm0));
    refuses(make, BEHIND - 3, page_fault(BEHIND - 3, Write, true), |a| a.mov(qword_ptr(rbx), rax));
}

fn a_straddling_read_modify_write_reports_the_first_page_first(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| a.add(qword_ptr(rbx), rax)).with(Gpr::Rbx, ABSENT - 4);
    guest.memory.protect(DATA + 0x1000, Protection::ReadOnly);
    guest.expect_before(page_fault(ABSENT - 4, Write, true), 0);
}

fn a_fault_leaves_flags_and_counts_what_came_before(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.stc()?;
        a.mov(ecx, 7)?;
        a.adc(rcx, qword_ptr(rbx))
    });
    guest.cpu.set(Gpr::Rbx, ABSENT);
    guest.expect_before(page_fault(ABSENT, Read, false), 2);
    assert_eq!((guest.get(Gpr::Rcx), guest.cpu.rflags & 1), (7, 1));
}

fn the_stack_pointer_stays_where_a_push_or_pop_faults(make: MakeEngine<'_>) {
    let at = |address: u64, exit, program: fn(&mut CodeAssembler) -> Assembled| {
        let mut guest = Guest::new(make, program).with(Gpr::Rsp, address);
        guest.expect_before(exit, 0);
        assert_eq!((guest.get(Gpr::Rsp), guest.cpu.rip), (address, CODE));
    };
    let push = page_fault(READ_ONLY - 8, Write, false);
    at(READ_ONLY, push, |a| a.push(rax));
    at(READ_ONLY, push, |a| a.push(3));
    at(READ_ONLY, push, |a| a.pushfq());
    at(READ_ONLY, push, |a| a.call(rax));
    at(READ_ONLY, push, |a| a.call(CODE));
    let pop = page_fault(ABSENT, Read, false);
    at(ABSENT, pop, |a| a.pop(rax));
    at(ABSENT, pop, |a| a.popfq());
    at(ABSENT, pop, |a| a.ret());
    at(ABSENT, pop, |a| a.iretq());
}

fn a_pop_to_memory_uses_the_new_stack_pointer(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.push(7)?;
        a.push(9)?;
        a.pop(qword_ptr(rsp + 8))?;
        a.hlt()
    });
    guest.expect(Exit::Halt, 4);
    assert_eq!((guest.word(STACK - 8), guest.word(STACK)), (7, 9));
}

/// ENTER with a display reads and writes several times.
fn a_failed_frame_is_not_begun(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| a.enter(32, 3)).with(Gpr::Rsp, STACK).with(Gpr::Rbp, ABSENT + 16);
    guest.expect_before(page_fault(ABSENT + 8, Read, false), 0);
    guest.cpu.set(Gpr::Rbp, DATA + 0x100);
    guest.cpu.set(Gpr::Rsp, BEHIND + 24);
    guest.expect_before(page_fault(BEHIND - 8, Write, true), 0);
    assert_eq!(guest.word(BEHIND + 16), 0);
}

fn a_failed_division_operand_leaves_the_accumulator(make: MakeEngine<'_>) {
    refuses(make, ABSENT, page_fault(ABSENT, Read, false), |a| a.div(qword_ptr(rbx)));
    refuses(make, ABSENT, page_fault(ABSENT, Read, false), |a| a.mul(dword_ptr(rbx)));
}

fn a_faulting_instruction_runs_once_the_page_is_there(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.xadd(qword_ptr(rbx), rax)?;
        a.hlt()
    });
    guest.cpu.set(Gpr::Rbx, ABSENT + 4);
    guest.cpu.set(Gpr::Rax, 30);
    guest.memory.poke(ABSENT + 4, &12_u64.to_le_bytes());
    guest.expect_before(page_fault(ABSENT + 4, Write, false), 0);
    guest.memory.protect(ABSENT, Protection::ReadOnly);
    guest.expect_before(page_fault(ABSENT + 4, Write, true), 0);
    guest.memory.protect(ABSENT, Protection::ReadWrite);
    guest.expect(Exit::Halt, 2);
    assert_eq!((guest.get(Gpr::Rax), guest.word(ABSENT + 4)), (12, 42));
}

/// #GP(0) for data, #SS(0) for the stack and for operands based on RSP and RBP.
fn addresses_that_are_not_canonical(make: MakeEngine<'_>) {
    let protection = exception(13, Some(0));
    refuses(make, NON_CANONICAL, protection, |a| a.mov(rax, qword_ptr(rbx)));
    refuses(make, NON_CANONICAL, protection, |a| a.add(dword_ptr(rbx), ebx));
    refuses(make, NON_CANONICAL, protection, |a| a.movups(xmmword_ptr(rbx), xmm0));
    refuses(make, 0x0000_7fff_ffff_fffc, page_fault(0x0000_7fff_ffff_fffc, Read, false), |a| a.mov(al, byte_ptr(rbx)));
    let stack = exception(12, Some(0));
    for program in [
        |a: &mut CodeAssembler| a.push(rax),
        |a: &mut CodeAssembler| a.pop(rax),
        |a: &mut CodeAssembler| a.ret(),
        |a: &mut CodeAssembler| a.mov(rdx, qword_ptr(rsp + 8)),
        |a: &mut CodeAssembler| a.mov(qword_ptr(rbp - 8), rdx),
    ] {
        let mut guest = Guest::new(make, program).with(Gpr::Rsp, NON_CANONICAL).with(Gpr::Rbp, NON_CANONICAL);
        guest.expect_before(stack, 0);
    }
}
