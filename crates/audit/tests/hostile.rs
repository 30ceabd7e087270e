//! Large images that mean harm, in a process of its own: how much memory each took is asked of the system.

#[path = "../benches/image/mod.rs"]
mod image;

use std::time::Instant;

use driver_image::builder::{CODE, CONSTANTS, PeBuilder, VARIABLES};
use driver_image::{Directory, Image};
use image::{of_code, time, with_memory};
use nt_types::{Rva, Va};

const BASE: Va = Va(0x1_4000_0000);

/// An image of `code`, entered at its start, with a function table of these pieces and pointers to these offsets in the code.
fn image(code: &[u8], pieces: impl Iterator<Item = (u32, u32)>, pointers: &[u32]) -> Image {
    let mut builder = PeBuilder::new();
    let text = builder.section(".text", CODE, code);
    let unwind = builder.section(".xdata", CONSTANTS, &[1, 0, 0, 0]);
    let entry = |(start, end)| [text.0 + start, text.0 + end, unwind.0].map(u32::to_le_bytes).concat();
    let table: Vec<u8> = pieces.flat_map(entry).collect();
    let functions = builder.section(".pdata", CONSTANTS, &table);
    builder.directory(Directory::Exception, functions, table.len() as u32);
    let address = |at: &u32| (BASE.0 + u64::from(text.0 + at)).to_le_bytes();
    let bytes: Vec<u8> = pointers.iter().flat_map(address).collect();
    let data = builder.section(".data", VARIABLES, &bytes);
    let places: Vec<Rva> = (0..pointers.len() as u32).map(|place| Rva(data.0 + place * 8)).collect();
    builder.base(BASE).relocations(&places).entry_point(text);
    Image::parse(builder.build()).expect("the builder's images are sound")
}

/// Conditional jumps, one after the other, to places that look random.
fn jumps(bytes: usize) -> Vec<u8> {
    let count = (bytes / 6) as u64;
    let mut code = Vec::with_capacity(bytes);
    let mut random: u64 = 1;
    for index in 0..count {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let target = (random >> 33) % count * 6;
        code.extend([0x0f, 0x84]);
        code.extend((target as i32 - (index * 6 + 6) as i32).to_le_bytes());
    }
    code.push(0xc3);
    code
}

/// `mov ecx, [rdx+rcx*4+table]` and `jmp rcx` in pieces of 0.5 MB, each with one table of 1,024 entries at its start.
fn switches(bytes: usize) -> Vec<u8> {
    const PIECE: usize = 1 << 19;
    let mut code = Vec::with_capacity(bytes + PIECE);
    while code.len() < bytes {
        let start = 0x1000 + code.len() as u32;
        let entry = |index: u32| (start + 0x1000 + index * 9).to_le_bytes();
        // The first instruction jumps over the table.
        code.extend([0xe9, 0xfb, 0x0f, 0, 0, 0, 0, 0]);
        code.extend((0..1022).flat_map(entry));
        let mut jump = vec![0x8b, 0x8c, 0x8a];
        jump.extend((start + 8).to_le_bytes());
        jump.extend([0xff, 0xe1]);
        code.extend(jump.repeat((PIECE - 0x1000) / jump.len()));
        code.resize(code.len().next_multiple_of(PIECE), 0xcc);
    }
    code
}

fn pieces(code: &[u8], bytes: usize) -> impl Iterator<Item = (u32, u32)> {
    let end = code.len() as u32;
    (0..end).step_by(bytes).map(move |start| (start, end.min(start + bytes as u32)))
}

/// Ways to make little code cost much, by name.
fn families(bytes: usize) -> Vec<(&'static str, Image)> {
    let jumps = jumps(bytes);
    let calls = [0xe8, 0, 0, 0, 0].repeat(bytes / 5);
    let chain = [0xe8, 3, 0, 0, 0, 0xc3, 0xcc, 0xcc].repeat(bytes / 8);
    let every: Vec<u32> = (0..chain.len() as u32).step_by(8).collect();
    let overlapping = |count: u32, end: u32| (0..count).map(move |start| (start, end));
    let switches = switches(bytes);
    let nops = vec![0x90; bytes];
    let through_one: Vec<u8> = [0xff, 0x15, 0, 0, 0, 0].repeat(bytes / 6);
    vec![
        ("a function that is too long", image(&jumps, pieces(&jumps, jumps.len()), &[])),
        ("jumps without a function table", image(&jumps, pieces(&[], 1), &[])),
        ("functions of jumps", image(&jumps, pieces(&jumps, 6 << 16), &[])),
        ("calls of the next instruction", image(&calls, pieces(&[], 1), &[])),
        ("a chain of calls, each of them an entry", image(&chain, pieces(&chain, 8), &every)),
        ("calls of unlisted functions, each of them an entry", image(&chain, pieces(&[], 1), &every)),
        ("functions that overlap", image(&nops, overlapping(1_000_000.min(bytes as u32 - 1), bytes as u32), &[])),
        ("jumps through one table", image(&switches, pieces(&switches, 1 << 19), &[])),
        ("calls through memory", image(&through_one, pieces(&through_one, 6 << 12), &[])),
    ]
}

/// Every image takes about as long as one of the same size that means no harm, and as much memory; and it is told what was not
/// looked at.
#[test]
#[expect(clippy::print_stdout, reason = "the figures are of interest")]
fn bounded_time_and_memory() {
    let began = Instant::now();
    let cost = |image: &Image| {
        let start = time(began);
        let (audit, memory) = with_memory(|| audit::audit(image, &[]).expect("it can be laid out"));
        ((time(began) - start).as_secs_f64(), memory, audit)
    };
    for bytes in [2_000_000, 20_000_000] {
        let (plain, plain_memory, _) = cost(&of_code(bytes));
        println!("{bytes} bytes: plain {plain:.2} s, {} MB", plain_memory >> 20);
        for (name, image) in families(bytes) {
            let (seconds, memory, audit) = cost(&image);
            println!("{name}: {:.2} times, {} MB, {:?}", seconds / plain, memory >> 20, audit.incomplete);
        }
    }
}
