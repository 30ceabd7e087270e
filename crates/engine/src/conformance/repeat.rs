//! String instructions with a repeat prefix: each iteration is an instruction of its own.

use super::guest::{ABSENT, CODE, DATA, Guest, READ_ONLY, SECOND_DATA, page_fault};
use super::{MakeEngine, cases};
use crate::Access::{Read, Write};
use crate::flat::Protection;
use crate::{Exit, Gpr, Rflags};
use iced_x86::code_asm::{CodeAssembler, cl, eax, rcx, rdi, rsi};

cases![
    each_iteration_counts,
    a_count_of_zero_counts_once,
    the_budget_ends_it_in_the_middle,
    every_budget_gives_the_same_result,
    a_fault_keeps_the_iterations_before_it,
    a_fault_of_the_destination_reports_a_write,
    an_element_in_two_pages,
    comparisons_stop_by_themselves,
    backwards,
    overlapping_bytes_repeat,
    overlapping_elements_are_read_whole,
    narrow_registers,
    lods_keeps_the_last,
    stores_fill,
];

/// Bytes that all differ from their neighbours.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 7 + index / 256) as u8).collect()
}

/// `rep movsb; hlt` of `length` bytes.
fn copying(make: MakeEngine<'_>, source: u64, target: u64, length: u64) -> Guest {
    let mut guest = Guest::new(make, |a| {
        a.rep().movsb()?;
        a.hlt()
    });
    guest.memory.poke(DATA, &pattern(0x2000));
    guest.with(Gpr::Rsi, source).with(Gpr::Rdi, target).with(Gpr::Rcx, length)
}

fn each_iteration_counts(make: MakeEngine<'_>) {
    let mut guest = copying(make, DATA, SECOND_DATA + 5, 300);
    guest.expect(Exit::Halt, 301);
    assert_eq!(guest.memory.peek(SECOND_DATA + 5, 300), &pattern(300)[..]);
    assert_eq!(guest.get(Gpr::Rcx), 0);
    assert_eq!((guest.get(Gpr::Rsi), guest.get(Gpr::Rdi)), (DATA + 300, SECOND_DATA + 305));
}

fn a_count_of_zero_counts_once(make: MakeEngine<'_>) {
    copying(make, ABSENT, ABSENT, 0).expect(Exit::Halt, 2);
}

fn the_budget_ends_it_in_the_middle(make: MakeEngine<'_>) {
    for budget in [1, 2, 255, 299] {
        let mut guest = copying(make, DATA, SECOND_DATA, 300);
        let run = guest.run_for(budget);
        assert_eq!((run.exit, run.retired, run.instruction), (Exit::Budget, budget, CODE));
        assert_eq!((guest.cpu.rip, guest.get(Gpr::Rcx)), (CODE, 300 - budget));
        let end = SECOND_DATA + budget;
        assert_eq!(
            (guest.get(Gpr::Rdi), guest.memory.peek(end - 1, 1)),
            (end, &pattern(300)[budget as usize - 1..][..1])
        );
        guest.expect(Exit::Halt, 301 - budget);
    }
}

/// Across pages, with source and destination at different places in theirs.
fn every_budget_gives_the_same_result(make: MakeEngine<'_>) {
    let mut whole = copying(make, DATA + 0xf80, DATA + 0xe33, 400);
    whole.run();
    for budget in [1, 2, 3, 7, 100, 399] {
        let mut guest = copying(make, DATA + 0xf80, DATA + 0xe33, 400);
        let mut retired = 0;
        while retired < 401 {
            let run = guest.run_for(budget);
            retired += run.retired;
        }
        assert_eq!(guest.memory.peek(DATA, 0x2000), whole.memory.peek(DATA, 0x2000), "budget {budget}");
        assert_eq!((retired, guest.cpu), (401, whole.cpu.clone()), "budget {budget}");
    }
}

fn a_fault_keeps_the_iterations_before_it(make: MakeEngine<'_>) {
    let mut guest = copying(make, ABSENT - 10, DATA, 16);
    guest.expect_before(page_fault(ABSENT, Read, false), 10);
    assert_eq!((guest.get(Gpr::Rcx), guest.get(Gpr::Rsi), guest.get(Gpr::Rdi)), (6, ABSENT, DATA + 10));
    guest.memory.protect(ABSENT, Protection::ReadOnly);
    guest.expect(Exit::Halt, 7);
}

fn a_fault_of_the_destination_reports_a_write(make: MakeEngine<'_>) {
    let mut guest = copying(make, DATA, ABSENT - 3, 16);
    guest.expect_before(page_fault(ABSENT, Write, false), 3);
    assert_eq!((guest.get(Gpr::Rcx), guest.get(Gpr::Rdi)), (13, ABSENT));
    let mut guest = copying(make, DATA, READ_ONLY, 16);
    guest.expect_before(page_fault(READ_ONLY, Write, true), 0);
}

