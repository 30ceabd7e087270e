//! Registers that only the system sees.

use super::guest::{ABSENT, Assembled, CODE, DATA, Guest, NON_CANONICAL, exception, page_fault};
use super::{MakeEngine, cases};
use crate::Access::Read;
use crate::{DescriptorTable, Exit, Gpr, Privileged};
use iced_x86::code_asm::{
    CodeAssembler, cr0, cr2, cr3, cr4, dr0, dr7, dword_ptr, eax, ptr, qword_ptr, rax, rbx, rcx, rdx,
};

cases![
    segment_bases_are_added,
    swapgs_exchanges_the_bases,
    base_registers_are_read_and_written,
    bases_must_be_canonical,
    other_model_specific_registers_are_asked_for,
    control_registers_are_read,
    control_register_writes_are_asked_for,
    caches_and_translations_are_the_machines_business,
    descriptor_tables_are_stored_and_loaded,
    narrow_addresses_are_cut,
    identification_is_stable,
    task_switched_is_cleared,
    debug_registers_are_read_and_written,
    time_comes_with_the_processor,
    extended_state_needs_the_system,
    there_are_no_performance_counters,
];

fn segment_bases_are_added(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.mov(rax, qword_ptr(0x18).gs())?;
        a.add(rax, qword_ptr(rbx * 2 + 8).fs())?;
        a.hlt()
    });
    guest.memory.poke(DATA + 0x18, &40_u64.to_le_bytes());
    guest.memory.poke(DATA + 0x28, &2_u64.to_le_bytes());
    guest.cpu.gs_base = DATA;
    guest.cpu.fs_base = DATA + 0x10;
    guest.cpu.set(Gpr::Rbx, 8);
    guest.expect(Exit::Halt, 3);
    assert_eq!(guest.get(Gpr::Rax), 42);
    guest.cpu.rip = CODE;
    guest.cpu.gs_base = ABSENT;
    guest.expect_before(page_fault(ABSENT + 0x18, Read, false), 0);
}

fn swapgs_exchanges_the_bases(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.swapgs()?;
        a.hlt()
    });
    guest.cpu.gs_base = 1;
    guest.cpu.kernel_gs_base = 2;
    guest.expect_before(Exit::Privileged(Privileged::SwapGs), 0);
    guest.answer(0, Exit::Halt, 2);
    assert_eq!((guest.cpu.gs_base, guest.cpu.kernel_gs_base), (2, 1));
}

/// WRMSR then RDMSR.
fn write_and_read(a: &mut CodeAssembler) -> Assembled {
    a.wrmsr()?;
    a.xor(eax, eax)?;
    a.rdmsr()?;
    a.hlt()
}

fn base_registers_are_read_and_written(make: MakeEngine<'_>) {
    for number in [0xc000_0100, 0xc000_0101, 0xc000_0102] {
        let guest = Guest::new(make, write_and_read);
        let mut guest = guest.with(Gpr::Rcx, number).with(Gpr::Rax, 0x1000).with(Gpr::Rdx, 0xffff_8000);
        if number == 0xc000_0100 {
            guest.expect(Exit::Halt, 4);
        } else {
            let write = Privileged::WriteMsr(number as u32, 0xffff_8000_0000_1000);
            guest.expect_before(Exit::Privileged(write), 0);
            guest.answer(0, Exit::Halt, 4);
        }
        let bases = [guest.cpu.fs_base, guest.cpu.gs_base, guest.cpu.kernel_gs_base];
        assert_eq!(bases[(number & 3) as usize], 0xffff_8000_0000_1000);
        assert_eq!((guest.get(Gpr::Rax), guest.get(Gpr::Rdx)), (0x1000, 0xffff_8000));
    }
}

fn bases_must_be_canonical(make: MakeEngine<'_>) {
    let guest = Guest::new(make, write_and_read);
    let mut guest = guest.with(Gpr::Rcx, 0xc000_0101).with(Gpr::Rdx, NON_CANONICAL >> 32);
    guest.expect_before(exception(13, Some(0)), 0);
}

fn other_model_specific_registers_are_asked_for(make: MakeEngine<'_>) {
    let guest = Guest::new(make, write_and_read);
    let mut guest = guest.with(Gpr::Rcx, 0x1b).with(Gpr::Rax, 0xfee0_0900).with(Gpr::Rdx, 1);
    guest.expect_before(Exit::Privileged(Privileged::WriteMsr(0x1b, 0x1_fee0_0900)), 0);
    guest.answer(0, Exit::Privileged(Privileged::ReadMsr(0x1b)), 2);
    guest.answer(0x5_0000_0006, Exit::Halt, 2);
    assert_eq!((guest.get(Gpr::Rdx), guest.get(Gpr::Rax)), (5, 6));
}

fn control_registers_are_read(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.mov(rax, cr0)?;
        a.mov(rbx, cr2)?;
        a.mov(rcx, cr3)?;
        a.mov(rdx, cr4)?;
        a.hlt()
    });
    guest.cpu.cr2 = 0x1234;
    guest.cpu.cr3 = 0x5000;
    guest.expect(Exit::Halt, 5);
    let cpu = &guest.cpu;
    assert_eq!(&cpu.gpr[..4], &[cpu.cr0, cpu.cr3, cpu.cr4, cpu.cr2], "rax, rcx, rdx, rbx");
}

fn control_register_writes_are_asked_for(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.mov(cr0, rax)?;
        a.mov(cr3, rbx)?;
        a.hlt()
    });
    guest.cpu.set(Gpr::Rax, guest.cpu.cr0);
    guest.cpu.set(Gpr::Rbx, 0x7000);
    guest.expect_before(Exit::Privileged(Privileged::WriteControl(3, 0x7000)), 1);
    guest.answer(0, Exit::Halt, 2);
    assert_eq!(guest.cpu.cr3, 0x7000);
}

