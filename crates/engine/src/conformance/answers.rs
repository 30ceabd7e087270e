//! Ports and device memory: each access is asked for once, and the instruction commits when it has all its answers.

use super::guest::{ABSENT, BEHIND, CODE, DATA, DEVICE, Guest, PHYSICAL, STACK, page_fault, read, write};
use super::{MakeEngine, cases};
use crate::Access::Write;
use crate::flat::Protection;
use crate::{Device, Exit, Gpr};
use iced_x86::code_asm::{al, ax, dword_ptr, dx, eax, qword_ptr, rax, rbx, rcx, rsp, word_ptr, xmm0, xmmword_ptr};

cases![
    ports_are_read,
    ports_are_written,
    port_strings_ask_for_each_element,
    a_port_is_not_read_where_the_destination_refuses,
    device_memory_is_read,
    device_memory_is_written,
    a_read_modify_write_asks_twice,
    a_copy_between_devices_asks_twice,
    wide_accesses_are_split,
    answers_are_cut_to_the_access,
    answers_survive_a_fault_of_the_same_instruction,
    answers_do_not_leak_into_the_next_instruction,
    a_device_stack,
];

const PLACE: Device = Device::Memory(PHYSICAL + 0x10);

fn ports_are_read(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.in_(al, dx)?;
        a.in_(eax, 0x60)?;
        a.hlt()
    });
    guest = guest.with(Gpr::Rdx, 0x1_03f8).with(Gpr::Rax, 0x1122);
    guest.expect_before(read(Device::Port(0x3f8), 1), 0);
    guest.answer(0xfff0, read(Device::Port(0x60), 4), 1);
    assert_eq!(guest.get(Gpr::Rax), 0x11f0);
    guest.answer(u64::MAX, Exit::Halt, 2);
    assert_eq!(guest.get(Gpr::Rax), 0xffff_ffff);
}

fn ports_are_written(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.out(dx, ax)?;
        a.hlt()
    });
    guest = guest.with(Gpr::Rdx, 0x3f8).with(Gpr::Rax, 0x12_3456);
    guest.expect_before(write(Device::Port(0x3f8), 2, 0x3456), 0);
    guest.answer(0, Exit::Halt, 2);
}

fn port_strings_ask_for_each_element(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.rep().insb()?;
        a.hlt()
    });
    guest = guest.with(Gpr::Rdx, 0x3f8).with(Gpr::Rcx, 3).with(Gpr::Rdi, DATA);
    guest.expect_before(read(Device::Port(0x3f8), 1), 0);
    guest.answer(1, read(Device::Port(0x3f8), 1), 1);
    guest.answer(2, read(Device::Port(0x3f8), 1), 1);
    assert_eq!((guest.get(Gpr::Rcx), guest.cpu.rip), (1, CODE));
    guest.answer(3, Exit::Halt, 2);
    assert_eq!(guest.memory.peek(DATA, 4), &[1, 2, 3, 0]);
    let mut guest = Guest::new(make, |a| {
        a.rep().outsw()?;
        a.hlt()
    });
    guest.memory.poke(DATA, &[1, 2, 3, 4]);
    guest = guest.with(Gpr::Rdx, 0x3f8).with(Gpr::Rcx, 2).with(Gpr::Rsi, DATA);
    guest.expect_before(write(Device::Port(0x3f8), 2, 0x0201), 0);
    guest.answer(0, write(Device::Port(0x3f8), 2, 0x0403), 1);
    guest.answer(0, Exit::Halt, 2);
}

fn a_port_is_not_read_where_the_destination_refuses(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| a.insd()).with(Gpr::Rdi, ABSENT - 2);
    guest.expect_before(page_fault(ABSENT, Write, false), 0);
}

fn device_memory_is_read(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.add(rcx, qword_ptr(rbx))?;
        a.hlt()
    });
    guest = guest.with(Gpr::Rbx, DEVICE + 0x10).with(Gpr::Rcx, 2);
    guest.expect_before(read(PLACE, 8), 0);
    guest.answer(40, Exit::Halt, 2);
    assert_eq!(guest.get(Gpr::Rcx), 42);
}

