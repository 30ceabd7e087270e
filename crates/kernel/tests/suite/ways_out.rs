//! Every way by which a driver could try to reach the host, and that it ends in the model.
//!
//! The source is the first witness: what never names a file, a socket, a process or the environment of the host, in a
//! crate without `unsafe`, cannot reach one. The others are the routines that would.

use std::path::{Path, PathBuf};

use nt_types::{NtStatus, PAGE_SIZE, Va};

use crate::exports::{check, check_status};
use crate::probe::Probe;

/// The crates that run while a driver runs, and the one file that may name the host: the paging file.
const CRATES: [&str; 8] =
    ["nt_types", "driver_image", "section_paging", "engine", "interpreter", "memory", "devices", "kernel"];
const HOST: [&str; 6] = ["std::fs", "std::net", "std::process", "std::env", "std::os", "std::thread"];
const PAGING_FILE: &str = "memory/src/paging_file.rs";

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn no_source_but_the_paging_file_names_the_host() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crates");
    let mut files = Vec::new();
    CRATES.iter().for_each(|name| sources(&crates.join(name).join("src"), &mut files));
    assert!(files.len() > 200, "the sources are there");
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a source can be read");
        // Tests may do as they like.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let is_test = file.ends_with("tests.rs");
        let named = HOST.iter().find(|host| code.contains(**host) && !is_test && !file.ends_with(PAGING_FILE));
        assert_eq!(named, None, "{}", file.display());
        assert!(!code.contains("unsafe {") && !code.contains("unsafe fn"), "{}", file.display());
    }
}

/// Files, disks, pipes, sockets and shares of the host have no name here.
#[test]
fn no_file_of_the_host_has_a_name() {
    let mut probe = Probe::plain();
    let (handle, status) = (probe.place(4), probe.place(5));
    for name in [
        "/etc/passwd",
        "\\??\\C:\\Windows\\System32\\ntoskrnl.exe",
        "\\SystemRoot\\System32\\config\\SAM",
        "\\??\\UNC\\host\\share\\file",
        "\\??\\PhysicalDrive0",
        "\\Device\\Harddisk0\\Partition0",
        "\\Device\\HarddiskVolume1\\file",
        "\\Device\\NamedPipe\\pipe",
        "\\Device\\Tcp",
        "\\Device\\Afd",
        "\\??\\GLOBALROOT\\Device\\HarddiskVolume1\\..\\..\\etc\\passwd",
    ] {
        let attributes = probe.attributes(probe.place(0), name, 0);
        let open = [handle, 0x8010_0080, attributes, status, 0, 0x80, 3, 1, 0x20, 0, 0];
        check_status!(probe, "ZwCreateFile", open => OBJECT_NAME_NOT_FOUND);
        check_status!(probe, "ZwOpenFile", [handle, 0x8010_0080, attributes, status, 3, 0x20] => OBJECT_NAME_NOT_FOUND);
        let string = probe.unicode(probe.place(2), name);
        check_status!(probe, "IoGetDeviceObjectPointer", [string, 0, handle, status] => OBJECT_NAME_NOT_FOUND);
    }
}

/// Physical memory is the model's: beyond its frames and devices there is nothing, which reads as all ones.
#[test]
fn physical_memory_ends_with_the_model() {
    let mut probe = Probe::plain();
    for physical in [0xFEE0_0000_u64, 0x0000_7F00_0000_0000, (1 << 52) - PAGE_SIZE] {
        let mapped = probe.ask("MmMapIoSpace", &[physical, PAGE_SIZE, 0]).expect("it is answered");
        assert_ne!(mapped, 0);
        let reader = probe.reader();
        assert_eq!(probe.call(0, reader, [mapped, 0]).expect("it is read") as u8, 0xFF);
        let writer = probe.writer();
        probe.call(0, writer, [mapped, 0]).expect("nothing takes it");
        assert_eq!(probe.call(0, reader, [mapped, 0]).expect("it is read") as u8, 0xFF);
    }
    let mut bytes = [0];
    assert!(
        probe.machine.memory.peek(Va(0x0000_7F00_0000_0000), &mut bytes).is_err(),
        "addresses of the host are none"
    );
}

/// Ports that no device claims read as all ones; buses have no devices but the model's.
#[test]
fn ports_and_buses_are_the_models() {
    let mut probe = Probe::plain();
    for port in [0x60_u64, 0x70, 0xCF8, 0xCFC, 0xB2] {
        check!(probe, "READ_PORT_UCHAR", [port] => 0xFF);
        probe.ask("WRITE_PORT_UCHAR", &[port, 0xFE]).expect("nothing takes it");
    }
    let buffer = probe.place(0);
    // PCIConfiguration: a slot without a device tells no vendor.
    probe.ask("HalGetBusData", &[4, 0, 0, buffer, 4]).expect("it is answered");
    assert_eq!(probe.half(buffer) & 0xFFFF, 0xFFFF);
    let stop = probe.ask("HalReturnToFirmware", &[3]).expect_err("the machine is not switched off");
    assert!(format!("{:?}", stop.kind).contains("HalReturnToFirmware"), "{:?}", stop.kind);
}

/// The one process is the modelled system process: no other can be opened.
#[test]
fn no_process_of_the_host_can_be_opened() {
    let mut probe = Probe::plain();
    let (handle, client) = (probe.place(4), probe.place(5));
    let attributes = probe.attributes(probe.place(0), "", 0);
    for id in [1_u64, u64::from(std::process::id())] {
        probe.set_word(client, id);
        let status = probe.ask("ZwOpenProcess", &[handle, 0x1F_FFFF, attributes, client]).expect("it is answered");
        assert!(!NtStatus(status as u32).is_success(), "process {id}");
    }
}
