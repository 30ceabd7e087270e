//! Random bytes as code: no panic, no budget exceeded, and the same result however the budget is cut.

use engine::flat::{FlatMmu, PAGE_SIZE, Protection};
use engine::{Cpu, Engine, Exit, Run};
use interpreter::Interpreter;
use proptest::prelude::*;

/// Code, data that it may reach through any register, an absent page, and a page of device memory.
const BASE: u64 = 0xffff_f800_0040_0000;
const PAGES: usize = 8;

/// Instructions that one case may execute.
const BUDGET: u64 = 400;

/// A machine with registers that mostly point somewhere useful.
#[derive(Clone)]
struct Machine {
    memory: FlatMmu,
    cpu: Cpu,
}

fn machine(code: &[u8], registers: [u64; 16], rflags: u64, start: u64) -> Machine {
    let mut memory = FlatMmu::new(BASE, PAGES, Protection::ReadWriteExecute);
    memory.protect(BASE + 5 * PAGE_SIZE, Protection::Absent);
    memory.protect(BASE + 6 * PAGE_SIZE, Protection::Device(0xfee0_0000));
    memory.protect(BASE + 7 * PAGE_SIZE, Protection::ReadOnly);
    memory.poke(BASE + start, code);
    let mut cpu = Cpu { gpr: registers, rip: BASE + start, ..Cpu::default() };
    cpu.rflags |= rflags & 0xcd5;
    cpu.gs_base = BASE + PAGE_SIZE;
    Machine { memory, cpu }
}

/// Runs as a machine would: answers every question and steps over what only it could do. Gives every exit.
fn drive(machine: &mut Machine, mut pieces: impl FnMut() -> u64) -> Vec<Exit> {
    let mut engine = Interpreter::default();
    let (mut left, mut exits) = (BUDGET, Vec::new());
    while left > 0 && exits.len() < 100 {
        let budget = pieces().clamp(1, left);
        let Run { exit, retired, instruction } = engine.run(&mut machine.cpu, &mut machine.memory, budget);
        assert!(retired <= budget);
        left -= retired;
        match exit {
            Exit::Budget => {
                assert_eq!((retired, instruction), (budget, machine.cpu.rip));
                continue;
            }
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

/// Addresses in and around the window, small numbers, anything.
fn register() -> impl Strategy<Value = u64> {
    let end = PAGES as u64 * PAGE_SIZE;
    prop_oneof![4 => (0..end).prop_map(|offset| BASE + offset), 2 => 0..64_u64, 1 => any::<u64>()]
}

/// Bytes that are often instructions which touch memory, repeat, jump or ask.
fn code() -> impl Strategy<Value = Vec<u8>> {
    let frequent = prop::sample::select(vec![
        0x00, 0x01, 0x03, 0x0f, 0x48, 0x50, 0x58, 0x66, 0x75, 0x83, 0x87, 0x89, 0x8b, 0x90, 0xa4, 0xa5, 0xaa, 0xab,
        0xc1, 0xc3, 0xe8, 0xeb, 0xec, 0xee, 0xf2, 0xf3, 0xf6, 0xf7, 0xfb, 0xff,
    ]);
    prop::collection::vec(prop_oneof![any::<u8>(), frequent], 1..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(2000)))]

    #[test]
    fn any_bytes_run_within_the_budget_and_the_same_in_pieces(
        code in code(),
        registers in prop::array::uniform16(register()),
        rflags: u64,
        start in prop_oneof![Just(0), 0..3 * PAGE_SIZE],
        pieces in prop::collection::vec(1..30_u64, 1..8),
    ) {
        let mut whole = machine(&code, registers, rflags, start);
        let mut cut = whole.clone();
        let exits = drive(&mut whole, || BUDGET);
        let mut sizes = pieces.iter().cycle();
        let again = drive(&mut cut, || *sizes.next().expect("endless"));
        prop_assert_eq!(exits, again);
        prop_assert_eq!(whole.cpu, cut.cpu);
        let all = PAGES * PAGE_SIZE as usize;
        prop_assert_eq!(whole.memory.peek(BASE, all), cut.memory.peek(BASE, all));
    }
}
