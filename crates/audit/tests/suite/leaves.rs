//! Functions that only a pointer leads to, and that the function table does not list: leaves that touch CR8, and worse.

use audit::{Advice, Destination, Doubt, Incomplete};
use iced_x86::IcedError;
use iced_x86::code_asm::*;

use crate::assembled::{PROBE, Routine, Section, Source, Step, audit, findings, probed};

/// Offset of `MajorFunction[IRP_MJ_DEVICE_CONTROL]` in a driver object.
const DEVICE_CONTROL: i32 = 0x70 + 8 * 14;

/// A driver whose entry point names routine 1 of `.text` to the system as a DPC.
fn with_dpc(imports: &[&'static str]) -> Source {
    Source::new(&[imports, &["KeInitializeDpc", PROBE]].concat()).text(|r| {
        r.sub(rsp, 0x28)?;
        r.data(rcx, 0)?;
        r.address(rdx, Section::Text, 1)?;
        r.import("KeInitializeDpc")?;
        r.add(rsp, 0x28)?;
        r.ret()
    })
}

/// KeRaiseIrql, a counter, and KeLowerIrql, as they are inline.
fn raise_and_lower(r: &mut Routine<'_>) -> Result<(), IcedError> {
    r.mov(r8, cr8)?;
    r.mov(eax, 2)?;
    r.mov(cr8, rax)?;
    r.data(rax, 0x40)?;
    r.inc(dword_ptr(rax))?;
    r.mov(cr8, r8)?;
    r.ret()
}

/// K26: a dispatch routine in PAGE that only touches CR8 and is found by the driver object alone.
#[test]
fn k26_a_leaf_that_raises() {
    let source = Source::new(&[]).text(|r| {
        r.address(rax, Section::Page, 0)?;
        r.mov(qword_ptr(rcx + DEVICE_CONTROL), rax)?;
        r.ret()
    });
    let source = source.leaf(Section::Page, raise_and_lower);
    assert_eq!(findings(&source), ["PAGE 0: RaiseInPageable"]);
    assert!(audit(&source).incomplete.is_complete());
}

/// K13: a DPC that reads CR8 and jumps to what it calls last.
#[test]
fn k13_a_leaf_that_is_a_dpc_calls_by_a_jump() {
    let source = with_dpc(&[]).leaf(Section::Text, |r| {
        r.mov(rax, cr8)?;
        r.data(rdx, 0x40)?;
        r.mov(byte_ptr(rdx), al)?;
        r.jump_to(Section::Page, 0)
    });
    assert_eq!(findings(&source.page(|r| r.ret())), ["Text 1: PageableCode"].map(|it| it.replace("Text", ".text")));
}

/// What drivers have in leaf functions, too: interrupts off, ports, model-specific registers, assertions, breakpoints.
#[test]
fn leaves_with_privileged_instructions() {
    let steps: [Step; 7] =
        [|r| r.cli(), |r| r.sti(), |r| r.in_(al, dx), |r| r.out(dx, al), |r| r.rdmsr(), |r| r.int(0x2c), |r| r.int3()];
    for (number, step) in steps.into_iter().enumerate() {
        let source = Source::new(&[PROBE]).text(|r| r.ret()).pointer(0, 1).leaf(Section::Text, move |r| {
            step(r)?;
            r.mov(eax, 2)?;
            r.mov(cr8, rax)?;
            r.jump_to(Section::Text, 2)
        });
        let source = source.text(|r| {
            r.probe()?;
            r.ret()
        });
        assert_eq!(probed(&source), [2], "{number}");
    }
}

/// What is named to the system is code, whatever it looks like: here it leaves the stack unbalanced.
#[test]
fn what_the_system_is_told_of_is_code() {
    let source = with_dpc(&[]).leaf(Section::Text, |r| {
        r.push(rax)?;
        r.probe()?;
        r.ret()
    });
    assert_eq!(probed(&source), [2]);
    assert_eq!(audit(&source).incomplete, Incomplete::default());
}

/// A pointer to what ends as functions do on one way and runs into padding on another is told; one to text is not.
#[test]
fn doubtful_addresses_are_told() {
    let source = |bytes: &'static [u8]| {
        let source = Source::new(&[]).text(|r| r.ret()).leaf(Section::Text, |r| r.db(bytes)).pointer(0, 1);
        let incomplete = audit(&source).incomplete;
        assert_eq!(incomplete.doubtful[0].map_or(0, |_| 1), incomplete.doubtful_addresses, "it is named");
        incomplete.doubtful_addresses
    };
    assert_eq!(source(&[0x85, 0xc9, 0x74, 0x01, 0xc3]), 1);
    assert_eq!(source(b"\\Device\\Serial0\0"), 0);
    assert_eq!(source(&[0x85, 0xc9, 0x74, 0x01, 0xc3, 0xc3]), 0);
}

fn advice(source: &Source) -> Vec<(Option<Destination>, Option<Doubt>)> {
    let image = source.build();
    let Advice { functions, .. } = audit::advise(&image, &[]).expect("it can be laid out").0;
    functions.iter().map(|one| (one.to, one.stays)).collect()
}

