//! A first program.

use engine::flat::{FlatMmu, Protection};
use engine::{Cpu, Engine, Exit, Gpr};
use iced_x86::code_asm::{CodeAssembler, eax, ecx, rax};
use interpreter::Interpreter;

const BASE: u64 = 0xffff_f800_0000_0000;

#[test]
fn a_loop_runs_to_the_exact_budget() {
    let mut a = CodeAssembler::new(64).unwrap();
    let (mut top, mut function) = (a.create_label(), a.create_label());
    a.xor(eax, eax).unwrap();
    a.mov(ecx, 10u32).unwrap();
    a.set_label(&mut top).unwrap();
    a.call(function).unwrap();
    a.dec(ecx).unwrap();
    a.jne(top).unwrap();
    a.push(rax).unwrap();
    a.set_label(&mut function).unwrap();
    a.add(eax, ecx).unwrap();
    a.ret().unwrap();
    let mut memory = FlatMmu::new(BASE, 4, Protection::ReadWriteExecute);
    memory.poke(BASE, &a.assemble(BASE).unwrap());
    let mut cpu = Cpu { rip: BASE, ..Cpu::default() };
    cpu.set(Gpr::Rsp, BASE + 0x4000);
    let mut engine = Interpreter::default();
    let budget = 2 + 5 * 10 + 1;
    let run = engine.run(&mut cpu, &mut memory, budget);
    assert_eq!((run.exit, run.retired), (Exit::Budget, budget));
    assert_eq!(cpu.get(Gpr::Rax), 55);
    assert_eq!(cpu.get(Gpr::Rsp), BASE + 0x3ff8);
}
