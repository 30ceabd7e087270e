//! Counting.

use super::guest::{CODE, DATA, Guest, SECOND_CODE};
use super::{MakeEngine, cases};
use crate::{Cpu, Exit, Gpr};
use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, dword_ptr, eax, ebx, ecx, edx, qword_ptr, rax, rcx, rdi, rdx, rsi};

cases![
    every_budget_is_exact,
    a_budget_of_nothing_runs_nothing,
    the_instruction_of_a_budget_exit_is_the_next,
    pieces_give_the_same_as_the_whole,
    time_advances_with_instructions,
    a_taken_jump_to_itself_is_bounded,
];

/// Branches, calls, memory, flags that are carried on, time, and string instructions.
fn program(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let (mut top, mut even, mut function) = (a.create_label(), a.create_label(), a.create_label());
    a.mov(ecx, 12)?;
    a.mov(rsi, DATA)?;
    a.set_label(&mut top)?;
    a.test(ecx, 1)?;
    a.je(even)?;
    a.call(function)?;
    a.set_label(&mut even)?;
    a.inc(dword_ptr(rsi + rcx * 4))?;
    a.adc(rdx, qword_ptr(rsi + rcx * 2))?;
    a.push(rcx)?;
    a.lea(rdi, qword_ptr(rsi + 0x400))?;
    a.rep().stosb()?;
    a.pop(rcx)?;
    a.rdtsc()?;
    a.sub(ebx, eax)?;
    a.dec(ecx)?;
    a.jne(top)?;
    a.hlt()?;
    a.set_label(&mut function)?;
    a.rol(rax, 3)?;
    a.imul_2(edx, ecx)?;
    a.cmovs(eax, edx)?;
    a.ret()
}

/// Instructions that the program executes, HLT included.
fn length(make: MakeEngine<'_>) -> u64 {
    let mut guest = Guest::new(make, program);
    let run = guest.run();
    assert_eq!(run.exit, Exit::Halt);
    run.retired
}

fn every_budget_is_exact(make: MakeEngine<'_>) {
    let length = length(make);
    let mut one_by_one = Guest::new(make, program);
    for budget in 1..length {
        let run = one_by_one.run_for(1);
        assert_eq!((run.exit, run.retired), (Exit::Budget, 1), "instruction {budget}");
        let mut guest = Guest::new(make, program);
        let run = guest.run_for(budget);
        assert_eq!((run.exit, run.retired, run.instruction), (Exit::Budget, budget, guest.cpu.rip));
        assert_eq!(guest.cpu, one_by_one.cpu, "after {budget}");
    }
    assert_eq!(one_by_one.run_for(1).exit, Exit::Halt);
}

fn a_budget_of_nothing_runs_nothing(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, program);
    let before = guest.cpu.clone();
    let run = guest.run_for(0);
    assert_eq!((run.exit, run.retired, run.instruction), (Exit::Budget, 0, CODE));
    assert_eq!(guest.cpu, before);
}

fn the_instruction_of_a_budget_exit_is_the_next(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| a.jmp(SECOND_CODE));
    let run = guest.run_for(1);
    assert_eq!((run.exit, run.instruction, guest.cpu.rip), (Exit::Budget, SECOND_CODE, SECOND_CODE));
}

fn pieces_give_the_same_as_the_whole(make: MakeEngine<'_>) {
    let mut whole = Guest::new(make, program);
    let length = whole.run().retired;
    for piece in [2, 3, 5, 11, 64] {
        let mut guest = Guest::new(make, program);
        let mut retired = 0;
        while retired < length {
            retired += guest.run_for(piece).retired;
        }
        assert_eq!((retired, &guest.cpu), (length, &whole.cpu), "pieces of {piece}");
        assert_eq!(guest.memory.peek(DATA, 0x1000), whole.memory.peek(DATA, 0x1000));
    }
}

/// RDTSC reads the instructions before it, wherever runs begin and end.
fn time_advances_with_instructions(make: MakeEngine<'_>) {
    for split in 0..4 {
        let mut guest = Guest::new(make, |a| {
            a.nop()?;
            a.nop()?;
            a.rdtsc()?;
            a.hlt()
        });
        guest.cpu = Cpu { tsc: 0x1_ffff_fffe, ..guest.cpu };
        let first = guest.run_for(split).retired;
        guest.expect(Exit::Halt, 4 - first);
        assert_eq!((guest.get(Gpr::Rdx), guest.get(Gpr::Rax)), (2, 0), "split after {split}");
        assert_eq!(guest.cpu.tsc, 0x1_ffff_fffe + 4);
    }
}

fn a_taken_jump_to_itself_is_bounded(make: MakeEngine<'_>) {
    let mut guest = Guest::with_code(make, &[0xeb, 0xfe]); // jmp $
    let run = guest.run_for(10_001);
    assert_eq!((run.exit, run.retired, guest.cpu.rip), (Exit::Budget, 10_001, CODE));
}
