//! Images of any size, made of functions like those of drivers, and what auditing them costs.

use std::time::{Duration, Instant};

use driver_image::builder::{CODE, CONSTANTS, PeBuilder, VARIABLES};
use driver_image::{Directory, Image};
use nt_types::{Rva, Va};

/// A function with a frame, a loop, a condition and two calls: of the next function, and of the one after it.
const FUNCTION: [u8; 64] = [
    0x48, 0x89, 0x5c, 0x24, 0x08, // mov [rsp+8], rbx
    0x57, // push rdi
    0x48, 0x83, 0xec, 0x20, // sub rsp, 20h
    0x48, 0x8b, 0xd9, // mov rbx, rcx
    0x8b, 0xfa, // mov edi, edx
    0x33, 0xc0, // xor eax, eax
    0x8b, 0x4c, 0x83, 0x10, // l: mov ecx, [rbx+rax*4+10h]
    0xff, 0xc0, // inc eax
    0x3b, 0xc7, // cmp eax, edi
    0x72, 0xf6, // jb l
    0x85, 0xc9, // test ecx, ecx
    0x74, 0x0a, // je m
    0x48, 0x8b, 0xcb, // mov rcx, rbx
    0xe8, 0x19, 0x00, 0x00, 0x00, // call next
    0xeb, 0x08, // jmp n
    0x48, 0x8b, 0xcb, // m: mov rcx, rbx
    0xe8, 0x4f, 0x00, 0x00, 0x00, // call after next
    0x48, 0x8b, 0x5c, 0x24, 0x30, // n: mov rbx, [rsp+30h]
    0x48, 0x83, 0xc4, 0x20, // add rsp, 20h
    0x5f, // pop rdi
    0xc3, // ret
    0xcc, 0xcc, 0xcc, 0xcc,
];

const BASE: Va = Va(0x1_4000_0000);

/// Functions of a component: what one routine of a driver leads to. Twice the code is twice as many of them, each as deep.
const COMPONENT: usize = 256;

/// The code of a component. The last two functions call nothing.
fn component() -> Vec<u8> {
    let mut code = FUNCTION.repeat(COMPONENT - 2);
    code.resize(COMPONENT * FUNCTION.len(), 0xcc);
    for last in [COMPONENT - 2, COMPONENT - 1] {
        code[last * FUNCTION.len()] = 0xc3;
    }
    code
}

/// An image with so many bytes of code, give or take half a component, and a table of pointers to the first function of
/// each component.
pub(crate) fn of_code(bytes: usize) -> Image {
    let mut builder = PeBuilder::new();
    let components = (bytes / FUNCTION.len()).div_ceil(COMPONENT).max(1);
    let text = builder.section(".text", CODE, &component().repeat(components));
    let at = |index: usize| text.0 + (index * FUNCTION.len()) as u32;
    let unwind = builder.section(".xdata", CONSTANTS, &[1, 0, 0, 0]);
    let entry = |index: usize| [at(index), at(index + 1), unwind.0].map(u32::to_le_bytes).concat();
    let table: Vec<u8> = (0..components * COMPONENT).flat_map(entry).collect();
    let functions = builder.section(".pdata", CONSTANTS, &table);
    builder.directory(Directory::Exception, functions, table.len() as u32);
    let pointer = |component: usize| (BASE.0 + u64::from(at(component * COMPONENT))).to_le_bytes();
    let pointers: Vec<u8> = (0..components).flat_map(pointer).collect();
    let data = builder.section(".data", VARIABLES, &pointers);
    let places: Vec<Rva> = (0..components as u32).map(|component| Rva(data.0 + component * 8)).collect();
    builder.base(BASE).relocations(&places).entry_point(text);
    Image::parse(builder.build()).expect("the builder's images are sound")
}

/// What a piece of work comes to, and the largest amount of memory in bytes that it had at one time beyond what was there
/// before; only Linux says.
pub(crate) fn with_memory<T>(work: impl FnOnce() -> T) -> (T, u64) {
    // Forgets the peak so far.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let before = peak_memory();
    let result = work();
    (result, before.zip(peak_memory()).map_or(0, |(before, after)| after - before))
}

fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// Time that this thread has spent on a processor where the system says it (Linux), so that a busy machine does not
/// matter; else the time that has passed.
pub(crate) fn time(start: Instant) -> Duration {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let busy = schedule.and_then(|text| text.split_whitespace().next()?.parse().ok());
    busy.map_or_else(|| start.elapsed(), Duration::from_nanos)
}
