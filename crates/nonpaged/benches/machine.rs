//! What a machine costs: an exported call, a fork, a whole run. Prints figures and ratios of one run.
//!
//! `cargo bench -p nonpaged --bench machine`
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use devices::SerialLine;
use driver_image::builder::{CODE, CONSTANTS, PeBuilder};
use driver_image::{Image, ImportedSymbol};
use kernel::{Machine, Options};
use memory::MemoryConfig;
use nonpaged::Driver;
use nonpaged::scenario::{Scenario, play};
use nonpaged::session::Session;
use nt_types::{Rva, Va};

/// Exported calls in one measurement.
const CALLS: u32 = 1_000_000;
/// Forks in one measurement.
const FORKS: u32 = 2_000;
/// Pages written in a fork, to see what each costs.
const WRITTEN_PAGES: u64 = 64;

fn main() {
    println!("a machine, per item");
    exported_call();
    fork();
    serial();
}

fn session() -> Session {
    Session::new(Options::default(), MemoryConfig::default(), SerialLine::loopback_plug()).expect("a machine boots")
}

/// `mov ebx, CALLS; again: call [import]; dec ebx; jnz again; pop rbx; ret`, and the same without the call.
fn exported_call() {
    let (with, without) = (calls("KeGetCurrentIrql"), empty_loop());
    let each = with.saturating_sub(without) / CALLS;
    println!("  exported call                 {:>9.1} ns   target 80 ns", each.as_secs_f64() * 1e9);
}

fn calls(routine: &str) -> Duration {
    let mut builder = PeBuilder::new();
    let import = ImportedSymbol::Name { name: routine.to_owned(), hint: 0 };
    let slot = builder.imports(&[("ntoskrnl.exe", &[import])])[0];
    let code = builder.next_rva();
    let mut bytes = vec![0x53, 0x48, 0x83, 0xec, 0x20, 0xbb];
    bytes.extend(CALLS.to_le_bytes());
    let call_at = bytes.len() as u32;
    bytes.extend([0xff, 0x15]);
    bytes.extend((slot.0.wrapping_sub(code.0 + call_at + 6)).to_le_bytes());
    bytes.extend([0xff, 0xcb, 0x75, 0xf6, 0x48, 0x83, 0xc4, 0x20, 0x5b, 0xc3]);
    builder.section(".text", CODE, &bytes);
    time_routine(&builder, code)
}

fn empty_loop() -> Duration {
    let mut builder = PeBuilder::new();
    builder.section(".rdata", CONSTANTS, &[0; 16]);
    let code = builder.next_rva();
    let mut bytes = vec![0x53, 0x48, 0x83, 0xec, 0x20, 0xbb];
    bytes.extend(CALLS.to_le_bytes());
    bytes.extend([0xff, 0xcb, 0x75, 0xfc, 0x48, 0x83, 0xc4, 0x20, 0x5b, 0xc3]);
    builder.section(".text", CODE, &bytes);
    time_routine(&builder, code)
}

/// The shortest of five runs of a routine on a machine of its own.
fn time_routine(builder: &PeBuilder, code: Rva) -> Duration {
    let image = Image::parse(builder.build()).expect("the image is valid");
    let mut session = session();
    let base = session.load("bench.sys", image).expect("it loads");
    (0..5).map(|_| timed(|| call(&mut session, base + code))).min().unwrap_or_default()
}

fn call(session: &mut Session, routine: Va) {
    let request = session.machine.call_routine("bench", routine, &[]).expect("a thread");
    session.wait(request, None).expect("it returns");
}

fn fork() {
    let mut session = serial_session();
    let plain = timed(|| {
        for _ in 0..FORKS {
            black_box(session.machine.fork());
        }
    }) / FORKS;
    let buffer = session.machine.memory.allocate(
        memory::Region::NonpagedPool,
        WRITTEN_PAGES,
        memory::Backing::Resident,
        memory::Protection::READ_WRITE,
    );
    let buffer = buffer.expect("room for a buffer");
    touch(&mut session.machine, buffer);
    let written = timed(|| {
        for _ in 0..FORKS {
            touch(&mut session.machine.fork(), buffer);
        }
    }) / FORKS;
    let page = written.saturating_sub(plain).as_secs_f64() * 1e6 / WRITTEN_PAGES as f64;
    println!("  fork                          {:>9.1} us   target 30 us", plain.as_secs_f64() * 1e6);
    println!("  page written after a fork     {page:>9.2} us   target 0.5 us");
}

fn touch(machine: &mut Machine, buffer: Va) {
    for page in 0..WRITTEN_PAGES {
        machine.write_u64(buffer + page * 4096, page).expect("the page is there");
    }
}

fn serial_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../drivers/serial/serial.sys")
}

/// A machine in which the serial driver has been started.
fn serial_session() -> Session {
    let mut session = session();
    let base =
        session.load("serial.sys", Driver::read(&serial_path()).expect("the sample driver").image).expect("it loads");
    session.initialize(base).expect("it starts");
    session
}

fn serial() {
    let driver = Driver::read(&serial_path()).expect("the sample driver");
    let whole = (0..5)
        .map(|_| {
            timed(|| {
                let mut session = session();
                let base = session.load("serial.sys", driver.image.clone()).expect("it loads");
                play(&mut session, base, &driver, &Scenario::default(), |_, _| {}).expect("it is clean");
            })
        })
        .min()
        .unwrap_or_default();
    println!("  serial, from boot to unload   {:>9.2} ms   target 200 ms", whole.as_secs_f64() * 1e3);
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}
