//! Runs one instruction on the processor of the host.
//!
//! There is no trampoline: a signal handler exchanges the register state of this thread with that of the case and
//! back. `int3` enters it, and every way out is a signal too, because all the code around the instruction is `int3`.

// UNSAFETY: executing arbitrary instructions natively is what this module is for. It maps executable memory and edits
// the thread state that the kernel saves for a signal handler.
#![expect(unsafe_code, reason = "see UNSAFETY above")]

use std::arch::asm;
use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use engine::flat::{FlatMmu, PAGE_SIZE, Protection};
use engine::{Cpu, X87};
use libc::{REG_CR2, REG_EFL, REG_ERR, REG_R8, REG_RIP, REG_TRAPNO, greg_t, siginfo_t, ucontext_t};

use super::arena::{BASE, LAYOUT, LENGTH};
use super::case::{Case, FLAGS, Outcome, Stop};

const PAGE: usize = PAGE_SIZE as usize;

/// The signals in which an instruction can end.
const SIGNALS: [c_int; 5] = [libc::SIGTRAP, libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL];

/// Bytes of the floating-point area of a signal frame that hold x87, MXCSR and XMM: the FXSAVE image.
const LEGACY: usize = 512;
/// The same with the XSAVE header and the upper halves of the YMM registers.
const EXTENDED: usize = LEGACY + 64 + 256;
/// In the last bytes of the FXSAVE image: the kernel's mark that the area goes on in XSAVE format.
const XSAVE_MARK: (usize, u32) = (464, 0x4650_5853);
/// x87, SSE and AVX state: the bits of the XSAVE header that say what is not in its initial state.
const COMPONENTS: u8 = 0b111;
/// Where the upper halves lie.
const YMM_HIGH: usize = LEGACY + 64;

/// The last address of the lower canonical half, which belongs to programs.
const LAST_USER: u64 = (1 << 47) - 1;

/// The index in `gregs` of each general register, in encoding order.
const GREGS: [c_int; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];

/// The part of a signal frame that is exchanged.
struct Context {
    gregs: [greg_t; 23],
    floats: [u8; EXTENDED],
}

impl Context {
    const EMPTY: Context = Context { gregs: [0; 23], floats: [0; EXTENDED] };

    fn greg(&mut self, index: c_int) -> &mut greg_t {
        &mut self.gregs[index as usize]
    }

    fn write<const N: usize>(&mut self, offset: usize, bytes: [u8; N]) {
        self.floats[offset..][..N].copy_from_slice(&bytes);
    }

    fn read<const N: usize>(&self, offset: usize) -> [u8; N] {
        *self.floats[offset..].first_chunk().expect("within the area")
    }

    fn load(&mut self, cpu: &Cpu) {
        for (&greg, &value) in GREGS.iter().zip(&cpu.gpr) {
            *self.greg(greg) = value as greg_t;
        }
        *self.greg(REG_RIP) = cpu.rip as greg_t;
        *self.greg(REG_EFL) = cpu.rflags as greg_t;
        self.load_x87(&cpu.x87);
        self.write(24, cpu.mxcsr.to_le_bytes());
        for (index, value) in cpu.xmm.iter().enumerate() {
            self.write(160 + 16 * index, value.to_le_bytes());
        }
        for (index, value) in cpu.ymm_high.iter().enumerate() {
            self.write(YMM_HIGH + 16 * index, value.to_le_bytes());
        }
    }

    fn load_x87(&mut self, x87: &X87) {
        self.write(0, x87.control.to_le_bytes());
        self.write(2, x87.status.to_le_bytes());
        self.write(4, [x87.tag]);
        self.write(6, x87.opcode.to_le_bytes());
        self.write(8, x87.instruction.to_le_bytes());
        self.write(16, x87.data.to_le_bytes());
        for index in 0..8 {
            let physical = (usize::from(x87.status >> 11) + index) % 8;
            self.write(32 + 16 * index, x87.registers[physical].to_le_bytes());
        }
    }

    fn store(&mut self, cpu: &mut Cpu) {
        for (&greg, value) in GREGS.iter().zip(&mut cpu.gpr) {
            *value = *self.greg(greg) as u64;
        }
        cpu.rip = *self.greg(REG_RIP) as u64;
        cpu.rflags = (cpu.rflags & !FLAGS) | (*self.greg(REG_EFL) as u64 & FLAGS);
        cpu.x87 = self.store_x87();
        cpu.mxcsr = u32::from_le_bytes(self.read(24));
        for (index, value) in cpu.xmm.iter_mut().enumerate() {
            *value = u128::from_le_bytes(self.read(160 + 16 * index));
        }
        for (index, value) in cpu.ymm_high.iter_mut().enumerate() {
            *value = u128::from_le_bytes(self.read(YMM_HIGH + 16 * index));
        }
    }

