//! Processor exceptions, traps, and instructions that nobody implements.

use super::guest::{Assembled, CODE, Guest, exception, software};
use super::{MakeEngine, cases};
use crate::{Exit, Gpr, Unsupported};
use iced_x86::code_asm::{CodeAssembler, ax, bl, ecx, rax, rcx};

cases![
    divisions_by_zero,
    quotients_that_do_not_fit,
    the_largest_quotients_fit,
    invalid_opcodes,
    a_lock_prefix_that_is_not_allowed,
    traps_end_after_the_instruction,
    faults_end_before_it,
    hypercalls_end_before_it,
    what_is_not_implemented_is_named_with_its_bytes,
];

/// #DE for a dividend (high and low half) and a divisor in RCX and RBX; the dividend stays.
#[track_caller]
fn divides(make: MakeEngine<'_>, [high, low]: [u64; 2], divisor: u64, program: fn(&mut CodeAssembler) -> Assembled) {
    let guest = Guest::new(make, program).with(Gpr::Rdx, high).with(Gpr::Rax, low);
    let mut guest = guest.with(Gpr::Rcx, divisor).with(Gpr::Rbx, divisor);
    guest.expect_before(exception(0, None), 0);
    assert_eq!([guest.get(Gpr::Rdx), guest.get(Gpr::Rax)], [high, low]);
}

fn divisions_by_zero(make: MakeEngine<'_>) {
    divides(make, [0, 7], 0, |a| a.div(rcx));
    divides(make, [0, 7], 0, |a| a.idiv(ecx));
    divides(make, [1, 7], 0, |a| a.div(ecx));
    divides(make, [0, 7], 0, |a| a.div(bl));
}

fn quotients_that_do_not_fit(make: MakeEngine<'_>) {
    divides(make, [3, 0], 3, |a| a.div(rcx));
    divides(make, [1, 0], 1, |a| a.div(ecx));
    divides(make, [0, 0x100], 1, |a| a.div(bl));
    divides(make, [u64::MAX, 1 << 63], u64::MAX, |a| a.idiv(rcx));
    divides(make, [0, 0x8000_0000], 1, |a| a.idiv(ecx));
    divides(make, [0, 0x80], 1, |a| a.idiv(bl));
}

fn the_largest_quotients_fit(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.div(rcx)?;
        a.hlt()
    });
    guest = guest.with(Gpr::Rdx, 2).with(Gpr::Rax, u64::MAX).with(Gpr::Rcx, 3);
    guest.expect(Exit::Halt, 2);
    assert_eq!((guest.get(Gpr::Rax), guest.get(Gpr::Rdx)), (u64::MAX, 2));
    let mut guest = Guest::new(make, |a| {
        a.idiv(bl)?;
        a.hlt()
    });
    guest = guest.with(Gpr::Rax, 0xff80).with(Gpr::Rbx, 1);
    guest.expect(Exit::Halt, 2);
    assert_eq!(guest.get(Gpr::Rax), 0x0080, "-128, remainder 0");
}

fn invalid_opcodes(make: MakeEngine<'_>) {
    for code in [&[0x0f, 0x0b][..], &[0x06], &[0xc4, 0xe2], &[0x0f, 0xb9, 0xc0], &[0x0f, 0xff, 0xc0]] {
        Guest::with_code(make, code).expect_before(exception(6, None), 0);
    }
}

fn a_lock_prefix_that_is_not_allowed(make: MakeEngine<'_>) {
    Guest::with_code(make, &[0xf0, 0x90]).expect_before(exception(6, None), 0);
    Guest::with_code(make, &[0xf0, 0x01, 0xc0]).expect_before(exception(6, None), 0); // lock add eax, eax
}

fn traps_end_after_the_instruction(make: MakeEngine<'_>) {
    for (code, vector) in [(&[0xcc][..], 3), (&[0xcd, 0x29], 0x29), (&[0xcd, 0x2c], 0x2c), (&[0xcd, 3], 3)] {
        let mut guest = Guest::with_code(make, code);
        let run = guest.expect(software(vector), 1);
        assert_eq!((run.instruction, guest.cpu.rip), (CODE, CODE + code.len() as u64));
    }
}

fn faults_end_before_it(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.nop()?;
        a.ud2()
    });
    guest.expect_before(exception(6, None), 1);
    assert_eq!(guest.cpu.rip, CODE + 1);
}

fn hypercalls_end_before_it(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.mov(ax, 5)?;
        a.vmcall()?;
        a.hlt()
    });
    guest.expect_before(Exit::Hypercall, 1);
    assert_eq!(guest.cpu.rip, CODE + 4);
    guest.cpu.rip += 3;
    guest.expect(Exit::Halt, 1);
}

/// VMREAD, in a program that goes on behind it.
fn what_is_not_implemented_is_named_with_its_bytes(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.nop()?;
        a.vmread(rax, rcx)?;
        a.hlt()
    });
    let mut bytes = [0; 15];
    bytes[..3].copy_from_slice(&[0x0f, 0x78, 0xc8]);
    guest.expect_before(Exit::Unsupported(Unsupported { bytes, length: 3 }), 1);
}
