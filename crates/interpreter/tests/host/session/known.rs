//! The harness itself, against results that are known without running anything.

use engine::Gpr;
use iced_x86::{Code, Encoder, Instruction, MemoryOperand, Register};

use super::arena::{ABSENT, CODE, DATA, READ_ONLY};
use super::case::{BREAKPOINT, Case, Outcome, Stop};
use super::compare::compare;
use super::native::Host;
use super::{background, take_turn};

/// A case of `instruction` with RAX = 5 and RBX at the data page.
fn case(mut instruction: Instruction) -> Case {
    let mut case = Case { instruction, cpu: engine::Cpu::default(), arena: background() };
    case.cpu.rip = CODE + 0x100;
    case.cpu.set(Gpr::Rax, 5);
    case.cpu.set(Gpr::Rbx, DATA);
    instruction.set_ip(case.cpu.rip);
    let mut encoder = Encoder::new(64);
    encoder.encode(&instruction, case.cpu.rip).unwrap();
    let bytes = encoder.take_buffer();
    case.arena.poke(CODE, &[0xcc; 0x1000]);
    case.arena.poke(CODE + 0x100, &bytes);
    case.instruction = iced_x86::Decoder::with_ip(64, &bytes, case.cpu.rip, 0).decode();
    case
}

fn run(case: &Case) -> Outcome {
    let _turn = take_turn();
    Host::new(&case.arena).run(case)
}

fn store_to(address: u64) -> Case {
    let memory = MemoryOperand::with_base(Register::RBX);
    let mut case = case(Instruction::with2(Code::Mov_rm64_r64, memory, Register::RAX).unwrap());
    case.cpu.set(Gpr::Rbx, address);
    case
}

#[test]
fn host_adds() {
    let case = case(Instruction::with2(Code::Add_rm64_r64, Register::RAX, Register::RAX).unwrap());
    let outcome = run(&case);
    assert_eq!((outcome.stop, outcome.cpu.get(Gpr::Rax)), (BREAKPOINT, 10));
    assert_eq!(outcome.cpu.rip, case.cpu.rip + 4, "behind the breakpoint that follows");
}

#[test]
fn host_stores_to_memory() {
    let outcome = run(&store_to(DATA));
    assert_eq!(outcome.stop, BREAKPOINT);
    assert_eq!(outcome.arena.peek(DATA, 8), 5_u64.to_le_bytes());
}

#[test]
fn host_reports_an_absent_page_with_the_first_byte_in_it() {
    let outcome = run(&store_to(ABSENT + 0x123));
    assert_eq!(outcome.stop, Stop::PageFault { address: ABSENT + 0x123, write: true, execute: false, present: false });
}

#[test]
fn host_reports_a_write_to_a_read_only_page_across_a_border() {
    let outcome = run(&store_to(READ_ONLY - 3));
    assert_eq!(outcome.stop, Stop::PageFault { address: READ_ONLY, write: true, execute: false, present: true });
    assert_eq!(outcome.cpu.rip, CODE + 0x100);
}

#[test]
fn host_reports_exceptions() {
    let divide = case(Instruction::with1(Code::Div_rm64, Register::RDX).unwrap());
    assert_eq!(run(&divide).stop, Stop::Exception { vector: 0, error: None });
    let invalid = case(Instruction::with(Code::Ud2));
    assert_eq!(run(&invalid).stop, Stop::Exception { vector: 6, error: None });
    assert_eq!(run(&store_to(0x1234_0000_0000_0000)).stop, Stop::Exception { vector: 13, error: Some(0) });
}

#[test]
fn host_uses_xmm_and_x87_registers_and_restores_its_own() {
    let mut addps = case(Instruction::with2(Code::Addps_xmm_xmmm128, Register::XMM15, Register::XMM3).unwrap());
    addps.cpu.xmm[15] = u128::from(1.5_f32.to_bits());
    addps.cpu.xmm[3] = u128::from(2.25_f32.to_bits());
    assert_eq!(run(&addps).cpu.xmm[15], u128::from(3.75_f32.to_bits()));

    let mut fld1 = case(Instruction::with(Code::Fld1));
    fld1.cpu.x87.status = 4 << 11;
    let x87 = run(&fld1).cpu.x87;
    assert_eq!((x87.registers[3], x87.tag, x87.status >> 11 & 7), (0x3fff_8000_0000_0000_0000, 1 << 3, 3));
}

#[test]
fn comparison_names_what_differs() {
    let case = case(Instruction::with2(Code::Add_rm64_r64, Register::RAX, Register::RAX).unwrap());
    let (host, mut guest) = (run(&case), run(&case));
    assert!(compare(&host, &guest).is_empty());
    guest.cpu.gpr[0] ^= 1;
    guest.arena.poke(DATA, &[!guest.arena.peek(DATA, 1)[0]]);
    let text: Vec<String> = compare(&host, &guest).iter().map(ToString::to_string).collect();
    assert_eq!(text.len(), 2);
    assert!(text[0].contains("gpr[0]: host 0xa, interpreter 0xb"), "{text:?}");
    assert!(text[1].contains("[0x20002000]"), "{text:?}");
}
