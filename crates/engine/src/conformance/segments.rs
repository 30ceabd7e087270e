//! Selectors, descriptors, and transfers through far pointers within the segments that are loaded.

use super::guest::{CODE, DATA, Guest, STACK};
use super::{MakeEngine, cases};
use crate::{DescriptorTable, Exit, Gpr, Privileged};
use iced_x86::code_asm::{CodeAssembler, ax, bx, cs, cx, dl, ds, dx, eax, ebx, ptr, rbx, ss};

cases![
    selectors_are_stored,
    the_same_selector_can_be_loaded,
    another_selector_is_unsupported,
    small_system_registers_are_stored,
    both_descriptor_tables_are_stored_and_loaded,
    access_rights_come_from_the_global_table,
    a_far_return_drops_the_selector_and_more,
    a_far_return_to_another_segment_is_unsupported,
    narrow_interrupt_returns,
    far_jumps_and_calls_stay_in_the_segment,
];

/// Selectors of the code and the stack segment.
const CODE_SELECTOR: u64 = 0x10;
const STACK_SELECTOR: u64 = 0x18;

#[track_caller]
fn expect_unsupported(mut guest: Guest) {
    let run = guest.run();
    assert!(matches!(run.exit, Exit::Unsupported(_)), "{run:?}");
    assert_eq!((run.instruction, guest.cpu.rip, run.retired), (CODE, CODE, 0));
}

fn selectors_are_stored(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.mov(eax, cs)?;
        a.mov(bx, ss)?;
        a.hlt()
    });
    guest = guest.with(Gpr::Rax, u64::MAX).with(Gpr::Rbx, u64::MAX);
    guest.expect(Exit::Halt, 3);
    assert_eq!((guest.get(Gpr::Rax), guest.get(Gpr::Rbx)), (CODE_SELECTOR, u64::MAX << 16 | STACK_SELECTOR));
}

fn the_same_selector_can_be_loaded(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.mov(ds, eax)?;
        a.hlt()
    });
    guest.cpu.set(Gpr::Rax, guest.cpu.segments.ds.into());
    guest.expect(Exit::Halt, 2);
}

fn another_selector_is_unsupported(make: MakeEngine<'_>) {
    expect_unsupported(Guest::new(make, |a| a.mov(ds, eax)).with(Gpr::Rax, 0x4242));
}

fn small_system_registers_are_stored(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.str(ax)?;
        a.sldt(cx)?;
        a.smsw(dx)?;
        a.hlt()
    });
    guest.expect(Exit::Halt, 4);
    let segments = &guest.cpu.segments;
    assert_eq!([Gpr::Rax, Gpr::Rcx].map(|register| guest.get(register)), [segments.tr, segments.ldtr].map(u64::from));
    assert_eq!(guest.get(Gpr::Rdx), guest.cpu.cr0 & 0xffff);
}

fn both_descriptor_tables_are_stored_and_loaded(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.sgdt(ptr(rbx))?;
        a.lidt(ptr(rbx))?;
        a.hlt()
    });
    guest.cpu.gdtr = DescriptorTable { base: 0xffff_f800_0000_2000, limit: 0x57 };
    guest.cpu.set(Gpr::Rbx, DATA);
    let table = guest.cpu.gdtr;
    guest.expect_before(Exit::Privileged(Privileged::LoadTable { interrupts: true, table }), 1);
    guest.answer(0, Exit::Halt, 2);
    assert_eq!(guest.cpu.idtr, guest.cpu.gdtr);
}

/// LAR of a code segment, and of a selector beyond the table.
fn access_rights_come_from_the_global_table(make: MakeEngine<'_>) {
    let program = |a: &mut CodeAssembler| {
        a.lar(eax, ebx)?;
        a.sete(dl)?;
        a.hlt()
    };
    for (selector, rights, found) in [(8, 0x0020_9b00, 1), (0x20, 7, 0), (0, 7, 0)] {
        let mut guest = Guest::new(make, program).with(Gpr::Rax, 7).with(Gpr::Rbx, selector);
        guest.cpu.gdtr = DescriptorTable { base: DATA, limit: 15 };
        guest.memory.poke(DATA + 8, &0x0020_9b00_0000_0000_u64.to_le_bytes());
        guest.expect(Exit::Halt, 3);
        assert_eq!((guest.get(Gpr::Rax), guest.get(Gpr::Rdx)), (rights, found), "selector {selector:#x}");
    }
}

/// A guest whose stack holds `frame` in elements of `width` bytes.
fn with_frame(mut guest: Guest, frame: &[u64], width: u64) -> Guest {
    let top = STACK - 0x100;
    for (slot, value) in (0..).zip(frame) {
        guest.memory.poke(top + width * slot, &value.to_le_bytes()[..width as usize]);
    }
    guest.with(Gpr::Rsp, top)
}

fn a_far_return_drops_the_selector_and_more(make: MakeEngine<'_>) {
    let target = CODE + 0x40;
    let code = [0x48, 0xca, 0x20, 0x00]; // retfq 20h
    let mut guest = with_frame(Guest::with_code(make, &code), &[target, CODE_SELECTOR], 8);
    guest.memory.poke(target, &[0xf4]);
    guest.expect(Exit::Halt, 2);
    assert_eq!(guest.get(Gpr::Rsp), STACK - 0x100 + 16 + 0x20);
}

fn a_far_return_to_another_segment_is_unsupported(make: MakeEngine<'_>) {
    expect_unsupported(with_frame(Guest::with_code(make, &[0x48, 0xcb]), &[CODE, 0x33], 8));
    expect_unsupported(with_frame(Guest::with_code(make, &[0xcb]), &[0x1000, 0x33], 4));
}

/// IRETD: everything is 32 bits wide, so it leads below 4 GiB, where nothing is mapped here.
fn narrow_interrupt_returns(make: MakeEngine<'_>) {
    let frame = [0x5000, CODE_SELECTOR, 0x2, 0x7000, STACK_SELECTOR];
    let mut guest = with_frame(Guest::with_code(make, &[0xcf]), &frame, 4);
    let run = guest.run();
    assert!(matches!(run.exit, Exit::PageFault(fault) if fault.address == 0x5000), "{run:?}");
    assert_eq!((guest.cpu.rip, guest.get(Gpr::Rsp)), (0x5000, 0x7000));
}

/// JMP and CALL through m16:32 lead below 4 GiB, too.
fn far_jumps_and_calls_stay_in_the_segment(make: MakeEngine<'_>) {
    let pointer = 0x5000 | CODE_SELECTOR << 32;
    let mut jump = Guest::with_code(make, &[0xff, 0x2b]).with(Gpr::Rbx, DATA); // jmp far [rbx]
    let mut call = Guest::with_code(make, &[0xff, 0x1b]).with(Gpr::Rbx, DATA); // call far [rbx]
    for guest in [&mut jump, &mut call] {
        guest.memory.poke(DATA, &pointer.to_le_bytes());
        let run = guest.run();
        assert!(matches!(run.exit, Exit::PageFault(fault) if fault.address == 0x5000), "{run:?}");
        assert_eq!((guest.cpu.rip, run.retired), (0x5000, 1));
    }
    assert_eq!(call.get(Gpr::Rsp), STACK - 8);
    assert_eq!(call.word(STACK - 8), CODE_SELECTOR << 32 | (CODE + 2) & 0xffff_ffff);
    let mut other = Guest::with_code(make, &[0xff, 0x2b]).with(Gpr::Rbx, DATA);
    other.memory.poke(DATA, &(0x5000_u64 | 0x33 << 32).to_le_bytes());
    expect_unsupported(other);
}
