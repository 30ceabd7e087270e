//! Pages described, mapped or unlocked that nobody keeps in memory.

use nt_types::Va;

use super::evidence::Home;
use crate::diagnostic::Diagnostic;
use crate::words::{Rule, Words, on_verifier};

/// Pages described, mapped or unlocked that nobody keeps in memory. Windows always stops for them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PageMisuse {
    /// The routine that was called.
    pub routine: String,
    /// What is wrong with the pages.
    pub wrong: WrongPages,
}

/// What is wrong with pages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WrongPages {
    /// RAM mapped by its physical address that may leave (0x1A/0x1233).
    PhysicalUnlocked {
        /// Physical address of the page.
        physical: u64,
        /// What it holds.
        content: Content,
    },
    /// The mapping that an MDL tells of is gone (0x1A/0x1235).
    NotMapped {
        /// Where it was mapped.
        address: Va,
    },
    /// An MDL whose pages are not locked (0x1A/0x1236).
    MdlUnlocked {
        /// Which of its pages, from 0.
        index: u64,
        /// Number of that page.
        frame: u64,
        /// What it holds.
        content: Content,
    },
    /// An MDL for nonpaged memory of a page that is not resident (0x1A/0x1240).
    NotResident {
        /// The page.
        page: Va,
        /// Where it lies.
        home: Option<Home>,
    },
    /// Unlocked though not locked (0x4E, 0x76, 0x1A/0x61948).
    Unlocked {
        /// The pages belong to a device.
        device: bool,
    },
    /// Pages of a process left locked when it ends (0x76, 0xCB).
    LeftLocked {
        /// The pages.
        pages: u64,
    },
    /// An MDL unmapped that is not mapped there (0xDA).
    NotUnmappable {
        /// The address passed.
        address: Va,
    },
    /// A partial MDL of what its source does not describe (0x12E).
    PartOutside {
        /// Its first byte.
        address: Va,
        /// Its bytes.
        bytes: u64,
    },
    /// A partial MDL without room for its pages (0x40).
    PartTooLarge {
        /// The pages.
        pages: u64,
    },
}

/// What a physical page holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// There is no page of this number.
    NoPage,
    /// Nobody uses it.
    Nothing,
    /// The page of this address.
    PageOf(Va, Option<Home>),
}

const LOCKED_FIRST: Rule = Rule {
    text: "pages are locked before they are mapped, because the content of others may change at any time",
    source: "Bug Check 0x1A MEMORY_MANAGEMENT",
};
const RESIDENT: Rule = Rule {
    text: "an MDL for nonpaged memory describes memory that is always resident",
    source: "MmBuildMdlForNonPagedPool function",
};
const MAPPED: Rule = Rule {
    text: "the protection of an MDL is changed while it is mapped",
    source: "MmProtectMdlSystemAddress function",
};
const UNLOCKED_ONCE: Rule =
    Rule { text: "the pages of an MDL are unlocked once, after they were locked", source: "MmUnlockPages function" };
const UNLOCKED_IN_TIME: Rule = Rule {
    text: "a driver unlocks what it has locked in a process before the process ends",
    source: "Bug Check 0x76 PROCESS_HAS_LOCKED_PAGES",
};
const UNMAPPED_ONCE: Rule = Rule {
    text: "an MDL is unmapped once, at the address where it was mapped",
    source: "Bug Check 0xDA SYSTEM_PTE_MISUSE",
};
const PART: Rule = Rule {
    text: "a partial MDL lies within its source and has room for all its pages",
    source: "IoBuildPartialMdl function",
};

impl PageMisuse {
    pub(super) fn words(&self, report: &Diagnostic) -> Words {
        let routine = &self.routine;
        let words = |title: String, rule| on_verifier(report, title, rule);
        match &self.wrong {
            WrongPages::PhysicalUnlocked { physical, content } => {
                words(format!("`{routine}` maps a page of memory that is not locked"), LOCKED_FIRST)
                    .label(format!("physical address {physical:#x}"))
                    .note(content.to_note())
                    .help("lock the buffer with `MmProbeAndLockPages`, and map its MDL")
            }
            WrongPages::MdlUnlocked { index, frame, content } => {
                words(format!("`{routine}` maps an MDL whose pages are not locked"), LOCKED_FIRST)
                    .label(format!("page {index} of the MDL is physical page {frame:#x}"))
                    .note(content.to_note())
                    .help("call `MmProbeAndLockPages` before the MDL is mapped, and `MmUnlockPages` only afterwards")
            }
            WrongPages::NotResident { page, home } => {
                words(format!("`{routine}` describes memory that is not resident"), RESIDENT)
                    .label(format!("`{page}`{} is not in memory", in_home(home.as_ref())))
                    .help("lock pageable memory with `MmProbeAndLockPages` instead, until the MDL is done with")
            }
            WrongPages::NotMapped { address } => {
                words(format!("`{routine}` called with an MDL whose mapping is gone"), MAPPED)
                    .label(format!("nothing is mapped at `{address}`"))
                    .help("change the protection through the MDL that was mapped, before `MmUnmapLockedPages`")
            }
            WrongPages::Unlocked { device } => {
                let what = if *device { "pages of a device" } else { "pages" };
                words(format!("`{routine}` unlocks {what} that are not locked"), UNLOCKED_ONCE)
                    .help("let one place own the unlock, or clear the pointer to the MDL with it")
            }
            WrongPages::LeftLocked { pages } => {
                words("the program ended while pages of it are locked".to_owned(), UNLOCKED_IN_TIME)
                    .label(format!("{} locked here, and never unlocked", crate::plural(*pages, "page")))
                    .help("unlock them when the transfer ends, and at the latest in the cleanup request of the handle")
            }
            WrongPages::NotUnmappable { address } => {
                words(format!("`{routine}` unmaps an MDL that is not mapped"), UNMAPPED_ONCE)
                    .label(format!("nothing is mapped at `{address}`"))
                    .help("leave it to `MmUnlockPages` to unmap an MDL that `MmGetSystemAddressForMdlSafe` mapped")
            }
            WrongPages::PartOutside { address, bytes } => {
                words(format!("`{routine}` called for a part that is not in the source"), PART)
                    .label(format!("{} at `{address}`", crate::plural(*bytes, "byte")))
                    .help("take the address from `MmGetMdlVirtualAddress` of the source")
            }
            WrongPages::PartTooLarge { pages } => {
                words(format!("`{routine}` called with a partial MDL that is too small"), PART)
                    .label(format!("the part has {}", crate::plural(*pages, "page")))
                    .help("allocate the partial MDL with the address and length of the largest part")
            }
        }
    }
}

impl Content {
    fn to_note(&self) -> String {
        match self {
            Content::NoPage => "there is no such page: the MDL was never filled, or was overwritten".to_owned(),
            Content::Nothing => "nobody uses this page, so that it may be given to anyone".to_owned(),
            Content::PageOf(address, home) => {
                format!("it holds the page of `{address}`{}, which may leave memory", in_home(home.as_ref()))
            }
        }
    }
}

fn in_home(home: Option<&Home>) -> String {
    home.map_or(String::new(), |home| format!(" in {home}"))
}