    fn store_x87(&self) -> X87 {
        let status = u16::from_le_bytes(self.read(2));
        let mut x87 = X87 {
            registers: [0; 8],
            control: u16::from_le_bytes(self.read(0)),
            status,
            tag: self.floats[4],
            opcode: u16::from_le_bytes(self.read(6)),
            instruction: u64::from_le_bytes(self.read(8)),
            data: u64::from_le_bytes(self.read(16)),
        };
        for index in 0..8 {
            let physical = (usize::from(status >> 11) + index) % 8;
            x87.registers[physical] = u128::from_le_bytes(self.read(32 + 16 * index)) & ((1 << 80) - 1);
        }
        x87
    }

    fn stop(&mut self) -> Stop {
        const WITH_ERROR: [u8; 4] = [11, 12, 13, 17];
        let (vector, error) = (*self.greg(REG_TRAPNO) as u8, *self.greg(REG_ERR) as u32);
        if vector == 14 {
            let address = *self.greg(REG_CR2) as u64;
            // What the kernel of the host maps for itself is none of the case's business.
            let present = error & 1 != 0 && address <= LAST_USER;
            return Stop::PageFault { address, write: error & 2 != 0, execute: error & 16 != 0, present };
        }
        Stop::Exception { vector, error: WITH_ERROR.contains(&vector).then_some(error) }
    }
}

/// What the signal handler works on.
struct Session {
    running: bool,
    guest: Context,
    host: Context,
}

/// The session of the one thread that runs cases, null while none does.
static SESSION: AtomicPtr<Session> = AtomicPtr::new(ptr::null_mut());

impl Session {
    /// Exchanges host for guest on the way in and guest for host on the way out.
    fn switch(&mut self, frame: &mut Frame<'_>) {
        if self.running {
            frame.save(&mut self.guest);
            frame.restore(&self.host);
        } else {
            frame.save(&mut self.host);
            frame.restore(&self.guest);
        }
        self.running = !self.running;
    }
}

/// The thread state in a signal frame.
struct Frame<'a> {
    gregs: &'a mut [greg_t; 23],
    floats: &'a mut [u8],
}

impl Frame<'_> {
    fn save(&self, context: &mut Context) {
        context.gregs = *self.gregs;
        context.floats[..self.floats.len()].copy_from_slice(self.floats);
    }

    /// General registers, RIP and the flags; selectors and masks stay.
    fn restore(&mut self, context: &Context) {
        let registers = REG_R8 as usize..=REG_RIP as usize;
        self.gregs[registers.clone()].copy_from_slice(&context.gregs[registers]);
        let flags = &mut self.gregs[REG_EFL as usize];
        *flags = (*flags & !(FLAGS as greg_t)) | (context.gregs[REG_EFL as usize] & FLAGS as greg_t);
        self.floats[..28].copy_from_slice(&context.floats[..28]);
        self.floats[32..416].copy_from_slice(&context.floats[32..416]);
        if self.floats.len() == EXTENDED {
            self.floats[YMM_HIGH..].copy_from_slice(&context.floats[YMM_HIGH..]);
            self.floats[LEGACY] |= COMPONENTS;
        }
    }
}

extern "C" fn on_signal(signal: c_int, _: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes the address of this handler's `ucontext_t`, which nothing else refers to.
    let context = unsafe { &mut *context.cast::<ucontext_t>() };
    let floats = context.uc_mcontext.fpregs.cast::<u8>();
    // SAFETY: a 64-bit Linux signal frame holds a full FXSAVE image at `fpregs`.
    let mark = unsafe { floats.add(XSAVE_MARK.0).cast::<u32>().read_unaligned() };
    let length = if mark == XSAVE_MARK.1 { EXTENDED } else { LEGACY };
    // SAFETY: as above; with the mark, an XSAVE area in standard format follows, AVX state first.
    let floats = unsafe { std::slice::from_raw_parts_mut(floats, length) };
    // SAFETY: `Host::run` stores its session here for the time that it waits for the handler, and does not touch it.
    let session = unsafe { SESSION.load(Ordering::Acquire).as_mut() };
    match session {
        Some(session) if session.running || signal == libc::SIGTRAP => {
            session.switch(&mut Frame { gregs: &mut context.uc_mcontext.gregs, floats });
        }
        // SAFETY: `signal` is valid. The instruction that failed is not under test: let it fail the ordinary way.
        _ => drop(unsafe { libc::signal(signal, libc::SIG_DFL) }),
    }
}

/// The processor of the host, with the pages of an arena mapped at their addresses.
pub(crate) struct Host {
    pages: *mut u8,
    session: Box<Session>,
    previous: Vec<(c_int, libc::sigaction)>,
    previous_stack: libc::stack_t,
    _stack: Vec<u8>,
}

