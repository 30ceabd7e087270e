//! The interrupt flag, the IRQL, HLT and single steps: when a run must end so that the machine can act.

use super::guest::{Assembled, CODE, DATA, Guest, STACK, exception, page_fault};
use super::{MakeEngine, cases};
use crate::Access::Read;
use crate::flat::Protection;
use crate::{Exit, Gpr, Rflags};
use iced_x86::code_asm::{CodeAssembler, cr8, eax, qword_ptr, rax, rbx, rcx};

cases![
    sti_takes_effect_after_the_next_instruction,
    sti_does_nothing_where_interrupts_are_enabled,
    sti_and_cli_enable_nothing,
    the_shadow_outlives_a_budget,
    the_shadow_outlives_a_fault,
    sti_and_hlt,
    popf_takes_effect_at_once,
    popf_changes_what_it_may,
    iretq_restores_flags_and_stack,
    cr8_writes_end_the_run,
    cr8_writes_of_the_same_value_do_not,
    cr8_holds_four_bits,
    single_steps_end_after_each_instruction,
    a_single_step_is_one_iteration,
];

/// A processor with interrupts disabled.
fn disabled(make: MakeEngine<'_>, program: fn(&mut CodeAssembler) -> Assembled) -> Guest {
    let mut guest = Guest::new(make, program);
    guest.cpu.rflags &= !Rflags::IF;
    guest
}

fn sti_takes_effect_after_the_next_instruction(make: MakeEngine<'_>) {
    let mut guest = disabled(make, |a| {
        a.sti()?;
        a.inc(eax)?;
        a.inc(eax)
    });
    let run = guest.expect(Exit::InterruptsEnabled, 2);
    assert_eq!((run.instruction, guest.cpu.rip, guest.get(Gpr::Rax)), (CODE + 1, CODE + 3, 1));
    assert!(!guest.cpu.interrupt_shadow);
}

fn sti_does_nothing_where_interrupts_are_enabled(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.sti()?;
        a.inc(eax)?;
        a.hlt()
    });
    guest.expect(Exit::Halt, 3);
}

fn sti_and_cli_enable_nothing(make: MakeEngine<'_>) {
    let mut guest = disabled(make, |a| {
        a.sti()?;
        a.cli()?;
        a.nop()?;
        a.hlt()
    });
    guest.expect(Exit::Halt, 4);
    assert_eq!(guest.cpu.rflags & Rflags::IF, 0);
}

fn the_shadow_outlives_a_budget(make: MakeEngine<'_>) {
    let mut guest = disabled(make, |a| {
        a.sti()?;
        a.inc(eax)?;
        a.inc(eax)
    });
    guest.run_for(1);
    assert!(guest.cpu.interrupt_shadow && guest.cpu.rflags & Rflags::IF != 0);
    guest.expect(Exit::InterruptsEnabled, 1);
}

fn the_shadow_outlives_a_fault(make: MakeEngine<'_>) {
    let mut guest = disabled(make, |a| {
        a.sti()?;
        a.mov(rax, qword_ptr(rbx))?;
        a.hlt()
    });
    guest.cpu.set(Gpr::Rbx, DATA);
    guest.memory.protect(DATA, Protection::Absent);
    guest.expect_before(page_fault(DATA, Read, false), 1);
    guest.memory.protect(DATA, Protection::ReadOnly);
    guest.expect(Exit::InterruptsEnabled, 1);
}

fn sti_and_hlt(make: MakeEngine<'_>) {
    let mut guest = disabled(make, |a| {
        a.sti()?;
        a.hlt()
    });
    let run = guest.expect(Exit::Halt, 2);
    assert_eq!((run.instruction, guest.cpu.rip), (CODE + 1, CODE + 2));
    assert!(!guest.cpu.interrupt_shadow);
}

fn popf_takes_effect_at_once(make: MakeEngine<'_>) {
    let mut guest = disabled(make, |a| {
        a.push(0x200)?;
        a.popfq()?;
        a.inc(eax)
    });
    guest.expect(Exit::InterruptsEnabled, 2);
    assert_eq!((guest.get(Gpr::Rax), guest.get(Gpr::Rsp)), (0, STACK));
}

fn popf_changes_what_it_may(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.push(-257)?; // all but TF
        a.popfq()?;
        a.pushfq()?;
        a.pop(rax)?;
        a.push(0)?;
        a.popfq()?;
        a.hlt()
    });
    guest.expect(Exit::Halt, 7);
    assert_eq!(guest.get(Gpr::Rax), 0x24_7ed7, "ID, AC, NT, IOPL and the flags below");
    assert_eq!(guest.cpu.rflags, Rflags::FIXED);
}

fn iretq_restores_flags_and_stack(make: MakeEngine<'_>) {
    let mut guest = disabled(make, |a| a.iretq());
    let frame = [CODE + 0x100, 0x10, 0x202, STACK - 0x200, 0x18];
    for (slot, value) in (0..).zip(frame) {
        guest.memory.poke(STACK - 0x100 + 8 * slot, &value.to_le_bytes());
    }
    guest.cpu.set(Gpr::Rsp, STACK - 0x100);
    guest.expect(Exit::InterruptsEnabled, 1);
    assert_eq!((guest.cpu.rip, guest.get(Gpr::Rsp)), (CODE + 0x100, STACK - 0x200));
}

fn cr8_writes_end_the_run(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.mov(rcx, cr8)?;
        a.mov(cr8, rax)?;
        a.mov(rbx, cr8)?;
        a.hlt()
    });
    guest.cpu.cr8 = 1;
    guest.cpu.set(Gpr::Rax, 13);
    let run = guest.expect(Exit::IrqlChanged { old: 1 }, 2);
    assert_eq!((guest.cpu.cr8, guest.cpu.rip - run.instruction), (13, 4));
    guest.expect(Exit::Halt, 2);
    assert_eq!((guest.get(Gpr::Rcx), guest.get(Gpr::Rbx)), (1, 13));
}

fn cr8_writes_of_the_same_value_do_not(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.mov(cr8, rax)?;
        a.hlt()
    });
    guest.cpu.cr8 = 2;
    guest.cpu.set(Gpr::Rax, 2);
    guest.expect(Exit::Halt, 2);
}

fn cr8_holds_four_bits(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| a.mov(cr8, rax)).with(Gpr::Rax, 16);
    guest.expect_before(exception(13, Some(0)), 0);
}

fn single_steps_end_after_each_instruction(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.push(0x302)?;
        a.popfq()?;
        a.inc(eax)?;
        a.inc(eax)
    });
    let run = guest.expect(exception(1, None), 3);
    assert_eq!((run.instruction, guest.cpu.rip, guest.get(Gpr::Rax)), (CODE + 6, CODE + 8, 1));
    guest.expect(exception(1, None), 1);
    assert_eq!(guest.get(Gpr::Rax), 2);
}

fn a_single_step_is_one_iteration(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| a.rep().stosb()).with(Gpr::Rcx, 5).with(Gpr::Rdi, DATA);
    guest.cpu.rflags |= Rflags::TF;
    guest.expect(exception(1, None), 1);
    assert_eq!((guest.cpu.rip, guest.get(Gpr::Rcx)), (CODE, 4));
}
