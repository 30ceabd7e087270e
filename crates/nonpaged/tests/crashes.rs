//! The ways in which code goes astray, each with a report of its own.

use std::process::Command;

use driver_image::builder::{CODE, PeBuilder, VARIABLES};
use tempfile::TempDir;

/// Runs a driver whose DriverEntry is this code; its data is at rva 0x2000: exit code, reports.
fn crash(code: &[u8]) -> (Option<i32>, String) {
    let mut builder = PeBuilder::new();
    let text = builder.section(".text", CODE, code);
    builder.section(".data", VARIABLES, &[0xC3; 16]);
    builder.entry_point(text);
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("crash.sys");
    std::fs::write(&path, builder.build()).expect("it can be written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_nonpaged"));
    let output = command.arg("run").arg(&path).args(["--steps", "200000"]).output().expect("the program starts");
    (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
}

/// The first line of the report of this code, and how the program exits.
#[track_caller]
fn assert_crash(code: &[u8], exit: i32, title: &str, notes: &[&str]) {
    let (found, text) = crash(code);
    assert_eq!((found, text.lines().next()), (Some(exit), Some(title)), "{text}");
    for note in notes {
        assert!(text.contains(note), "{note:?} in\n{text}");
    }
}

#[test]
fn a_null_call_names_the_call() {
    // sub rsp, 28h; xor eax, eax; call rax
    let code = [0x48, 0x83, 0xEC, 0x28, 0x31, 0xC0, 0xFF, 0xD0];
    assert_crash(
        &code,
        10,
        "error[0x1E]: call of a null pointer: `0x0` executed",
        &["1006 | ff d0              call  rax\n", "called from here", "(0xc0000005, 0x0, 0x8, 0x0)"],
    );
}

/// mov rax, address; jmp rax
fn jump(address: u64) -> Vec<u8> {
    [&[0x48, 0xB8], &address.to_le_bytes()[..], &[0xFF, 0xE0]].concat()
}

#[test]
fn wild_jumps() {
    let kernel = "error[0x50]: unmapped address `0xfffffa0012340000` executed";
    let from = ["the processor came from here", "100a | ff e0              jmp   rax", "jumped from here"];
    assert_crash(&jump(0xFFFF_FA00_1234_0000), 10, kernel, &[&["PAGE_FAULT_IN_NONPAGED_AREA"], &from[..]].concat());
    let user = "error[0x1E]: user-mode address `0x12340000` executed, where no code is";
    assert_crash(&jump(0x1234_0000), 10, user, &[&["(0xc0000005, 0x12340000, 0x8, 0x12340000)"], &from[..]].concat());
    let not_canonical = "error[0x50]: non-canonical address `0x8000000012340000` executed";
    assert_crash(&jump(0x8000_0000_1234_0000), 10, not_canonical, &["100a | ff e0              jmp   rax"]);
    // lea rax, .data; jmp rax
    let data = "error[0xFC]: code of non-executable section `.data` executed";
    assert_crash(
        &[0x48, 0x8D, 0x05, 0xF9, 0x0F, 0, 0, 0xFF, 0xE0],
        10,
        data,
        &["EXECUTE_OF_NOEXECUTE_MEMORY", from[0], from[2]],
    );
    // A return to what is no return address: mov rax, address; push rax; ret
    let code = [&[0x48, 0xB8], &0xFFFF_FA00_5678_0000_u64.to_le_bytes()[..], &[0x50, 0xC3]].concat();
    let returned = "error[0x50]: unmapped address `0xfffffa0056780000` executed";
    assert_crash(&code, 10, returned, &["100b | c3                 ret", "jumped from here"]);
}

/// `push rax; call $-1`, for ever.
#[test]
fn a_stack_overflow_is_a_double_fault() {
    let code = [0x50, 0xE8, 0xFA, 0xFF, 0xFF, 0xFF];
    assert_crash(&code, 10, "error[0x7F]: kernel stack overflow", &["(0x8, 0x0, 0x0, 0x0)"]);
}