impl Host {
    /// Maps the pages, with the read-only page's content from `arena`, and installs the handler for this thread.
    pub(crate) fn new(arena: &FlatMmu) -> Host {
        let pages = map();
        let mut stack = vec![0_u8; 64 << 10];
        let alternate = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: stack.len() };
        // SAFETY: an all-zero `stack_t` is valid; both pointers are to live values and the stack outlives its use (see
        // `Drop`).
        let previous_stack = unsafe {
            let mut previous = std::mem::zeroed();
            assert_eq!(libc::sigaltstack(&raw const alternate, &raw mut previous), 0);
            previous
        };
        let session = Box::new(Session { running: false, guest: Context::EMPTY, host: Context::EMPTY });
        let previous = SIGNALS.iter().map(|&signal| (signal, install(signal))).collect();
        let host = Host { pages, session, previous, previous_stack, _stack: stack };
        host.write(arena, 0..LENGTH);
        host.protect();
        host
    }

    /// Runs the instruction at `case.cpu.rip`.
    pub(crate) fn run(&mut self, case: &Case) -> Outcome {
        for range in writable() {
            self.write(&case.arena, range);
        }
        self.session.guest.load(&case.cpu);
        SESSION.store(&raw mut *self.session, Ordering::Release);
        // SAFETY: the handler replaces the state of this thread, runs the case on it, and restores every register that
        // it replaced before execution continues here.
        unsafe { asm!("int3") };
        SESSION.store(ptr::null_mut(), Ordering::Release);
        let mut cpu = case.cpu.clone();
        self.session.guest.store(&mut cpu);
        let mut arena = case.arena.clone();
        self.read(&mut arena);
        Outcome { stop: self.session.guest.stop(), cpu, arena }
    }

    fn protect(&self) {
        for (index, protection) in LAYOUT.into_iter().enumerate() {
            let allowed = match protection {
                Protection::Absent | Protection::Device(_) => libc::PROT_NONE,
                Protection::ReadOnly => libc::PROT_READ,
                Protection::ReadExecute => libc::PROT_READ | libc::PROT_EXEC,
                Protection::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
                Protection::ReadWriteExecute => libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC,
            };
            // SAFETY: the page is part of our own mapping, to which no reference exists.
            let done = unsafe { libc::mprotect(self.pages.add(index * PAGE).cast(), PAGE, allowed) };
            assert_eq!(done, 0, "mprotect: {}", std::io::Error::last_os_error());
        }
    }

    /// Copies a range of `arena`, writable in the mapping, to the mapping.
    fn write(&self, arena: &FlatMmu, range: Range<usize>) {
        let bytes = &arena.peek(BASE, LENGTH)[range.clone()];
        // SAFETY: the range lies in our mapping and is writable; `arena` is another allocation.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.pages.add(range.start), bytes.len()) };
    }

    /// Copies all writable pages back.
    fn read(&self, arena: &mut FlatMmu) {
        for range in writable() {
            let mut bytes = [0; PAGE];
            // SAFETY: the range is one page of our mapping and readable; `bytes` is a page, too, and apart from it.
            unsafe { ptr::copy_nonoverlapping(self.pages.add(range.start), bytes.as_mut_ptr(), PAGE) };
            arena.poke(BASE + range.start as u64, &bytes);
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for (signal, action) in &self.previous {
            // SAFETY: `action` is what `sigaction` gave for this signal.
            unsafe { libc::sigaction(*signal, action, ptr::null_mut()) };
        }
        // SAFETY: restores what was there before, and unmaps what `map` mapped.
        unsafe {
            libc::sigaltstack(&raw const self.previous_stack, ptr::null_mut());
            libc::munmap(self.pages.cast(), LENGTH);
        }
    }
}

/// The writable pages as ranges of the arena's bytes.
fn writable() -> impl Iterator<Item = Range<usize>> {
    LAYOUT.into_iter().enumerate().filter_map(|(index, protection)| {
        matches!(protection, Protection::ReadWrite | Protection::ReadWriteExecute)
            .then_some(index * PAGE..(index + 1) * PAGE)
    })
}

/// Maps all pages, writable for now.
fn map() -> *mut u8 {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let address = ptr::without_provenance_mut(BASE as usize);
    // SAFETY: a new anonymous mapping, which replaces none.
    let pages = unsafe { libc::mmap(address, LENGTH, protection, flags, -1, 0) };
    assert_eq!(pages, address, "mmap: {}", std::io::Error::last_os_error());
    pages.cast()
}

/// Installs the handler for `signal` and returns the one before.
fn install(signal: c_int) -> libc::sigaction {
    // SAFETY: all-zero `sigaction`s are valid, and the handler has the type that SA_SIGINFO asks for.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_signal as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        let mut previous = std::mem::zeroed();
        assert_eq!(libc::sigaction(signal, &raw const action, &raw mut previous), 0);
        previous
    }
}
