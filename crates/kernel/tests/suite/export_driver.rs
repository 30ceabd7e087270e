//! Export drivers: initialised before their first importer, gone after the last (docs: kernel/creating-export-drivers).

use driver_image::builder::{CODE, PeBuilder};
use driver_image::{Image, ImportedSymbol};
use kernel::{EventKind, LoadError, Role, Routine};
use nt_types::{NtStatus, Va};

use crate::sample::{Lab, Setup};

/// `xor eax, eax; ret`, and `mov eax, STATUS_UNSUCCESSFUL; ret`.
const SUCCEED: &[u8] = &[0x31, 0xC0, 0xC3];
const FAIL: &[u8] = &[0xB8, 0x01, 0x00, 0x00, 0xC0, 0xC3];

fn symbol(name: &str) -> ImportedSymbol {
    ImportedSymbol::Name { name: name.to_owned(), hint: 0 }
}

/// An image whose routines are all this code, with these exports, and these imports of `library.sys`.
fn image(code: &[u8], exports: &[&str], imports: &[ImportedSymbol]) -> Image {
    let mut builder = PeBuilder::new();
    let text = builder.section(".text", CODE, code);
    builder.entry_point(text);
    let exports: Vec<_> = exports.iter().map(|name| (*name, text)).collect();
    builder.exports("library.sys", &exports);
    if !imports.is_empty() {
        builder.imports(&[("library.sys", imports)]);
    }
    Image::parse(builder.build()).expect("it is well formed")
}

/// A machine with `library.sys` of these exports, mapped, whose routines are `code`; and where it lies.
fn with_library(code: &[u8], exports: &[&str]) -> (Lab, Va) {
    let mut lab = Lab::new(Setup::NEVER);
    let library = lab.machine.load_driver("library.sys", image(code, exports, &[])).expect("it can be loaded");
    (lab, library)
}

/// Loads an importer and initialises it: where it lies, and the status.
fn load_importer(lab: &mut Lab, name: &str, code: &[u8]) -> (Va, NtStatus) {
    let base = lab.machine.load_driver(name, image(code, &[], &[symbol("Work")])).expect("it can be loaded");
    let request = lab.machine.initialize_driver(base).expect("the driver object is made");
    (base, lab.finish(request).expect("no bug check").expect("it ends").status)
}

/// What was called in the library and its importers, and which images went, in order.
fn life(lab: &Lab) -> Vec<String> {
    lab.events(|event| match &event.kind {
        EventKind::Entered { what, .. } => Some(what.to_string()),
        EventKind::Unloaded { image, .. } => Some(format!("{image} goes")),
        _ => None,
    })
}

/// DllInitialize comes before the importer's DriverEntry, the library's own DriverEntry never; DllUnload when the last
/// importer has gone, and not before.
#[test]
fn a_library_comes_before_its_first_importer_and_goes_after_its_last() {
    let mut lab = Lab::new(Setup::TRIMMED);
    let library = lab.map("library/library");
    let (one, two) =
        (lab.load("library/client").expect("it starts"), lab.load("library/client-two").expect("it starts"));
    assert_eq!(lab.machine.modules().importers(library), 2);
    assert_eq!(life(&lab), ["DllInitialize", "DriverEntry", "DriverEntry"]);
    lab.unload(one).expect("it goes");
    assert!(lab.machine.modules().driver_at(library).is_some(), "the other client needs it");
    lab.unload(two).expect("it goes");
    let gone =
        ["Unload routine", "client.sys goes", "Unload routine", "client-two.sys goes", "DllUnload", "library.sys goes"];
    assert_eq!(life(&lab)[3..], gone);
    assert_eq!(lab.machine.modules().drivers().count(), 0);
    assert!(lab.codes().is_empty(), "{:?}", lab.codes());
}

/// R17, K05, K06: the lock of an importer is counted for the library, and is left when that goes.
#[test]
fn r17_k05_a_lock_that_an_importer_keeps_is_found_when_the_library_goes() {
    let mut lab = Lab::new(Setup::TRIMMED);
    let library = lab.map("library/library");
    let client = lab.load("library/left-locked").expect("it starts");
    let file = lab.open(client).expect("it opens");
    assert_eq!(lab.count(library, "PAGECRC"), 1);
    lab.close(file).expect("it closes");
    lab.unload(client).expect("it goes");
    assert_eq!(lab.codes().into_iter().collect::<Vec<_>>(), ["K05", "K06"]);
    assert!(lab.machine.memory.counters().frames_leaked > 0);
}

