//! Large images that mean harm, in a process of its own: how much memory each took is asked of the system.

#[path = "../benches/image/mod.rs"]
mod image;

use std::time::Instant;

use driver_image::builder::{CODE, CONSTANTS, PeBuilder, VARIABLES};
use driver_image::{Directory, Image, ImportedSymbol};
use image::{of_code, time, with_memory};
use nt_types::{Rva, Va};

const BASE: Va = Va(0x1_4000_0000);

/// Most entries of a function table.
const ENTRIES: usize = 400_000;

/// An image of `code`, entered at its start, with a function table of these pieces and pointers to these offsets in the code.
/// Behind the code lie pageable data with the pointers, and what `unwind` makes of its place for all pieces.
fn image(
    code: &[u8],
    pieces: impl Iterator<Item = (u32, u32)>,
    pointers: &[u32],
    unwind: impl Fn(u32, u32) -> Vec<u8>,
) -> Image {
    let mut builder = PeBuilder::new();
    let text = builder.section(".text", CODE, code);
    let address = |at: &u32| (BASE.0 + u64::from(text.0 + at)).to_le_bytes();
    let bytes: Vec<u8> = pointers.iter().flat_map(address).chain([0; 64]).collect();
    let data = builder.section("PAGEDATA", VARIABLES, &bytes);
    let symbol = ImportedSymbol::Name { name: "__C_specific_handler".to_owned(), hint: 0 };
    let slot = builder.imports(&[("ntoskrnl.exe", &[symbol])])[0].0;
    // The builder says where a section lies once it is there.
    let thunk = builder.section(".thunk", CODE, &[0xcc; 16]).0;
    let jump = [vec![0xff, 0x25], slot.wrapping_sub(thunk + 0x1000 + 6).to_le_bytes().to_vec()].concat();
    let handler = builder.section(".jump", CODE, &jump).0;
    assert_eq!(handler, thunk + 0x1000);
    let xdata = handler + 0x1000;
    let unwind = builder.section(".xdata", CONSTANTS, &unwind(xdata, handler));
    assert_eq!(unwind.0, xdata);
    let entry = |(start, end)| [text.0 + start, text.0 + end, unwind.0].map(u32::to_le_bytes).concat();
    let table: Vec<u8> = pieces.take(ENTRIES).flat_map(entry).collect();
    let functions = builder.section(".pdata", CONSTANTS, &table);
    builder.directory(Directory::Exception, functions, table.len() as u32);
    let places: Vec<Rva> = (0..pointers.len() as u32).map(|place| Rva(data.0 + place * 8)).collect();
    builder.base(BASE).relocations(&places).entry_point(text);
    Image::parse(builder.build()).expect("the builder's images are sound")
}

/// Unwind information of a function without frame and handler.
fn plain(_: u32, _: u32) -> Vec<u8> {
    vec![1, 0, 0, 0]
}

/// A chain of parts that is as long as is followed.
fn chained(at: u32, _: u32) -> Vec<u8> {
    let link = |index: u32| [0x21, 0x1000, 0x1001, at + 16 * (index + 1)].map(u32::to_le_bytes).concat();
    (0..31).flat_map(link).chain([1, 0, 0, 0]).collect()
}

/// A scope table with as many rows as are looked at.
fn scopes(_: u32, handler: u32) -> Vec<u8> {
    let row = |index: u32| [0x1000, 0x1001, 0x1000 + index, 0x1000 + index].map(u32::to_le_bytes).concat();
    let head = [0x09, handler, 256].map(u32::to_le_bytes).concat();
    head.into_iter().chain((0..256).flat_map(row)).collect()
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

/// In each piece IRQL is raised; the rest uses pageable data, instruction by instruction.
fn touches(bytes: usize) -> Vec<u8> {
    let bytes = bytes - bytes % TOUCHING;
    let data = 0x1000 + (bytes as u32).next_multiple_of(0x1000);
    let mut code = Vec::with_capacity(bytes);
    while code.len() < bytes {
        if code.len().is_multiple_of(TOUCHING) {
            code.extend([0xb8, 2, 0, 0, 0, 0x44, 0x0f, 0x22, 0xc0, 0x90, 0x90, 0x90]);
        }
        code.extend([0xff, 0x05]);
        code.extend((data - 0x1000 - code.len() as u32 - 4).to_le_bytes());
    }
    code
}

/// Length of a function of `touches`.
const TOUCHING: usize = 6 << 15;

/// Ways to make little code cost much: a name, an image, and whether the audit must say that it did not look at all of it.
fn families(bytes: usize) -> Vec<(&'static str, Image, bool)> {
    let (jumps, switches, touches) = (jumps(bytes), switches(bytes), touches(bytes));
    let calls = [0xe8, 0, 0, 0, 0].repeat(bytes / 5);
    // Each function calls the next one.
    let link = [[0xe8, 0x3b, 0, 0, 0, 0xc3].as_slice(), &[0xcc; 58]].concat();
    let chain = link.repeat(bytes / link.len());
    let every: Vec<u32> = (0..chain.len() as u32).step_by(link.len()).collect();
    let starts: Vec<u32> = (0..touches.len() as u32).step_by(TOUCHING).collect();
    let nops = vec![0x90; bytes];
    let overlapping = (0..bytes as u32 - 1).map(|start| (start, (start + (1 << 19)).min(bytes as u32)));
    vec![
        ("a function that is too long", image(&jumps, pieces(&jumps, jumps.len()), &[], plain), true),
        ("jumps without a function table", image(&jumps, pieces(&[], 1), &[], plain), true),
        ("functions of jumps", image(&jumps, pieces(&jumps, 6 * 32_000), &[], plain), false),
        ("functions of too many jumps", image(&jumps, pieces(&jumps, 6 << 16), &[], plain), true),
        ("calls of the next instruction", image(&calls, pieces(&[], 1), &[], plain), true),
        ("a chain of calls, each an entry", image(&chain, pieces(&chain, link.len()), &every, plain), false),
        ("the same, unlisted", image(&chain, pieces(&[], 1), &every, plain), true),
        ("functions that overlap", image(&nops, overlapping, &[], plain), true),
        ("deep chains of parts", image(&chain, pieces(&chain, link.len()), &[], chained), false),
        ("one scope table for all", image(&chain, pieces(&chain, link.len()), &[], scopes), true),
        ("jumps through one table", image(&switches, pieces(&switches, 1 << 19), &[], plain), true),
        ("a finding at each instruction", image(&touches, pieces(&touches, TOUCHING), &starts, plain), true),
    ]
}

/// Every image takes about as long as one of the same size that means no harm, and as much memory, and what was not looked at
/// is told.
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
        let (harmless, ..) = cost(&of_code(bytes));
        for (name, image, is_told) in families(bytes) {
            let (seconds, memory, audit) = cost(&image);
            let (times, each) = (seconds / harmless, memory / bytes as u64);
            println!("{bytes} bytes, {name}: {times:.2} times as long, {each} bytes of memory for each of the image");
            assert!(times < MOST_TIMES, "{name}: {times} times {harmless} s");
            assert!(each < MOST_MEMORY, "{name}: {each} bytes of memory for each of the image");
            assert!(audit.incomplete.is_complete() != is_told, "{name}: {:?}", audit.incomplete);
        }
    }
}

/// How many times as long as a harmless image of its size an image may take: the dearest takes 9 to 12 times, as the machine is
/// loaded, and without its limits an image would take thousands.
const MOST_TIMES: f64 = 24.0;
/// Bytes of memory for each of the image: 200 for an instruction of five bytes, as calls are.
const MOST_MEMORY: u64 = 40;