/// R5: what a DPC calls by a jump stays in memory.
#[test]
fn r5_what_a_leaf_jumps_to_stays() {
    let count: Step = |r| {
        r.data(rax, 0x40)?;
        r.inc(dword_ptr(rax))?;
        r.ret()
    };
    let source = with_dpc(&[]).leaf(Section::Text, |r| {
        r.mov(rax, cr8)?;
        r.jump_to(Section::Text, 2)
    });
    let source = source.leaf(Section::Text, count).text(|r| {
        r.routine(Section::Text, 2)?;
        r.ret()
    });
    let moves = advice(&source);
    assert_eq!(moves[1..3], [(None, None), (None, None)], "{moves:?}");
}

/// R5: what only code calls that may be none stays in memory, and the advice says why.
#[test]
fn r5_what_doubtful_code_calls_stays() {
    let source = |bytes: &'static [u8]| {
        let source = Source::new(&[]).text(|r| {
            r.routine(Section::Text, 2)?;
            r.ret()
        });
        let source = source.pointer(0, 1).leaf(Section::Text, |r| {
            r.db(bytes)?;
            r.jump_to(Section::Text, 2)
        });
        let moves = advice(&source.text(|r| r.ret()));
        *moves.last().expect("it is a function")
    };
    assert_eq!(source(&[0x06]), (Some(Destination::Init), None));
    // test ecx, ecx; je +1; and then no instruction.
    assert_eq!(source(&[0x85, 0xc9, 0x74, 0x01, 0x06]), (None, Some(Doubt::Unseen)));
}

/// R5: the address of a work item's routine lies in memory as well, and a DPC calls something through a pointer.
#[test]
fn r5_what_a_call_through_a_pointer_may_reach_stays() {
    let source = |keeps: bool, calls: bool| {
        let imports = ["KeInitializeDpc", "IoQueueWorkItem"];
        let source = Source::new(&imports).text(move |r| {
            r.sub(rsp, 0x28)?;
            r.mov(rbx, rcx)?;
            r.data(rcx, 0)?;
            r.address(rdx, Section::Text, 1)?;
            r.import("KeInitializeDpc")?;
            r.address(rdx, Section::Text, 2)?;
            if keeps {
                r.mov(rax, qword_ptr(rbx + 0x28))?;
                r.mov(rax, qword_ptr(rax + 0x10))?;
                r.mov(qword_ptr(rax + 0x18), rdx)?;
            }
            r.import("IoQueueWorkItem")?;
            r.add(rsp, 0x28)?;
            r.ret()
        });
        let source = source.text(move |r| {
            if calls {
                r.mov(rax, qword_ptr(rdx + 0x10))?;
                r.mov(rax, qword_ptr(rax + 0x10))?;
                r.call(qword_ptr(rax + 0x18))?;
            }
            r.ret()
        });
        advice(&source.text(|r| r.ret()))[2]
    };
    assert_eq!(source(true, true), (None, Some(Doubt::Pointer)));
    assert_eq!(source(true, false), (Some(Destination::Page), None));
    assert_eq!(source(false, true), (Some(Destination::Page), None));
}

/// The start of a driver keeps its parameters where the routine that it calls first leaves them, as a compiler that sees both does.
#[test]
fn registers_that_a_callee_keeps() {
    let dispatch = |cookie: Step| {
        let source = Source::new(&[PROBE]).text(|a| {
            a.sub(rsp, 0x28)?;
            a.mov(r8, rdx)?;
            a.mov(r9, rcx)?;
            a.routine(Section::Text, 1)?;
            a.mov(rdx, r8)?;
            a.mov(rcx, r9)?;
            a.add(rsp, 0x28)?;
            a.jump_to(Section::Text, 2)
        });
        let source = source.text(cookie).text(|a| {
            a.address(rax, Section::Text, 3)?;
            a.mov(qword_ptr(rcx + 0x70), rax)?;
            a.ret()
        });
        audit(&source.text(|a| a.ret())).entries.iter().filter(|entry| entry.role == "dispatch routine").count()
    };
    let keeps: [Step; 2] = [
        |a| {
            a.mov(rcx, rax)?;
            a.xor(rcx, rdx)?;
            a.data(rdx, 0)?;
            a.mov(qword_ptr(rdx), rcx)?;
            a.ret()
        },
        |a| {
            a.cmp(r9, rcx)?;
            a.ret()
        },
    ];
    assert_eq!(keeps.map(dispatch), [1, 1]);
    let changes: [Step; 4] = [
        |a| {
            a.mov(r9d, 1)?;
            a.ret()
        },
        |a| {
            a.bsf(r9, rcx)?;
            a.ret()
        },
        |a| {
            a.call(rax)?;
            a.ret()
        },
        |a| a.jmp(rax),
    ];
    assert_eq!(changes.map(dispatch), [0; 4]);
}
