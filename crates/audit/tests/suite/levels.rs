//! IRQL as code raises and lowers it. A probe shows its level where that is DISPATCH_LEVEL or above on every way.

use iced_x86::IcedError;
use iced_x86::code_asm::*;

use crate::assembled::{PROBE, Routine, Section, Source, Step, findings, probed};

/// The probes of a driver whose entry point, at PASSIVE_LEVEL, does these steps one after the other.
fn levels_of(module: &'static str, imports: &[&'static str], steps: &[Step]) -> Vec<u8> {
    probed(&driver(imports, steps).from(module))
}

fn levels(imports: &[&'static str], steps: &[Step]) -> Vec<u8> {
    levels_of("ntoskrnl.exe", imports, steps)
}

fn driver(imports: &[&'static str], steps: &[Step]) -> Source {
    let steps = steps.to_vec();
    entry(imports, move |a| steps.iter().try_for_each(|step| step(a)))
}

/// A driver whose entry point does this.
fn entry(imports: &[&'static str], body: impl Fn(&mut Routine<'_>) -> Result<(), IcedError> + 'static) -> Source {
    Source::new(&[imports, &[PROBE]].concat()).text(move |a| {
        a.sub(rsp, 0x68)?;
        body(a)?;
        a.add(rsp, 0x68)?;
        a.ret()
    })
}

/// Calls an import that takes or releases a lock.
type Lock = fn(&mut Routine<'_>, &str) -> Result<(), IcedError>;

/// The probes of a driver that shows its level before it takes a lock, while it has it, and afterwards.
fn levels_around([acquire, release]: [&'static str; 2], take: Lock, give_back: Lock) -> Vec<u8> {
    probed(&entry(&[acquire, release], move |a| {
        a.probe()?;
        take(a, acquire)?;
        a.probe()?;
        give_back(a, release)?;
        a.probe()
    }))
}

fn probe(a: &mut Routine<'_>) -> Result<(), IcedError> {
    a.probe()
}

/// The second parameter is what rbx keeps, and the first is a lock in `.data`.
fn with_old(a: &mut Routine<'_>, import: &str) -> Result<(), IcedError> {
    a.data(rcx, 0)?;
    a.mov(edx, ebx)?;
    a.import(import)
}

fn with_lock(a: &mut Routine<'_>, import: &str) -> Result<(), IcedError> {
    a.data(rcx, 0)?;
    a.import(import)?;
    a.mov(ebx, eax)
}

/// The first parameter is a lock, the second the address of a place on the stack.
fn with_place(a: &mut Routine<'_>, import: &str) -> Result<(), IcedError> {
    a.data(rcx, 0)?;
    a.lea(rdx, qword_ptr(rsp + 0x40))?;
    a.import(import)
}

/// The first parameter is the address of the place on the stack.
fn with_handle(a: &mut Routine<'_>, import: &str) -> Result<(), IcedError> {
    a.lea(rcx, qword_ptr(rsp + 0x40))?;
    a.import(import)
}

#[test]
fn inlined_reads_and_writes_of_cr8() {
    let raise: Step = |a| {
        a.mov(rbx, cr8)?;
        a.mov(eax, 2)?;
        a.mov(cr8, rax)
    };
    let higher: Step = |a| {
        a.mov(eax, 12)?;
        a.mov(cr8, rax)
    };
    let lower: Step = |a| a.mov(cr8, rbx);
    assert_eq!(levels(&[], &[probe, raise, probe, higher, probe, lower, probe]), [2, 12]);
}

#[test]
fn kfraiseirql_and_kelowerirql() {
    let raise: Step = |a| {
        a.mov(ecx, 2)?;
        a.import("KfRaiseIrql")?;
        a.mov(ebx, eax)
    };
    let higher: Step = |a| {
        a.mov(ecx, 5)?;
        a.import("KfRaiseIrql")?;
        a.mov(esi, eax)
    };
    let lower: Step = |a| {
        a.mov(ecx, esi)?;
        a.import("KeLowerIrql")
    };
    let end: Step = |a| {
        a.mov(cl, bl)?;
        a.import("KeLowerIrql")
    };
    let imports = ["KfRaiseIrql", "KeLowerIrql"];
    assert_eq!(levels(&imports, &[raise, probe, higher, probe, lower, probe, end, probe]), [2, 5, 2]);
    let to_apc: Step = |a| {
        a.mov(ecx, 1)?;
        a.import("KfRaiseIrql")
    };
    assert!(levels(&imports, &[to_apc, probe]).is_empty(), "APC_LEVEL");
}

#[test]
fn spin_locks_with_a_level_to_return_to() {
    let pairs = [
        ["KeAcquireSpinLockRaiseToDpc", "KeReleaseSpinLock"],
        ["KeAcquireSpinLockForDpc", "KeReleaseSpinLockForDpc"],
        ["ExAcquireSpinLockShared", "ExReleaseSpinLockShared"],
        ["ExAcquireSpinLockExclusive", "ExReleaseSpinLockExclusive"],
    ];
    for pair in pairs {
        assert_eq!(levels_around(pair, with_lock, with_old), [2], "{pair:?}");
    }
}

#[test]
fn spin_locks_with_a_place_for_the_level() {
    let pairs = [
        ["KeAcquireInStackQueuedSpinLock", "KeReleaseInStackQueuedSpinLock"],
        ["KeAcquireInStackQueuedSpinLockForDpc", "KeReleaseInStackQueuedSpinLockForDpc"],
    ];
    for pair in pairs {
        assert_eq!(levels_around(pair, with_place, with_handle), [2], "{pair:?}");
    }
    let with_stored: Lock = |a, import| {
        a.mov(cl, byte_ptr(rsp + 0x40))?;
        a.import(import)
    };
    assert_eq!(levels_around(["IoAcquireCancelSpinLock", "IoReleaseCancelSpinLock"], with_handle, with_stored), [2]);
}

/// What is acquired at DISPATCH_LEVEL leaves the level alone, and so does what releases it.
#[test]
fn locks_of_those_who_are_at_dispatch_level() {
    let imports = [
        "KeRaiseIrqlToDpcLevel",
        "KeLowerIrql",
        "KeAcquireSpinLockAtDpcLevel",
        "KeReleaseSpinLockFromDpcLevel",
        "KeAcquireInStackQueuedSpinLockAtDpcLevel",
        "KeReleaseInStackQueuedSpinLockFromDpcLevel",
        "ExAcquireSpinLockSharedAtDpcLevel",
        "ExReleaseSpinLockSharedFromDpcLevel",
        "ExInterlockedInsertTailList",
    ];
    let raise: Step = |a| {
        a.import("KeRaiseIrqlToDpcLevel")?;
        a.mov(ebx, eax)
    };
    let lower: Step = |a| {
        a.mov(ecx, ebx)?;
        a.import("KeLowerIrql")
    };
    let locks: [Step; 7] = [
        |a| with_place(a, "KeAcquireSpinLockAtDpcLevel"),
        |a| with_place(a, "KeReleaseSpinLockFromDpcLevel"),
        |a| with_place(a, "KeAcquireInStackQueuedSpinLockAtDpcLevel"),
        |a| with_handle(a, "KeReleaseInStackQueuedSpinLockFromDpcLevel"),
        |a| with_place(a, "ExAcquireSpinLockSharedAtDpcLevel"),
        |a| with_place(a, "ExReleaseSpinLockSharedFromDpcLevel"),
        |a| with_place(a, "ExInterlockedInsertTailList"),
    ];
    let mut steps = vec![raise, probe];
    steps.extend(locks.iter().flat_map(|lock| [*lock, probe]));
    steps.extend([lower, probe]);
    assert_eq!(levels(&imports, &steps), [2; 8]);
}

#[test]
fn the_lock_of_an_interrupt() {
    let pair = ["KeAcquireInterruptSpinLock", "KeReleaseInterruptSpinLock"];
    assert_eq!(levels_around(pair, with_lock, with_old), [3]);
}

/// KeSynchronizeExecution calls at DIRQL, and returns at the level of its caller.
#[test]
fn a_routine_that_is_synchronised_with_an_interrupt() {
    let synchronise: Step = |a| {
        a.address(rdx, Section::Text, 1)?;
        a.import("KeSynchronizeExecution")
    };
    let source = driver(&["KeSynchronizeExecution"], &[synchronise, probe]).text(|a| {
        a.sub(rsp, 0x28)?;
        a.probe()?;
        a.add(rsp, 0x28)?;
        a.ret()
    });
    assert_eq!(probed(&source), [3]);
}

/// Mutexes and guarded regions never exceed APC_LEVEL, and what is raised inside of one returns there.
#[test]
fn mutexes_and_guarded_regions() {
    let imports = [
        "ExAcquireFastMutex",
        "ExReleaseFastMutex",
        "ExTryToAcquireFastMutex",
        "KeAcquireGuardedMutex",
        "KeReleaseGuardedMutex",
        "KeEnterGuardedRegion",
        "KeLeaveGuardedRegion",
        "KeAcquireSpinLockRaiseToDpc",
        "KeReleaseSpinLock",
    ];
    let pairs: [[Step; 2]; 4] = [
        [|a| with_place(a, "ExAcquireFastMutex"), |a| with_place(a, "ExReleaseFastMutex")],
        [|a| with_place(a, "ExTryToAcquireFastMutex"), |a| with_place(a, "ExReleaseFastMutex")],
        [|a| with_place(a, "KeAcquireGuardedMutex"), |a| with_place(a, "KeReleaseGuardedMutex")],
        [|a| a.import("KeEnterGuardedRegion"), |a| a.import("KeLeaveGuardedRegion")],
    ];
    let lock: Step = |a| with_lock(a, "KeAcquireSpinLockRaiseToDpc");
    let unlock: Step = |a| with_old(a, "KeReleaseSpinLock");
    for [enter, leave] in pairs {
        assert_eq!(levels(&imports, &[enter, probe, lock, probe, unlock, probe, leave, probe]), [2]);
    }
}

/// A helper that is called at both levels is wrong where it is called at DISPATCH_LEVEL, and leaves each caller its level.
#[test]
fn a_helper_called_at_both_levels() {
    let call: Step = |a| a.routine(Section::Text, 1);
    let raise: Step = |a| {
        a.import("KeRaiseIrqlToDpcLevel")?;
        a.mov(ebx, eax)
    };
    let lower: Step = |a| {
        a.mov(ecx, ebx)?;
        a.import("KeLowerIrql")
    };
    let of = |steps: &[Step], helper: Step| {
        driver(&["KeRaiseIrqlToDpcLevel", "KeLowerIrql"], steps).text(move |a| {
            a.sub(rsp, 0x28)?;
            helper(a)?;
            a.add(rsp, 0x28)?;
            a.ret()
        })
    };
    let nothing: Step = |_| Ok(());
    assert_eq!(probed(&of(&[call, probe, raise, call, probe, lower, call, probe], nothing)), [2]);
    assert_eq!(probed(&of(&[call, raise, call, lower], probe)), [2]);
    assert!(probed(&of(&[call, raise, lower, call], probe)).is_empty());
}

/// One routine raises and returns the old level, another one lowers to it.
#[test]
fn helpers_that_raise_and_lower() {
    let source = driver(
        &["KeAcquireSpinLockRaiseToDpc", "KeReleaseSpinLock"],
        &[
            |a| {
                a.routine(Section::Text, 1)?;
                a.mov(esi, eax)
            },
            probe,
            |a| {
                a.mov(ecx, esi)?;
                a.routine(Section::Text, 2)
            },
            probe,
        ],
    );
    let source = source.text(|a| {
        a.sub(rsp, 0x28)?;
        a.data(rcx, 0)?;
        a.import("KeAcquireSpinLockRaiseToDpc")?;
        a.add(rsp, 0x28)?;
        a.ret()
    });
    let source = source.text(|a| {
        a.sub(rsp, 0x28)?;
        a.mov(edx, ecx)?;
        a.data(rcx, 0)?;
        a.import("KeReleaseSpinLock")?;
        a.add(rsp, 0x28)?;
        a.ret()
    });
    assert_eq!(probed(&source), [2]);
}

/// Where ways join of which only one raised, nothing is known; and a test of the level tells them apart again.
#[test]
fn levels_join_and_part() {
    let raise_perhaps: Step = |a| {
        let mut over = a.create_label();
        a.test(ecx, ecx)?;
        a.je(over)?;
        a.import("KeRaiseIrqlToDpcLevel")?;
        a.set_label(&mut over)?;
        a.nop()
    };
    let if_raised: Step = |a| {
        let mut over = a.create_label();
        a.mov(rax, cr8)?;
        a.cmp(al, 2)?;
        a.jb(over)?;
        a.probe()?;
        a.set_label(&mut over)?;
        a.nop()
    };
    let imports = ["KeRaiseIrqlToDpcLevel"];
    assert!(levels(&imports, &[raise_perhaps, probe]).is_empty());
    assert_eq!(levels(&imports, &[raise_perhaps, if_raised]), [2]);
}

#[test]
fn locks_of_ndis() {
    let read_at = |flags: u32| -> Vec<u8> {
        let take: Step = match flags {
            0 => |a| {
                a.xor(r8d, r8d)?;
                with_place(a, "NdisAcquireRWLockRead")
            },
            _ => |a| {
                a.mov(r8d, 1)?;
                with_place(a, "NdisAcquireRWLockRead")
            },
        };
        let release: Step = |a| with_place(a, "NdisReleaseRWLock");
        levels_of("ndis.sys", &["NdisAcquireRWLockRead", "NdisReleaseRWLock"], &[take, probe, release, probe])
    };
    assert_eq!(read_at(0), [2]);
    assert!(read_at(1).is_empty(), "NDIS_RWL_AT_DISPATCH_LEVEL leaves the level alone");
    let acquire: Step = |a| with_place(a, "NdisAcquireSpinLock");
    let release: Step = |a| with_place(a, "NdisReleaseSpinLock");
    let imports = ["NdisAcquireSpinLock", "NdisReleaseSpinLock"];
    assert_eq!(levels_of("ndis.sys", &imports, &[probe, acquire, probe, release, probe]), [2]);
}

/// StorPortAcquireSpinLock of storport.h: the third parameter says which lock.
#[test]
fn locks_of_storport() {
    let acquire = |lock: u32| -> Step {
        match lock {
            1 => |a| take(a, 1),
            _ => |a| take(a, 3),
        }
    };
    fn take(a: &mut Routine<'_>, lock: u32) -> Result<(), IcedError> {
        a.lea(rax, qword_ptr(rsp + 0x40))?;
        a.mov(qword_ptr(rsp + 0x20), rax)?;
        a.mov(r8d, lock)?;
        a.mov(ecx, 0x1003)?;
        a.import("StorPortNotification")
    }
    let release: Step = |a| {
        a.lea(r8, qword_ptr(rsp + 0x40))?;
        a.mov(ecx, 0x1004)?;
        a.import("StorPortNotification")
    };
    for (lock, level) in [(1, 2), (3, 3)] {
        let steps = [probe, acquire(lock), probe, release, probe];
        assert_eq!(levels_of("storport.sys", &["StorPortNotification"], &steps), [level]);
    }
}

/// K11 and K26: the routines that only take a lock look at it, and at where their caller lies.
#[test]
fn k26_a_lock_at_dispatch_level_in_pageable_code() {
    for import in ["KeTryToAcquireSpinLockAtDpcLevel", "ExTryAcquireSpinLockSharedAtDpcLevel"] {
        let source = driver(&[import], &[|a| a.routine(Section::Page, 0)]).page(move |a| {
            a.sub(rsp, 0x28)?;
            a.import(import)?;
            a.add(rsp, 0x28)?;
            a.ret()
        });
        assert_eq!(findings(&source), ["PAGE 0: RaiseInPageable"]);
    }
}