fn device_memory_is_written(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.mov(word_ptr(rbx), ax)?;
        a.hlt()
    });
    guest = guest.with(Gpr::Rbx, DEVICE + 0x10).with(Gpr::Rax, 0xabcd_ef01);
    guest.expect_before(write(PLACE, 2, 0xef01), 0);
    guest.answer(0, Exit::Halt, 2);
}

fn a_read_modify_write_asks_twice(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.or(dword_ptr(rbx), 0x80)?;
        a.hlt()
    });
    guest = guest.with(Gpr::Rbx, DEVICE + 0x10);
    let flags = guest.cpu.rflags;
    guest.expect_before(read(PLACE, 4), 0);
    guest.answer(5, write(PLACE, 4, 0x85), 0);
    assert_eq!((guest.cpu.rflags, guest.cpu.rip), (flags, CODE));
    guest.answer(0, Exit::Halt, 2);
}

fn a_copy_between_devices_asks_twice(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.rep().movsd()?;
        a.hlt()
    });
    guest = guest.with(Gpr::Rsi, DEVICE + 0x10).with(Gpr::Rdi, DEVICE + 0x20).with(Gpr::Rcx, 2);
    let target = Device::Memory(PHYSICAL + 0x20);
    guest.expect_before(read(PLACE, 4), 0);
    guest.answer(7, write(target, 4, 7), 0);
    guest.answer(0, read(Device::Memory(PHYSICAL + 0x14), 4), 1);
    guest.answer(8, write(Device::Memory(PHYSICAL + 0x24), 4, 8), 0);
    guest.answer(0, Exit::Halt, 2);
}

fn wide_accesses_are_split(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.movups(xmm0, xmmword_ptr(rbx))?;
        a.hlt()
    });
    guest = guest.with(Gpr::Rbx, DEVICE + 0x10);
    guest.expect_before(read(PLACE, 8), 0);
    guest.answer(1, read(Device::Memory(PHYSICAL + 0x18), 8), 0);
    guest.answer(2, Exit::Halt, 2);
    assert_eq!(guest.cpu.xmm[0], 2 << 64 | 1);
}

fn answers_are_cut_to_the_access(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.movzx(eax, word_ptr(rbx))?;
        a.hlt()
    });
    guest = guest.with(Gpr::Rbx, DEVICE + 0x10);
    guest.expect_before(read(PLACE, 2), 0);
    guest.answer(0xffff_1234, Exit::Halt, 2);
    assert_eq!(guest.get(Gpr::Rax), 0x1234);
}

/// The device is read, then the stack is out: the device is not read again.
fn answers_survive_a_fault_of_the_same_instruction(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.push(qword_ptr(rbx))?;
        a.hlt()
    });
    guest = guest.with(Gpr::Rbx, DEVICE + 0x10).with(Gpr::Rsp, BEHIND);
    guest.memory.protect(BEHIND - 8, Protection::Absent);
    guest.expect_before(read(PLACE, 8), 0);
    guest.answer(99, page_fault(BEHIND - 8, Write, false), 0);
    guest.memory.protect(BEHIND - 8, Protection::ReadWrite);
    guest.expect(Exit::Halt, 2);
    assert_eq!(guest.word(BEHIND - 8), 99);
}

fn answers_do_not_leak_into_the_next_instruction(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.nop()?;
        a.in_(al, dx)?;
        a.hlt()
    });
    guest.cpu.answers.push(1);
    guest.expect(read(Device::Port(0), 1), 1);
}

fn a_device_stack(make: MakeEngine<'_>) {
    let mut guest = Guest::new(make, |a| {
        a.push(rax)?;
        a.mov(rsp, STACK)?;
        a.hlt()
    });
    guest = guest.with(Gpr::Rsp, DEVICE + 0x18).with(Gpr::Rax, 3);
    guest.expect_before(write(PLACE, 8, 3), 0);
    guest.answer(0, Exit::Halt, 3);
}
