//! The system as it describes itself (ddi: ZwQuerySystemInformation). Classes that describe what is not modelled are refused.

use nt_types::{NtStatus, PAGE_SIZE, Va};

use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::exports::ke::{BOOT_TIME_100NS, TICK_100NS};
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, NtQuerySystemInformation = ZwQuerySystemInformation(class: u32, information: Va, length: u32, result: Va), PASSIVE),
    export!(Ntoskrnl, ZwPowerInformation(level: u32, input: Va, input_length: u32, output: Va, output_length: u32), PASSIVE),
    export!(Ntoskrnl, ZwQuerySystemInformation(class: u32, information: Va, length: u32, result: Va), PASSIVE),
    export!(Ntoskrnl, ZwSetSystemInformation(class: u32, information: Va, length: u32), PASSIVE),
];

/// `SYSTEM_INFORMATION_CLASS`.
const BASIC: u32 = 0;
const PROCESSOR: u32 = 1;
const TIME_OF_DAY: u32 = 3;
const PROCESSES: u32 = 5;
const MODULES: u32 = 11;
const KERNEL_DEBUGGER: u32 = 35;
const CODE_INTEGRITY: u32 = 103;

/// Bytes of an answer at given offsets.
struct Fields(Vec<u8>);

impl Fields {
    fn of_size(size: usize) -> Fields {
        Fields(vec![0; size])
    }

    fn half(mut self, offset: usize, value: u32) -> Fields {
        self.0[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
        self
    }

    fn word(mut self, offset: usize, value: u64) -> Fields {
        self.0[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
        self
    }
}

/// STATUS_INFO_LENGTH_MISMATCH, and the size needed, where the buffer is too small.
fn ZwQuerySystemInformation(m: &mut Machine, class: u32, information: Va, length: u32, result: Va) -> Outcome {
    let bytes = match class {
        BASIC => basic(m),
        PROCESSOR => processor(m),
        TIME_OF_DAY => Fields::of_size(0x30).word(0, BOOT_TIME_100NS).word(8, m.system_time()).0,
        PROCESSES => processes(m, information),
        MODULES => modules(m),
        // No debugger: enabled, not present.
        KERNEL_DEBUGGER => vec![0, 1],
        // CODEINTEGRITY_OPTION_ENABLED.
        CODE_INTEGRITY => Fields::of_size(8).half(0, 8).half(4, 1).0,
        other => return Err(m.refuse("ZwQuerySystemInformation", format!("`SystemInformationClass` {other}"))),
    };
    m.give_information(&bytes, (information, length), result)
}

impl Machine {
    /// Stores the whole answer to a query, and its size where that is wanted: STATUS_INFO_LENGTH_MISMATCH where it does not
    /// fit.
    pub(crate) fn give_information(&mut self, bytes: &[u8], (buffer, length): (Va, u32), result: Va) -> Outcome {
        if !result.is_null() {
            self.write_u32(result, bytes.len() as u32)?;
        }
        if (length as usize) < bytes.len() {
            return Ok(Next::status(NtStatus::INFO_LENGTH_MISMATCH));
        }
        self.write_bytes(buffer, bytes)?;
        Ok(Next::status(NtStatus::SUCCESS))
    }
}

/// SYSTEM_BASIC_INFORMATION.
fn basic(m: &Machine) -> Vec<u8> {
    const GRANULARITY: u32 = 0x1_0000;
    let last = m.memory.last_ram_page() as u32;
    let processors = m.processors.len() as u32;
    Fields::of_size(0x40)
        .half(4, TICK_100NS as u32)
        .half(8, PAGE_SIZE as u32)
        .half(0xC, m.memory.config().frames)
        .half(0x10, 1)
        .half(0x14, last)
        .half(0x18, GRANULARITY)
        .word(0x20, GRANULARITY.into())
        .word(0x28, crate::exports::USER_PROBE_ADDRESS - 1)
        .word(0x30, (1 << processors) - 1)
        .half(0x38, processors)
        .0
}

/// SYSTEM_PROCESSOR_INFORMATION: architecture, level, revision, number, features.
fn processor(m: &Machine) -> Vec<u8> {
    const AMD64: u32 = 9;
    Fields::of_size(12).half(0, AMD64 | 6 << 16).half(4, (m.processors.len() as u32) << 16).0
}

/// SYSTEM_PROCESS_INFORMATION of the idle process and of the system process, which owns all threads.
fn processes(m: &Machine, at: Va) -> Vec<u8> {
    const ENTRY: usize = 0x100;
    const THREAD: usize = 0x50;
    const SYSTEM: &str = "System";
    let threads: Vec<u64> =
        m.threads().filter(|thread| !thread.idle).map(|thread| 4 * (u64::from(thread.id.0) + 2)).collect();
    let name_at = 2 * ENTRY + THREAD * threads.len();
    let name: Vec<u8> = SYSTEM.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    let mut system = Fields::of_size(ENTRY)
        .half(4, threads.len() as u32)
        .word(0x20, BOOT_TIME_100NS)
        .half(0x38, (name.len() as u32 - 2) | (name.len() as u32) << 16)
        .word(0x40, (at + name_at as u64).0)
        .half(0x48, 8)
        .word(0x50, 4)
        .0;
    for id in threads {
        system.extend(Fields::of_size(THREAD).word(0x28, 4).word(0x30, id).half(0x38, 8).half(0x3C, 8).0);
    }
    let mut bytes = Fields::of_size(ENTRY).half(0, ENTRY as u32).0;
    bytes.extend(system);
    bytes.extend(name);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

/// RTL_PROCESS_MODULES: the kernel images, then the drivers in the order they were loaded.
fn modules(m: &Machine) -> Vec<u8> {
    const HEADER: usize = 8;
    const ENTRY: usize = 0x128;
    const NAME: usize = 0x28;
    const SYSTEM32: &str = "\\SystemRoot\\system32\\";
    const DRIVERS: &str = "\\SystemRoot\\System32\\drivers\\";
    let kernel = m.kernel_images.images.iter().map(|image| (SYSTEM32, image.module.name(), image.base, image.size()));
    let drivers = m.modules.drivers().map(|driver| (DRIVERS, driver.name.as_str(), driver.base, driver.size));
    let all: Vec<_> = kernel.chain(drivers).collect();
    let mut bytes = Fields::of_size(HEADER).half(0, all.len() as u32).0;
    for (index, (folder, name, base, size)) in all.into_iter().enumerate() {
        let path: Vec<u8> = folder.bytes().chain(name.bytes()).take(255).collect();
        let mut entry = Fields::of_size(ENTRY)
            .word(0x10, base.0)
            .half(0x18, size as u32)
            .half(0x20, index as u32)
            .half(0x24, 1 | (folder.len() as u32) << 16)
            .0;
        entry[NAME..NAME + path.len()].copy_from_slice(&path);
        bytes.extend(entry);
    }
    bytes
}

fn ZwSetSystemInformation(m: &mut Machine, class: u32, _information: Va, _length: u32) -> Outcome {
    Err(m.refuse("ZwSetSystemInformation", format!("`SystemInformationClass` {class}")))
}

fn ZwPowerInformation(
    m: &mut Machine,
    level: u32,
    _input: Va,
    _input_length: u32,
    _output: Va,
    _output_length: u32,
) -> Outcome {
    Err(m.refuse("ZwPowerInformation", format!("`InformationLevel` {level}")))
}
