//! Locks of sections and their handles.

use nt_types::BugCheckCode;

use super::LeftBy;
use super::residency::INIT_IS_DISCARDED;
use crate::cause::paging::{ADDRESS_IN_DRIVER, HANDLE_IS_OPAQUE};
use crate::cause::refusal::LOCK_NAMES_A_SECTION;
use crate::code::{Code, Level};
use crate::finding::Finding;
use crate::words::{Rule, Words};

const BALANCED: Rule = Rule {
    text: "each lock has one unlock, and all counts are zero when the driver is unloaded",
    source: "Locking Pageable Code or Data",
};
const FIRST_BY_ADDRESS: Rule = Rule {
    text: "only the first lock is by address, later ones are by handle",
    source: "MmLockPagableDataSection function",
};

pub(super) fn of_init(section: &str) -> Words {
    let title = format!("section `{section}` locked during initialisation");
    Words::finding(Finding::LockOfInit, Level::Error, title, INIT_IS_DISCARDED)
        .help(format!("do not lock `{section}`; put what is needed later into another section"))
}

pub(super) fn null_handle(routine: &str) -> Words {
    let code = Code::BugCheck(BugCheckCode::MEMORY_MANAGEMENT);
    let title = format!("`{routine}` called with NULL for a handle");
    Words::driver(code, Level::Error, title, HANDLE_IS_OPAQUE).help("lock by address first, and keep the handle")
}

pub(super) fn no_module(routine: &str, pool: bool, locks: bool) -> Words {
    let what = if pool { "an address in pool" } else { "a constant" };
    let title = format!("`{routine}` called with {what}, which is in no driver");
    let words = match locks {
        true => {
            let code = Code::BugCheck(BugCheckCode::MEMORY_MANAGEMENT);
            Words::driver(code, Level::Error, title, ADDRESS_IN_DRIVER)
        }
        false => Words::finding(Finding::NoModule, Level::Error, title, ADDRESS_IN_DRIVER),
    };
    words.help("pass the address of a routine of the driver, such as `DriverEntry`")
}

pub(super) fn no_section(routine: &str) -> Words {
    let code = Code::BugCheck(BugCheckCode::MEMORY_MANAGEMENT);
    let title = format!("`{routine}` called with the start of the image, which is in no section");
    Words::driver(code, Level::Error, title, LOCK_NAMES_A_SECTION)
        .help("pass the address of a routine or variable in the section")
}

pub(super) fn kept(section: &str, left_by: LeftBy) -> Words {
    let (title, help) = match left_by {
        LeftBy::Entry => (
            format!("`DriverEntry` fails while section `{section}` is locked"),
            "unlock it on the way out: after a failure no routine of the driver is called",
        ),
        LeftBy::ErrorPath => (
            format!("a routine fails while section `{section}` is locked, and keeps no handle"),
            "unlock it on the way out: without the handle, nobody can later",
        ),
        LeftBy::OnePath => (
            format!("section `{section}` stays locked on this way, and nobody keeps the handle"),
            "unlock it on this way as on the others, or keep the handle",
        ),
        LeftBy::Count => (
            format!("section `{section}` is locked again here, and unlocked less often than that"),
            "unlock once for each lock",
        ),
        LeftBy::UnloadPath => (
            format!("section `{section}`, which `DriverEntry` locks, stays locked on this way through `Unload`"),
            "unlock in `Unload` what `DriverEntry` locked, or test the handle alone",
        ),
        LeftBy::Device => (
            format!("a device is deleted while section `{section}` is locked, and the handle with it"),
            "unlock it before `IoDeleteDevice`: the handle lies in the extension of the device only",
        ),
        LeftBy::Nobody => (
            format!("section `{section}` is locked, the handle is thrown away, and nobody unlocks it"),
            "keep the handle, and unlock by it when the device or file is closed, or in `Unload`",
        ),
        LeftBy::Handle => (
            format!("section `{section}` is locked, and nobody unlocks it by the handle that is kept here"),
            "unlock by this handle when the device or file is closed, or in `Unload`",
        ),
        LeftBy::Unload => (
            format!("section `{section}` is locked by `DriverEntry` and never unlocked by `Unload`"),
            "unlock in `Unload` what `DriverEntry` locked",
        ),
    };
    Words::finding(Finding::UnloadWithLocks, Level::Error, title, BALANCED).help(help)
}

pub(super) fn unlocked_unasked() -> Words {
    let title = "a request unlocks a section that it did not lock";
    Words::finding(Finding::UnlockWithoutLock, Level::Error, title, BALANCED)
        .note("the request that ends this kind of use unlocks it as well")
        .help("let one routine own each lock")
}

pub(super) fn unlocked_too_often(section: &str) -> Words {
    let title = format!("section `{section}` is unlocked more often than it is locked");
    Words::finding(Finding::UnlockWithoutLock, Level::Error, title, BALANCED).help("unlock once for each lock")
}

pub(super) fn repeated(section: &str, places: u32) -> Words {
    let title = format!("section `{section}` locked by address in {places} places");
    Words::finding(Finding::RepeatLockByAddress, Level::Info, title, FIRST_BY_ADDRESS)
        .help("keep the handle of the first lock and use `MmLockPagableSectionByHandle`")
}

pub(super) fn handle_dereferenced() -> Words {
    let title = "the handle of a section is used as a pointer";
    Words::finding(Finding::HandleDereferenced, Level::Error, title, HANDLE_IS_OPAQUE)
}