/// What a driver must not do to the processor is named, and done to no processor but the modelled one.
#[test]
fn privileged_instructions_are_named() {
    // mov cr3, rax
    let cr3 = "unsupported: page tables of the driver's own: CR3 is `0x200000`";
    assert_crash(&[0xB8, 0, 0, 0x20, 0, 0x0F, 0x22, 0xD8], 20, cr3, &[]);
    // mov ecx, IA32_LSTAR; wrmsr, rdmsr
    let write = "unsupported: write of 0x5 to model-specific register 0xc0000082";
    let code = [0xB9, 0x82, 0, 0, 0xC0, 0xB8, 5, 0, 0, 0, 0x31, 0xD2, 0x0F, 0x30];
    assert_crash(&code, 20, write, &["wrmsr"]);
    let read = "unsupported: read of model-specific register 0xc0000082";
    assert_crash(&[0xB9, 0x82, 0, 0, 0xC0, 0x0F, 0x32], 20, read, &["rdmsr"]);
    assert_crash(&[0xF3, 0x0F, 0xC7, 0x33], 20, "unsupported: instruction `f3 0f c7 33`", &["vmxon"]);
    assert_crash(&[0x0F, 0x05], 20, "unsupported: instruction `0f 05`", &["syscall"]);
    let hlt = "unsupported: privileged instruction `hlt`, which stops the processor until an interrupt";
    assert_crash(&[0xF4], 20, hlt, &["1000 | f4"]);
    let swapgs = "unsupported: privileged instruction `swapgs`, after which the kernel does not find its processor";
    assert_crash(&[0x0F, 0x01, 0xF8], 20, swapgs, &["1000 | 0f 01 f8"]);
    // sidt and sgdt are harmless; lgdt, lidt of what they stored: push rax; push rax; sgdt [rsp]; lgdt [rsp]
    for (store, load, name) in [(0x04, 0x14, "lgdt"), (0x0C, 0x1C, "lidt")] {
        let code = [0x50, 0x50, 0x0F, 0x01, store, 0x24, 0x0F, 0x01, load, 0x24];
        let (exit, text) = crash(&code);
        let title = format!("unsupported: privileged instruction `{name}`: a table of the driver's own at `0x");
        assert!(exit == Some(20) && text.starts_with(&title), "{text}");
    }
    // ltr ax, lldt ax, and wrmsr to IA32_GS_BASE
    assert_crash(&[0x0F, 0x00, 0xD8], 20, "unsupported: instruction `0f 00 d8`", &["ltr"]);
    assert_crash(&[0x0F, 0x00, 0xD0], 20, "unsupported: instruction `0f 00 d0`", &["lldt"]);
    let base = "unsupported: write of 0x0 to model-specific register 0xc0000101";
    assert_crash(&[0xB9, 0x01, 0x01, 0, 0xC0, 0x31, 0xC0, 0x31, 0xD2, 0x0F, 0x30], 20, base, &["wrmsr"]);
    // The way into the modelled kernel is open to its own stubs only.
    let vmcall = "error[0x1E]: exception STATUS_ILLEGAL_INSTRUCTION not handled";
    assert_crash(&[0x0F, 0x01, 0xC1], 10, vmcall, &["vmcall"]);
}

#[test]
fn a_loop_at_dispatch_level_says_so() {
    // mov eax, 2; mov cr8, rax; jmp $
    let code = [0xB8, 2, 0, 0, 0, 0x44, 0x0F, 0x22, 0xC0, 0xEB, 0xFE];
    let title = "limit: the processor was still at `DISPATCH_LEVEL` after 200000 steps";
    assert_crash(&code, 30, title, &["0x133 `DPC_WATCHDOG_VIOLATION`", "1009 | eb fe"]);
    assert_crash(&[0xEB, 0xFE], 30, "limit: the run did not end within 200000 steps", &[]);
}
