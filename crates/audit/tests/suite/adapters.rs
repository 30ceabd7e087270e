//! What drivers hand to the routines in the table of a DMA adapter ("DMA_OPERATIONS structure").

use iced_x86::IcedError;
use iced_x86::code_asm::*;

use crate::assembled::{Routine, Section, Source, Step, audit};

/// The level at which the second routine is called, if it is known, where the first one does this.
fn called(import: &'static str, step: Step) -> Option<(u8, u8)> {
    let source = Source::new(&[import]).text(move |a| {
        a.sub(rsp, 0x68)?;
        step(a)?;
        a.add(rsp, 0x68)?;
        a.ret()
    });
    let audit = audit(&source.text(|a| a.ret()));
    audit.entries.iter().find(|entry| entry.role == "callback routine").map(|entry| entry.irql)
}

/// The sixth parameter, and the fourth one, is the address of the routine.
fn sixth(a: &mut Routine<'_>) -> Result<(), IcedError> {
    a.address(rax, Section::Text, 1)?;
    a.mov(qword_ptr(rsp + 0x28), rax)
}

fn fourth(a: &mut Routine<'_>) -> Result<(), IcedError> {
    a.address(r9, Section::Text, 1)
}

/// `GetScatterGatherList`, `BuildScatterGatherList` and `AllocateAdapterChannel`, as compilers call them.
#[test]
fn routines_that_an_adapter_calls_run_at_dispatch_level() {
    let calls: [Step; 6] = [
        |a| {
            sixth(a)?;
            a.mov(rcx, qword_ptr(rbx + 0x118))?;
            a.mov(rax, qword_ptr(rcx + 8))?;
            a.call(qword_ptr(rax + 0x58))
        },
        |a| {
            a.mov(rcx, rbx)?;
            a.mov(r10, qword_ptr(rbx + 8))?;
            sixth(a)?;
            a.call(qword_ptr(r10 + 0x70))
        },
        |a| {
            a.mov(r10, qword_ptr(rbx + 8))?;
            fourth(a)?;
            a.mov(rcx, rbx)?;
            a.call(qword_ptr(r10 + 0x20))
        },
        // Without optimisation.
        |a| {
            sixth(a)?;
            a.mov(rax, qword_ptr(rsp + 0x50))?;
            a.mov(rax, qword_ptr(rax + 8))?;
            a.mov(rcx, qword_ptr(rsp + 0x50))?;
            a.call(qword_ptr(rax + 0x58))
        },
        |a| {
            a.mov(rax, qword_ptr(rbx + 0x118))?;
            a.mov(rdx, qword_ptr(rax + 8))?;
            a.mov(rcx, rax)?;
            fourth(a)?;
            a.call(qword_ptr(rdx + 0x20))
        },
        |a| {
            fourth(a)?;
            a.mov(rcx, qword_ptr(rsi))?;
            a.mov(rax, qword_ptr(rcx + 8))?;
            a.call(qword_ptr(rax + 0x20))
        },
    ];
    for (number, step) in calls.into_iter().enumerate() {
        assert_eq!(called("IoGetDmaAdapter", step), Some((2, 2)), "{number}");
        assert_eq!(called("IoCreateDevice", step), None, "{number}: there are no adapters");
    }
}

/// Another object, another table, another routine of it.
#[test]
fn what_is_no_routine_of_an_adapter() {
    let calls: [Step; 5] = [
        |a| {
            sixth(a)?;
            a.mov(rax, qword_ptr(rbx + 8))?;
            a.mov(rcx, rsi)?;
            a.call(qword_ptr(rax + 0x58))
        },
        |a| {
            sixth(a)?;
            a.mov(rax, qword_ptr(rcx + 0x10))?;
            a.call(qword_ptr(rax + 0x58))
        },
        |a| {
            sixth(a)?;
            a.mov(rax, qword_ptr(rcx + 8))?;
            a.call(qword_ptr(rax + 0x60))
        },
        |a| {
            sixth(a)?;
            a.mov(rax, qword_ptr(rcx + 8))?;
            a.mov(rcx, rdx)?;
            a.call(qword_ptr(rax + 0x58))
        },
        |a| {
            sixth(a)?;
            a.mov(rbx, qword_ptr(rbx + 8))?;
            a.mov(rcx, rbx)?;
            a.call(qword_ptr(rbx + 0x58))
        },
    ];
    for (number, step) in calls.into_iter().enumerate() {
        assert_eq!(called("IoGetDmaAdapter", step), None, "{number}");
    }
}

/// R20: power requests come at PASSIVE_LEVEL to a device with DO_POWER_PAGABLE; a driver that also clears it has such and others.
#[test]
fn r20_power_requests_to_a_pagable_device() {
    let irql = |flags: Step, later: bool| {
        let source = Source::new(&["IoCreateDevice"]).text(move |a| {
            a.sub(rsp, 0x68)?;
            a.address(rax, Section::Text, 1)?;
            a.mov(qword_ptr(rcx + 0x70 + 8 * 0x16), rax)?;
            a.lea(rax, qword_ptr(rsp + 0x50))?;
            a.mov(qword_ptr(rsp + 0x30), rax)?;
            a.import("IoCreateDevice")?;
            a.mov(rax, qword_ptr(rsp + 0x50))?;
            flags(a)?;
            a.add(rsp, 0x68)?;
            a.ret()
        });
        let clears: Step = |a| {
            a.and(dword_ptr(rcx + 0x30), !0x2000)?;
            a.ret()
        };
        let source = source.text(|a| a.ret());
        let audit = audit(&if later { source.text(clears) } else { source });
        audit.entries.iter().find(|entry| entry.role == "dispatch routine").map(|entry| entry.irql)
    };
    assert_eq!(irql(|a| a.nop(), false), Some((0, 2)));
    let sets: [Step; 5] = [
        |a| a.or(dword_ptr(rax + 0x30), 0x2010),
        |a| {
            a.mov(ecx, dword_ptr(rax + 0x30))?;
            a.or(ecx, 0x2000)?;
            a.and(ecx, !0x80)?;
            a.mov(dword_ptr(rax + 0x30), ecx)
        },
        |a| {
            a.mov(ecx, !0x2084)?;
            a.and(ecx, dword_ptr(rax + 0x30))?;
            a.or(ecx, 0x2004)?;
            a.mov(dword_ptr(rax + 0x30), ecx)
        },
        |a| {
            a.mov(ecx, dword_ptr(rax + 0x30))?;
            a.bts(ecx, 13)?;
            a.mov(dword_ptr(rax + 0x30), ecx)
        },
        |a| {
            a.or(dword_ptr(rax + 0x30), 0x2000)?;
            a.and(dword_ptr(rax + 0x30), !0x80)
        },
    ];
    for (number, step) in sets.into_iter().enumerate() {
        assert_eq!(irql(step, false), Some((0, 0)), "{number}");
        assert_eq!(irql(step, true), Some((0, 2)), "{number}: it is cleared later");
    }
    let others: [Step; 3] = [
        |a| a.or(dword_ptr(rax + 0x30), 0x10),
        |a| a.or(dword_ptr(rax + 0x34), 0x2000),
        |a| {
            a.mov(ecx, dword_ptr(rax + 0x30))?;
            a.and(ecx, !0x2080)?;
            a.mov(dword_ptr(rax + 0x30), ecx)
        },
    ];
    for (number, step) in others.into_iter().enumerate() {
        assert_eq!(irql(step, false), Some((0, 2)), "{number}");
    }
}
