//! Two ways out of a function must agree: undoing its prolog, and finishing the epilog that its code has.
//!
//! At the first instruction of an epilog both apply, so every epilog of every driver at hand is a test of both.

use std::path::{Path, PathBuf};

use devices::Bus;
use driver_image::unwind::{FrameRegister, RuntimeFunction, UnwindInfo, UnwindOperation, UnwindTail};
use driver_image::{Image, ReadImage};
use engine::Cpu;
use iced_x86::{Decoder, DecoderOptions};
use memory::{Backing, MemoryConfig, Protection, Region};
use nt_types::{PAGE_SIZE, Rva, Va};

use super::{finish_epilog, undo_chain};
use crate::machine::Machine;
use crate::options::Options;
use crate::seh::epilog::{self, Step};
use crate::seh::registers::Registers;
use crate::seh::source::{Failure, Reading, Source};

/// The drivers in a folder, and in the folders in it.
fn drivers_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            drivers_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("sys")) {
            found.push(path);
        }
    }
    found.sort();
}

/// Registers whose stack pointer is this.
fn registers_on(stack: Va) -> Registers {
    let mut cpu = Cpu { gpr: std::array::from_fn(|index| 0x0101 * index as u64), ..Cpu::default() };
    cpu.gpr[4] = stack.0;
    Registers::of(&cpu)
}

/// What the registers hold that both ways restore: the stack pointer, the return address, what was pushed.
fn restored(source: &mut Source<'_>, info: &UnwindInfo, registers: &Registers) -> Result<Vec<u64>, Failure> {
    let mut values = vec![registers.rsp(), registers.rip];
    let mut info = info.clone();
    for _ in 0..super::MAX_CHAIN {
        let pushed = info.codes.iter().filter_map(|code| match code.operation {
            UnwindOperation::Push { register } => Some(registers.gpr[usize::from(register & 15)]),
            _ => None,
        });
        values.extend(pushed);
        let UnwindTail::Chained(next) = info.tail else { break };
        info = UnwindInfo::read(source, next.unwind_info)?;
    }
    Ok(values)
}

/// Compares the two ways at each epilog of a function; how many there were, and where they differ.
fn compare(
    source: &mut Source<'_>,
    function: RuntimeFunction,
    stack: Va,
    differ: &mut Vec<Rva>,
) -> Result<usize, Failure> {
    let info = UnwindInfo::read(source, function.unwind_info)?;
    let mut code = vec![0; function.end.0.saturating_sub(function.begin.0).min(1 << 16) as usize];
    source.read(function.begin, &mut code)?;
    let (mut epilogs, mut inside) = (0, false);
    for instruction in Decoder::with_ip(64, &code, u64::from(function.begin.0), DecoderOptions::NONE) {
        let at = Rva(instruction.ip() as u32);
        let steps = epilog::rest(source, function, info.frame, at)?;
        let begins = steps.is_some() && !inside && at.0 - function.begin.0 >= u32::from(info.prolog_size);
        inside = steps.is_some();
        // Microsoft's compiler also writes `mov rsp, r11` before the pops; the epilog that counts begins after it then.
        let releases = |steps: &Vec<Step>| !matches!(steps[..], [] | [Step::Pop(_), ..]);
        let Some(steps) = steps.filter(|steps| begins && releases(steps)) else { continue };
        let mut undone = registers_on(stack);
        if let Some(FrameRegister { register, offset }) = info.frame {
            undone.gpr[usize::from(register)] = stack.0 + u64::from(offset);
        }
        let mut finished = undone.clone();
        finish_epilog(source, &info, &steps, &mut finished)?;
        undo_chain(source, info.clone(), None, &mut undone)?;
        epilogs += 1;
        if restored(source, &info, &finished)? != restored(source, &info, &undone)? {
            differ.push(at);
        }
    }
    Ok(epilogs)
}

/// A machine, and a stack in it that is large enough for any driver's frame; every slot holds another value.
fn machine() -> (Machine, Va) {
    const PAGES: u64 = 64;
    let mut machine = Machine::boot(Options::default(), MemoryConfig::default(), Bus::new()).unwrap();
    let stack = machine.memory.allocate(Region::KernelStack, PAGES, Backing::Resident, Protection::READ_WRITE).unwrap();
    let content: Vec<u8> = (0..PAGES * PAGE_SIZE / 8).flat_map(|slot| (0xA000_0000 + slot).to_le_bytes()).collect();
    machine.memory.write_bytes(stack, &content).unwrap();
    (machine, stack + PAGE_SIZE)
}

/// How many epilogs the image has, and where the two ways differ.
fn compare_image(path: &Path) -> (usize, Vec<Rva>) {
    let (mut differ, mut epilogs) = (Vec::new(), 0);
    let Ok(image) = Image::parse(std::fs::read(path).unwrap()) else { return (0, differ) };
    let functions = image.functions().unwrap_or_default();
    let (mut machine, stack) = machine();
    let base = machine.load_driver("test.sys", image).unwrap();
    let driver = machine.modules.driver_at(base).unwrap().clone();
    let mut source = Source { memory: &mut machine.memory, driver: &driver, reading: Reading::Look };
    for function in functions {
        epilogs += compare(&mut source, function, stack, &mut differ).unwrap();
    }
    (epilogs, differ)
}

#[test]
fn epilogs_and_unwind_codes_agree() {
    let mut paths = Vec::new();
    drivers_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../drivers"), &mut paths);
    let results = paths.iter().map(|path| (path, compare_image(path)));
    let mut epilogs = 0;
    for (path, (here, differ)) in results {
        assert_eq!(differ, [], "{}", path.display());
        epilogs += here;
    }
    assert!(epilogs > 500, "{epilogs}");
}

/// Drivers of others hold a little assembly that does not keep to the rules.
#[test]
#[expect(clippy::print_stderr, reason = "what differs is for people to judge")]
fn epilogs_and_unwind_codes_of_real_drivers_agree() {
    let Some(folder) = std::env::var_os("NONPAGED_DRIVERS") else {
        return eprintln!("skipped: NONPAGED_DRIVERS names no folder of drivers");
    };
    let (mut paths, mut epilogs, mut different) = (Vec::new(), 0, 0);
    drivers_below(Path::new(&folder), &mut paths);
    for path in &paths {
        let (here, differ) = compare_image(path);
        (epilogs, different) = (epilogs + here, different + differ.len());
        if !differ.is_empty() {
            eprintln!("{}: {differ:?}", path.display());
        }
    }
    eprintln!("{different} of {epilogs} epilogs in {} images differ", paths.len());
    assert!(different * 10_000 <= epilogs);
}
