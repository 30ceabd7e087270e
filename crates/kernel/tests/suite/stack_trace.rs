//! Stack traces: every instruction of a prolog and an epilog, modelled frames, interrupted code, bad data.

use crate::common::{Guest, Program, Unwind};
use iced_x86::code_asm::{dword_ptr, eax, ecx, qword_ptr, r12, rax, rbp, rbx, rcx, rdi, rsi, rsp};
use kernel::{Limit, Options, Stop, StopKind};
use nt_types::Rva;

/// A function that saves everything that can be saved, in the order that compilers use, called by one with a frame pointer.
struct Sample {
    file: Vec<u8>,
    root: Rva,
    /// Return addresses of the two calls, innermost first.
    calls: [Rva; 2],
    begin: Rva,
    end: Rva,
}

impl Sample {
    fn new() -> Sample {
        Sample::with_version(1)
    }

    /// The innermost function has unwind information of this version: version 2 says where the epilog lies.
    fn with_version(version: u8) -> Sample {
        let mut p = Program::new(&["KeBugCheck"]);
        let root = p.here();
        p.code.push(rbp).unwrap();
        p.code.sub(rsp, 0x20).unwrap();
        p.code.mov(rbp, rsp).unwrap();
        p.code.mov(eax, 0x40).unwrap();
        let mut outer = p.label();
        p.code.call(outer).unwrap();
        let root_call = p.here();
        p.code.lea(rsp, rbp + 0x20).unwrap();
        p.code.pop(rbp).unwrap();
        p.code.ret().unwrap();
        let root_end = p.here();

        p.place(&mut outer);
        p.code.push(rbp).unwrap();
        p.code.push(rbx).unwrap();
        p.code.sub(rsp, 0x28).unwrap();
        p.code.lea(rbp, rsp + 0x20).unwrap();
        let mut inner = p.label();
        p.code.sub(rsp, rax).unwrap(); // alloca: only the frame pointer knows where the frame is
        p.code.call(inner).unwrap();
        let call = p.here();
        p.code.lea(rsp, rbp + 8).unwrap();
        p.code.pop(rbx).unwrap();
        p.code.pop(rbp).unwrap();
        p.code.ret().unwrap();
        let outer_end = p.here();

        p.place(&mut inner);
        p.code.mov(qword_ptr(rsp + 8), rcx).unwrap(); // 0..5, a home
        p.code.push(rbp).unwrap(); // 5..6
        p.code.push(r12).unwrap(); // 6..8
        p.code.sub(rsp, 0x1000).unwrap(); // 8..15
        p.code.mov(qword_ptr(rsp + 0x30), rsi).unwrap(); // 15..20
        p.code.mov(qword_ptr(rsp + 0x40), rdi).unwrap(); // 20..25
        p.code.mov(ecx, 7).unwrap();
        p.code.xor(rbp, rbp).unwrap();
        p.code.mov(r12, rbp).unwrap();
        p.code.mov(rsi, rbp).unwrap();
        p.code.mov(dword_ptr(rsp + 0x20), ecx).unwrap();
        let mut skip = p.label();
        p.code.test(ecx, ecx).unwrap();
        p.code.jne(skip).unwrap();
        p.code.nop().unwrap();
        p.place(&mut skip);
        p.code.mov(rdi, qword_ptr(rsp + 0x40)).unwrap();
        p.code.mov(rsi, qword_ptr(rsp + 0x30)).unwrap();
        p.code.mov(eax, dword_ptr(rsp + 0x20)).unwrap();
        p.code.add(rsp, 0x1000).unwrap();
        p.code.pop(r12).unwrap();
        p.code.pop(rbp).unwrap();
        p.code.ret().unwrap();
        let end = p.here();

        // mov rbp, rsp; sub rsp, 20h; push rbp
        let codes = vec![[8, 0x03], [5, 0x32], [1, 0x50]];
        p.unwind(root, root_end, Unwind { prolog_size: 8, frame: 0x05, codes, ..Unwind::default() });
        // lea rbp, [rsp+20h]; sub rsp, 28h; push rbx; push rbp
        let codes = vec![[11, 0x03], [6, 0x42], [2, 0x30], [1, 0x50]];
        p.unwind(outer, outer_end, Unwind { prolog_size: 11, frame: 0x25, codes, ..Unwind::default() });
        // save rdi; save rsi; sub rsp, 1000h; push r12; push rbp
        let codes = vec![[25, 0x74], [8, 0], [20, 0x64], [6, 0], [15, 0x01], [0, 2], [8, 0xC0], [6, 0x50]];
        let mut unwind = Unwind { prolog_size: 25, frame: 0, codes, ..Unwind::default() };
        if version == 2 {
            // pop r12; pop rbp; ret: four bytes, at the end of the function.
            let epilog = [[4, 0x16]];
            let slots = [&epilog[..], &unwind.codes].concat();
            unwind.bytes = [vec![2, 25, slots.len() as u8, 0], slots.concat(), vec![0; 2]].concat();
        }
        p.unwind(inner, end, unwind);
        let (file, [root, call, root_call, begin, end]) = p.link([root, call, root_call, inner, end]);
        Sample { file, root, calls: [call, root_call], begin, end }
    }

    /// The stack after so many instructions of the machine.
    fn stack_after(&self, steps: u64) -> (Guest, Option<Box<Stop>>) {
        let options = Options { step_limit: steps, ..Options::default() };
        let mut guest = Guest::load_with(self.file.clone(), options);
        let stop = guest.call(self.root, &[]).err();
        (guest, stop)
    }
}

#[test]
fn every_instruction_of_a_function_leads_to_its_callers() {
    leads_to_its_callers(&Sample::new());
}

#[test]
fn so_it_does_with_unwind_information_of_version_2() {
    leads_to_its_callers(&Sample::with_version(2));
}

fn leads_to_its_callers(sample: &Sample) {
    let (mut inside, mut steps) = (0, 1);
    loop {
        let (guest, stop) = sample.stack_after(steps);
        let Some(stop) = stop else { break };
        assert!(matches!(stop.kind, StopKind::Limit(Limit::Steps(_))), "{:?}", stop.kind);
        let stack = &stop.place.stack;
        assert_eq!(stack[0], stop.place.instruction);
        if (guest.at(sample.begin)..guest.at(sample.end)).contains(&stack[0]) {
            assert_eq!(stack[1..], sample.calls.map(|call| guest.at(call)), "from {}", stack[0]);
            inside += 1;
        }
        steps += 1;
    }
    assert_eq!(inside, 20);
}