/// "the export driver must contain the standard entry point and unload routines … or the operating system will not activate
/// this reference count mechanism".
#[test]
fn a_library_without_both_routines_stays() {
    for exports in [&["Work"][..], &["DllInitialize", "Work"], &["DllUnload", "Work"]] {
        let (mut lab, library) = with_library(SUCCEED, exports);
        let (importer, status) = load_importer(&mut lab, "importer.sys", SUCCEED);
        assert_eq!(status, NtStatus::SUCCESS, "{exports:?}");
        lab.unload(importer).expect("it goes");
        assert!(lab.machine.modules().driver_at(library).is_some(), "{exports:?}");
        assert!(!life(&lab).contains(&Routine::DllUnload.to_string()), "{exports:?}");
    }
}

/// A driver whose library cannot start does not start, and neither image stays.
#[test]
fn an_importer_of_a_library_that_fails_does_not_start() {
    let (mut lab, _) = with_library(FAIL, &["DllInitialize", "DllUnload", "Work"]);
    let (_, status) = load_importer(&mut lab, "importer.sys", SUCCEED);
    assert_eq!(status, NtStatus::UNSUCCESSFUL);
    assert_eq!(life(&lab), ["DllInitialize", "importer.sys goes", "library.sys goes"]);
}

/// A driver that fails to start gives its reference back.
#[test]
fn a_driver_entry_that_fails_releases_the_library() {
    let (mut lab, _) = with_library(SUCCEED, &["DllInitialize", "DllUnload", "Work"]);
    let (_, status) = load_importer(&mut lab, "importer.sys", FAIL);
    assert_eq!(status, NtStatus::UNSUCCESSFUL);
    assert_eq!(life(&lab), ["DllInitialize", "DriverEntry", "importer.sys goes", "DllUnload", "library.sys goes"]);
}

/// "Standard drivers can also function as export drivers": unloaded as a driver, the image stays for its importers.
#[test]
fn a_driver_that_others_import_from_stays_until_they_go() {
    let (mut lab, driver) = with_library(SUCCEED, &["Work"]);
    let request = lab.machine.initialize_driver(driver).expect("the driver object is made");
    lab.finish(request).expect("no bug check");
    let (importer, _) = load_importer(&mut lab, "importer.sys", SUCCEED);
    lab.unload(driver).expect("it is answered");
    assert_eq!(lab.machine.modules().driver_at(driver).map(|driver| driver.role), Some(Role::Left));
    lab.unload(importer).expect("it goes");
    assert_eq!(life(&lab), ["DriverEntry", "DriverEntry", "importer.sys goes", "library.sys goes"]);
}

/// STATUS_DRIVER_ENTRYPOINT_NOT_FOUND, by name and by ordinal: the error names both.
#[test]
fn an_import_that_a_loaded_driver_lacks_is_a_named_error() {
    let (mut lab, _) = with_library(SUCCEED, &["Work"]);
    for (import, name) in [(symbol("Play"), "Play"), (ImportedSymbol::Ordinal(77), "#77")] {
        let error = lab.machine.load_driver("importer.sys", image(SUCCEED, &[], &[symbol("Work"), import]));
        let Err(error @ LoadError::NoEntryPoint { .. }) = error else { panic!("{error:?}") };
        let expected = format!("it imports `{name}` from `library.sys`, which is loaded and does not export it");
        assert_eq!(error.to_string(), expected);
    }
    assert_eq!(lab.machine.modules().drivers().count(), 1);
}

/// What a failing DllUnload means is not documented, so the run says so.
#[test]
fn a_dll_unload_that_fails_is_refused() {
    let mut builder = PeBuilder::new();
    let succeed = builder.section(".text", CODE, SUCCEED);
    let fail = builder.section(".fail", CODE, FAIL);
    builder.exports("library.sys", &[("DllInitialize", succeed), ("DllUnload", fail), ("Work", succeed)]);
    let mut lab = Lab::new(Setup::NEVER);
    let library = Image::parse(builder.build()).expect("it is well formed");
    lab.machine.load_driver("library.sys", library).expect("it can be loaded");
    let (importer, _) = load_importer(&mut lab, "importer.sys", SUCCEED);
    let stop = lab.unload(importer).expect_err("it is refused");
    assert!(format!("{:?}", stop.kind).contains("DllUnload"), "{:?}", stop.kind);
}
