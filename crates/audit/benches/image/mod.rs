//! Images of any size, made of functions like those of drivers, and what auditing them costs.

use std::time::{Duration, Instant};

use driver_image::builder::{CODE, CONSTANTS, PeBuilder};
use driver_image::{Directory, Image};

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

/// An image with so many bytes of code.
pub(crate) fn of_code(bytes: usize) -> Image {
    let mut builder = PeBuilder::new();
    let count = bytes / FUNCTION.len();
    let mut code = FUNCTION.repeat(count);
    // The last two call nothing.
    code.extend([0xc3; 128]);
    let text = builder.section(".text", CODE, &code);
    let unwind = builder.section(".xdata", CONSTANTS, &[1, 0, 0, 0]);
    let entry = |index: usize| {
        let start = text.0 + (index * FUNCTION.len()) as u32;
        [start, start + FUNCTION.len() as u32, unwind.0].map(u32::to_le_bytes).concat()
    };
    let table: Vec<u8> = (0..count).flat_map(entry).collect();
    let functions = builder.section(".pdata", CONSTANTS, &table);
    builder.directory(Directory::Exception, functions, table.len() as u32);
    builder.entry_point(text);
    Image::parse(builder.build()).expect("the builder's images are sound")
}

/// Largest amount of memory that this process has used, in bytes; only Linux says.
pub(crate) fn peak_memory() -> Option<u64> {
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