fn an_element_in_two_pages(make: MakeEngine<'_>) {
    let program = |a: &mut CodeAssembler| {
        a.rep().movsq()?;
        a.hlt()
    };
    let mut guest = Guest::new(make, program).with(Gpr::Rcx, 4);
    guest.memory.poke(DATA, &pattern(32));
    guest.cpu.set(Gpr::Rsi, DATA);
    guest.cpu.set(Gpr::Rdi, SECOND_DATA - 13);
    guest.expect(Exit::Halt, 5);
    assert_eq!(guest.memory.peek(SECOND_DATA - 13, 32), &pattern(32)[..]);
}

fn comparisons_stop_by_themselves(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.repe().cmpsb()?;
        a.hlt()
    });
    guest.memory.poke(DATA, b"paged!");
    guest.memory.poke(DATA + 64, b"pages!");
    let mut guest = guest.with(Gpr::Rsi, DATA).with(Gpr::Rdi, DATA + 64).with(Gpr::Rcx, 6);
    guest.expect(Exit::Halt, 6);
    assert_eq!((guest.get(Gpr::Rcx), guest.cpu.rflags & (Rflags::ZF | Rflags::CF)), (1, Rflags::CF));
    let mut guest = Guest::new(make, |a| {
        a.repne().scasb()?;
        a.hlt()
    });
    guest.memory.poke(DATA, b"length\0more");
    let mut guest = guest.with(Gpr::Rdi, DATA).with(Gpr::Rcx, u64::MAX);
    guest.expect(Exit::Halt, 8);
    assert_eq!((!guest.get(Gpr::Rcx) - 1, guest.cpu.rflags & Rflags::ZF), (6, Rflags::ZF));
}

fn backwards(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.std()?;
        a.rep().movsd()?;
        a.hlt()
    });
    guest.memory.poke(DATA, &pattern(16));
    let mut guest = guest.with(Gpr::Rsi, DATA + 12).with(Gpr::Rdi, DATA + 20).with(Gpr::Rcx, 4);
    guest.expect(Exit::Halt, 6);
    assert_eq!(guest.memory.peek(DATA + 8, 16), &pattern(16)[..]);
    assert_eq!((guest.get(Gpr::Rsi), guest.get(Gpr::Rdi)), (DATA - 4, DATA + 4));
}

fn overlapping_bytes_repeat(make: MakeEngine<'_>) {
    let mut guest = copying(make, DATA, DATA + 3, 600);
    guest.expect(Exit::Halt, 601);
    let repeated: Vec<u8> = pattern(3).into_iter().cycle().take(603).collect();
    assert_eq!(guest.memory.peek(DATA, 603), &repeated[..]);
}

/// A distance below the element size: each element is read before it is written.
fn overlapping_elements_are_read_whole(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.rep().movsq()?;
        a.hlt()
    });
    guest.memory.poke(DATA, &pattern(40));
    let mut expected = pattern(40);
    for start in [0, 8, 16] {
        expected.copy_within(start..start + 8, start + 4);
    }
    let mut guest = guest.with(Gpr::Rsi, DATA).with(Gpr::Rdi, DATA + 4).with(Gpr::Rcx, 3);
    guest.expect(Exit::Halt, 4);
    assert_eq!(guest.memory.peek(DATA, 40), &expected[..]);
}

/// With an address-size prefix the registers count modulo 2^32.
fn narrow_registers(make: MakeEngine<'_>) {
    let mut guest = Guest::with_code(make, &[0x67, 0xf3, 0xac, 0xf4]); // rep lodsb with ESI and ECX; hlt
    guest = guest.with(Gpr::Rsi, 0xffff_ffff_0000_0040).with(Gpr::Rcx, 0xffff_ffff_0000_0000);
    guest.expect(Exit::Halt, 2);
    guest.cpu.rip = CODE;
    guest.cpu.set(Gpr::Rcx, 0xffff_ffff_0000_0001);
    guest.expect_before(page_fault(0x40, Read, false), 0);
}

fn lods_keeps_the_last(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.mov(rsi, DATA)?;
        a.mov(cl, 5)?;
        a.rep().lodsw()?;
        a.hlt()
    });
    guest.memory.poke(DATA, &pattern(10));
    guest.expect(Exit::Halt, 8);
    assert_eq!(guest.get(Gpr::Rax).to_le_bytes()[..2], pattern(10)[8..]);
}

fn stores_fill(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.mov(rdi, DATA + 2)?;
        a.mov(rcx, 1500_u64)?;
        a.mov(eax, 0x0403_0201)?;
        a.rep().stosd()?;
        a.hlt()
    });
    guest.expect(Exit::Halt, 1504);
    let filled: Vec<u8> = [1, 2, 3, 4].into_iter().cycle().take(6000).collect();
    assert_eq!(guest.memory.peek(DATA + 2, 6000), &filled[..]);
    assert_eq!((guest.word(DATA + 2 + 6000), guest.get(Gpr::Rdi)), (0, DATA + 6002));
}