fn caches_and_translations_are_the_machines_business(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.wbinvd()?;
        a.invlpg(ptr(rbx + 8))?;
        a.hlt()
    });
    guest.cpu.set(Gpr::Rbx, ABSENT);
    guest.expect_before(Exit::Privileged(Privileged::FlushCaches), 0);
    guest.answer(0, Exit::Privileged(Privileged::InvalidatePage(ABSENT + 8)), 1);
    guest.answer(0, Exit::Halt, 2);
}

fn descriptor_tables_are_stored_and_loaded(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.sidt(ptr(rbx))?;
        a.lgdt(ptr(rbx))?;
        a.hlt()
    });
    guest.cpu.idtr = DescriptorTable { base: 0xffff_f800_0000_1000, limit: 0xfff };
    guest.cpu.set(Gpr::Rbx, DATA - 3);
    let table = guest.cpu.idtr;
    guest.expect_before(Exit::Privileged(Privileged::LoadTable { interrupts: false, table }), 1);
    guest.answer(0, Exit::Halt, 2);
    assert_eq!(guest.cpu.gdtr, guest.cpu.idtr);
}

fn narrow_addresses_are_cut(make: MakeEngine<'_>) {
    let mut guest = Guest::with_code(make, &[0x67, 0x65, 0x8b, 0x04, 0x0b, 0xf4]); // mov eax, gs:[ebx+ecx]; hlt
    guest.memory.poke(DATA + 6, &77_u64.to_le_bytes());
    guest.cpu.gs_base = DATA;
    guest = guest.with(Gpr::Rbx, 0xffff_ffff_ffff_fff8).with(Gpr::Rcx, 14);
    guest.expect(Exit::Halt, 2);
    assert_eq!(guest.get(Gpr::Rax), 77);
    let mut lea = Guest::new(make, |a| {
        a.lea(rax, dword_ptr(eax + 8))?;
        a.hlt()
    });
    lea.cpu.set(Gpr::Rax, 0xffff_ffff);
    lea.expect(Exit::Halt, 2);
    assert_eq!(lea.get(Gpr::Rax), 7);
}

/// CPUID clears the upper halves and answers the same each time.
fn identification_is_stable(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.cpuid()?;
        a.hlt()
    });
    guest = guest.with(Gpr::Rbx, u64::MAX).with(Gpr::Rax, 1);
    guest.expect(Exit::Halt, 2);
    let first = guest.cpu.gpr;
    assert!(first[..4].iter().all(|value| *value <= u32::MAX.into()));
    assert_ne!(first[Gpr::Rdx as usize] & 1 << 26, 0, "SSE2");
    guest = guest.with(Gpr::Rax, 1).with(Gpr::Rcx, 0);
    guest.cpu.rip = CODE;
    guest.expect(Exit::Halt, 2);
    assert_eq!(guest.cpu.gpr, first);
}

fn task_switched_is_cleared(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.clts()?;
        a.hlt()
    });
    let before = guest.cpu.cr0;
    guest.cpu.cr0 |= 8;
    guest.expect_before(Exit::Privileged(Privileged::WriteControl(0, before)), 0);
    guest.answer(0, Exit::Halt, 2);
    assert_eq!(guest.cpu.cr0, before);
}

fn debug_registers_are_read_and_written(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.mov(dr0, rax)?;
        a.mov(rbx, dr0)?;
        a.mov(rcx, dr7)?;
        a.hlt()
    });
    guest.cpu.set(Gpr::Rax, NON_CANONICAL);
    guest.expect(Exit::Halt, 4);
    assert_eq!((guest.get(Gpr::Rbx), guest.get(Gpr::Rcx)), (NON_CANONICAL, guest.cpu.dr[7]));
    let mut wide = Guest::new(make, |a| a.mov(dr7, rax)).with(Gpr::Rax, 1 << 32);
    wide.expect_before(exception(13, Some(0)), 0);
    let mut missing = Guest::with_code(make, &[0x0f, 0x21, 0xe0]); // mov rax, dr4
    missing.expect_before(exception(6, None), 0);
}

fn time_comes_with_the_processor(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.nop()?;
        a.rdtscp()?;
        a.hlt()
    });
    guest.cpu.tsc = 0x5_0000_0010;
    guest.expect_before(Exit::Privileged(Privileged::ReadMsr(0xc000_0103)), 1);
    guest.answer(7, Exit::Halt, 2);
    assert_eq!((guest.get(Gpr::Rdx), guest.get(Gpr::Rax), guest.get(Gpr::Rcx)), (5, 0x11, 7));
}

/// XGETBV.
fn extended_state_needs_the_system(make: MakeEngine<'_>) {
    let program = |a: &mut CodeAssembler| {
        a.xgetbv()?;
        a.hlt()
    };
    let mut guest = Guest::new(make, program);
    guest.cpu.cr4 &= !(1 << 18);
    guest.expect_before(exception(6, None), 0);
    guest.cpu.cr4 |= 1 << 18;
    guest.expect(Exit::Halt, 2);
    assert_eq!((guest.get(Gpr::Rdx), guest.get(Gpr::Rax) & 3), (0, 3), "x87 and SSE");
    let mut other = Guest::new(make, program).with(Gpr::Rcx, 0x100);
    other.cpu.cr4 |= 1 << 18;
    other.expect_before(exception(13, Some(0)), 0);
}

fn there_are_no_performance_counters(make: MakeEngine<'_>) {
    Guest::new(make, |a| a.rdpmc()).expect_before(exception(13, Some(0)), 0);
}
