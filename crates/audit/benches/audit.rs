//! How the time and memory of an audit grow with the code: images of 0.1, 1 and 4 MB, made of functions like those of
//! drivers. Prints the best of several rounds, and the slope.
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

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
fn image(bytes: usize) -> Image {
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
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// Time that this thread has spent on a processor where the system says it (Linux), so that a busy machine does not
/// matter; else the time that has passed.
fn time(start: Instant) -> Duration {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let busy = schedule.and_then(|text| text.split_whitespace().next()?.parse().ok());
    busy.map_or_else(|| start.elapsed(), Duration::from_nanos)
}

fn main() {
    let began = Instant::now();
    let mut rates = Vec::new();
    for bytes in [100_000, 1_000_000, 4_000_000] {
        let image = image(bytes);
        let before = peak_memory();
        let mut best = Duration::MAX;
        let mut instructions = 0;
        for _ in 0..(8_000_000 / bytes).clamp(3, 20) {
            let start = time(began);
            instructions = audit::audit(&image, &[]).expect("it can be laid out").extent.instructions;
            best = best.min(time(began) - start);
        }
        let memory = before.zip(peak_memory()).map(|(before, after)| (after - before) / instructions.max(1));
        let memory = memory.map_or(String::new(), |bytes| format!(", {bytes} bytes of memory each"));
        let rate = bytes as f64 / best.as_secs_f64() / 1e6;
        println!("{bytes:>7} bytes: {best:>10.2?}, {rate:.1} MB/s, {instructions} instructions{memory}");
        rates.push(rate);
    }
    println!("slope: time a byte at 4 MB is {:.2} times that at 0.1 MB", rates[0] / rates[2]);
}
