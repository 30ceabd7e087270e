//! Loops that exist twice: native and as guest code.

// UNSAFETY: the native loops are inline assembly, so that both sides execute the same instructions.
#![expect(unsafe_code, reason = "see UNSAFETY above")]

use std::arch::asm;
use std::time::Duration;

use engine::{Cpu, Engine, Exit, Gpr};
use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, ecx, qword_ptr, r8, rax, rbx, rcx, rdi, rdx, rsi};
use interpreter::Interpreter;
use memory::{Backing, Memory, MemoryConfig, Protection, Region};
use nt_types::Va;

/// Bytes that the pointer chase visits, a cache line a step.
const CHASED: usize = 1 << 20;
const LINE: usize = 64;

/// Bytes that one string copy moves.
const COPIED: usize = 4096;

/// Measurements of each side by turns. The fastest counts, but for a few: clocks have outliers, too.
const ROUNDS: usize = 200;
const OUTLIERS: usize = 10;

/// One loop on both sides.
pub(crate) struct Pair {
    pub(crate) name: &'static str,
    /// Native time divided by interpreted time must be at least this.
    pub(crate) target: f64,
    iterations: u64,
    native: Box<dyn FnMut(u64)>,
    guest: Guest,
}

impl Pair {
    /// Nanoseconds that one iteration takes: native, interpreted.
    pub(crate) fn measure(&mut self) -> [f64; 2] {
        let mut seconds = [const { Vec::new() }; 2];
        for _ in 0..ROUNDS {
            seconds[0].push(timed(|| (self.native)(self.iterations)));
            seconds[1].push(timed(|| self.guest.run(self.iterations)));
        }
        seconds.map(|mut seconds| {
            seconds.sort_by(f64::total_cmp);
            seconds[OUTLIERS] * 1e9 / self.iterations as f64
        })
    }
}

/// Seconds that this thread was busy: what others do on the machine meanwhile counts little.
fn timed(work: impl FnOnce()) -> f64 {
    let now = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    let start = now();
    work();
    now().saturating_sub(start).as_secs_f64()
}

pub(crate) fn all() -> [Pair; 3] {
    [alu(), copy(), chase()]
}

/// A guest program that counts RCX down to zero and halts.
struct Guest {
    engine: Interpreter<Memory>,
    memory: Memory,
    start: Cpu,
}

impl Guest {
    /// The program is given the address of two pages and `CHASED` bytes of data.
    fn new(write: impl FnOnce(&mut CodeAssembler, u64) -> Result<(), IcedError>) -> (Guest, Va) {
        let mut memory = Memory::new(MemoryConfig::default()).expect("a paging file");
        let mut allocate = |region, pages, protection| {
            memory.allocate(region, pages, Backing::Resident, protection).expect("enough frames")
        };
        let code = allocate(Region::Image, 1, Protection::READ_EXECUTE);
        let data = allocate(Region::NonpagedPool, 2 + CHASED as u64 / 4096, Protection::READ_WRITE);
        let mut assembler = CodeAssembler::new(64).expect("64 bits");
        write(&mut assembler, data.0).expect("valid operands");
        memory.protect(code, 1, Protection::READ_WRITE);
        memory.write_bytes(code, &assembler.assemble(code.0).expect("encodes")).expect("resident");
        memory.protect(code, 1, Protection::READ_EXECUTE);
        let start = Cpu { rip: code.0, ..Cpu::default() };
        (Guest { engine: Interpreter::default(), memory, start }, data)
    }

    fn run(&mut self, iterations: u64) {
        let mut cpu = self.start.clone();
        cpu.set(Gpr::Rcx, iterations);
        let run = self.engine.run(&mut cpu, &mut self.memory, u64::MAX);
        assert_eq!(run.exit, Exit::Halt);
    }
}

