//! Any bytes as code: no panic, no budget exceeded, and the same result in pieces as in one run.
//!
//! The first byte is the size of the pieces, sixteen more choose the general registers; the rest is code, and lies in the
//! data page, too. The engines live through all inputs, so their decoded code is full before long.
#![no_main]

use std::cell::RefCell;

use engine::flat::{FlatMmu, PAGE_SIZE, Protection};
use engine::{Cpu, Engine, Exit, Run};
use interpreter::Interpreter;
use libfuzzer_sys::fuzz_target;

/// Code, data, an absent page, a page of device memory, a read-only one.
const BASE: u64 = 0xffff_f800_0040_0000;
const LAYOUT: [Protection; 5] = [
    Protection::ReadWriteExecute,
    Protection::ReadWrite,
    Protection::Absent,
    Protection::Device(0xfee0_0000),
    Protection::ReadOnly,
];
const DATA: u64 = BASE + PAGE_SIZE;

/// Instructions that one input may execute, and exits that it may cause.
const BUDGET: u64 = 2000;
const MOST_EXITS: usize = 500;

#[derive(Clone)]
struct Machine {
    memory: FlatMmu,
    cpu: Cpu,
}

fn machine(choices: &[u8; 16], code: &[u8]) -> Machine {
    let code = &code[..code.len().min(PAGE_SIZE as usize)];
    let mut memory = FlatMmu::new(BASE, LAYOUT.len(), Protection::Absent);
    for (address, protection) in (BASE..).step_by(PAGE_SIZE as usize).zip(LAYOUT) {
        memory.protect(address, protection);
    }
    memory.poke(BASE, code);
    memory.poke(DATA, code);
    let mut cpu = Cpu { rip: BASE, gpr: choices.map(register), gs_base: DATA, ..Cpu::default() };
    cpu.rflags |= u64::from(choices[0]) & 0xd5;
    Machine { memory, cpu }
}

/// A small number, or an address in or around the pages.
fn register(choice: u8) -> u64 {
    let pages = BASE + u64::from(choice & 0x7f) * 0xa7;
    if choice < 0x20 { u64::from(choice) } else { pages }
}

/// Runs as a machine would: answers every question and steps over what only it could do.
fn drive(engine: &mut Interpreter<FlatMmu>, machine: &mut Machine, piece: u64) -> Vec<Exit> {
    let (mut left, mut exits) = (BUDGET, Vec::new());
    while left > 0 && exits.len() < MOST_EXITS {
        let Run { exit, retired, instruction } = engine.run(&mut machine.cpu, &mut machine.memory, piece.min(left));
        assert!(retired <= piece.min(left));
        left -= retired;
        match exit {
            Exit::Budget => continue,
            Exit::Device(_) | Exit::Privileged(_) => machine.cpu.answers.push(0x1234_5678_9abc_def0),
            Exit::IrqlChanged { .. } | Exit::InterruptsEnabled | Exit::Halt => {}
            Exit::Exception(exception) if exception.software || exception.vector == 1 => {}
            Exit::PageFault(_) | Exit::Hypercall | Exit::Exception(_) | Exit::Unsupported(_) => {
                assert_eq!(instruction, machine.cpu.rip, "before the instruction");
                machine.cpu.answers.clear();
                machine.cpu.rip = machine.cpu.rip.wrapping_add(1);
            }
        }
        exits.push(exit);
    }
    exits
}

thread_local! {
    static ENGINES: RefCell<[Interpreter<FlatMmu>; 2]> = RefCell::default();
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&piece, bytes)) = bytes.split_first() else { return };
    let Some((choices, code)) = bytes.split_first_chunk::<16>() else { return };
    let mut whole = machine(choices, code);
    let mut cut = whole.clone();
    ENGINES.with_borrow_mut(|[first, second]| {
        let exits = drive(first, &mut whole, BUDGET);
        assert_eq!(drive(second, &mut cut, u64::from(piece % 32) + 1), exits);
    });
    assert_eq!(whole.cpu, cut.cpu);
    let all = LAYOUT.len() * PAGE_SIZE as usize;
    assert!(whole.memory.peek(BASE, all) == cut.memory.peek(BASE, all));
});