/// Shifts and exclusive ors that depend on each other, and a sum.
fn alu() -> Pair {
    let native = |iterations: u64| {
        // SAFETY: only registers are touched, all of them declared.
        unsafe {
            asm!(
                "2:",
                "mov {t}, {x}", "shl {t}, 13", "xor {x}, {t}",
                "mov {t}, {x}", "shr {t}, 7", "xor {x}, {t}",
                "mov {t}, {x}", "shl {t}, 17", "xor {x}, {t}",
                "add {sum}, {x}",
                "dec {n}", "jnz 2b",
                t = out(reg) _, x = inout(reg) 1u64 => _, sum = inout(reg) 0u64 => _, n = inout(reg) iterations => _,
                options(nomem, nostack)
            );
        }
    };
    let guest = |a: &mut CodeAssembler, _| {
        let mut top = a.create_label();
        a.mov(rax, 1u64)?;
        a.set_label(&mut top)?;
        for (left, count) in [(true, 13), (false, 7), (true, 17)] {
            a.mov(rdx, rax)?;
            if left {
                a.shl(rdx, count)?;
            } else {
                a.shr(rdx, count)?;
            }
            a.xor(rax, rdx)?;
        }
        a.add(rbx, rax)?;
        a.dec(rcx)?;
        a.jne(top)?;
        a.hlt()
    };
    let (guest, _) = Guest::new(guest);
    Pair { name: "alu", target: 0.10, iterations: 10_000, native: Box::new(native), guest }
}

/// `rep movsb` of a page.
fn copy() -> Pair {
    let (source, mut target) = (vec![1u8; COPIED], vec![0u8; COPIED]);
    let native = move |iterations: u64| {
        for _ in 0..iterations {
            // SAFETY: both buffers hold COPIED bytes and do not overlap.
            unsafe {
                asm!(
                    "rep movsb",
                    inout("rcx") COPIED => _, inout("rsi") source.as_ptr() => _, inout("rdi") target.as_mut_ptr() => _,
                    options(nostack)
                );
            }
        }
    };
    let guest = |a: &mut CodeAssembler, data| {
        let mut top = a.create_label();
        a.mov(r8, rcx)?;
        a.set_label(&mut top)?;
        a.mov(ecx, COPIED as u32)?;
        a.mov(rsi, data)?;
        a.mov(rdi, data + COPIED as u64)?;
        a.rep().movsb()?;
        a.dec(r8)?;
        a.jne(top)?;
        a.hlt()
    };
    let (guest, _) = Guest::new(guest);
    Pair { name: "rep movsb 4 KiB", target: 1.0 / 3.0, iterations: 1_000, native: Box::new(native), guest }
}

/// Loads whose address is the value of the load before, in an order that no prefetcher guesses.
fn chase() -> Pair {
    let order = shuffled(CHASED / LINE);
    let mut lines = vec![0u64; CHASED / 8];
    let base = lines.as_ptr() as u64;
    link(&order, |line, next| lines[line * LINE / 8] = base + (next * LINE) as u64);
    let native = move |iterations: u64| {
        // SAFETY: each line holds the address of another line of the same buffer, which is captured here.
        unsafe {
            asm!(
                "2:", "mov {p}, [{p}]", "dec {n}", "jnz 2b",
                p = inout(reg) lines.as_ptr() => _, n = inout(reg) iterations => _,
                options(readonly, nostack)
            );
        }
    };
    let guest = |a: &mut CodeAssembler, data: u64| {
        let mut top = a.create_label();
        a.mov(rax, data)?;
        a.set_label(&mut top)?;
        a.mov(rax, qword_ptr(rax))?;
        a.dec(rcx)?;
        a.jne(top)?;
        a.hlt()
    };
    let (mut guest, data) = Guest::new(guest);
    let place = |line: usize| data + (line * LINE) as u64;
    link(&order, |line, next| guest.memory.write_bytes(place(line), &place(next).0.to_le_bytes()).expect("resident"));
    Pair { name: "chase 1 MiB", target: 0.25, iterations: 20_000, native: Box::new(native), guest }
}

/// Links each line of an order to the one that follows, the last to the first.
fn link(order: &[usize], mut set: impl FnMut(usize, usize)) {
    for (line, next) in order.iter().zip(order.iter().cycle().skip(1)) {
        set(*line, *next);
    }
}

/// The numbers below `count` in a fixed random order.
fn shuffled(count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = 1u64;
    for last in (1..count).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        order.swap(last, (state >> 33) as usize % (last + 1));
    }
    order
}
