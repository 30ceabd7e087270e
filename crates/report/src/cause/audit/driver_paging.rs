//! Paging of a driver as a whole.

use crate::code::Level;
use crate::finding::Finding;
use crate::words::{Rule, Words};

const NO_ISR_WHEN_PAGED: Rule = Rule {
    text: "a driver that is paged as a whole has no interrupt connected",
    source: "MmPageEntireDriver function",
};
const RESET_FIRST: Rule = Rule {
    text: "`MmResetDriverPaging` is called before an interrupt is connected",
    source: "Paging an Entire Driver",
};
const OPEN_IS_SERIALISED: Rule = Rule {
    text: "no processor pages the driver while another one connects an interrupt for an open",
    source: "Paging an Entire Driver",
};

pub(super) fn with_interrupt() -> Words {
    let title = "`MmPageEntireDriver` called where an interrupt may be connected";
    Words::finding(Finding::PageEntireWithInterrupt, Level::Error, title, NO_ISR_WHEN_PAGED)
        .help("disconnect the interrupt first, then page the driver")
}

pub(super) fn connect_before_reset() -> Words {
    let title = "interrupt connected before `MmResetDriverPaging` is called";
    Words::finding(Finding::ResetWithInterrupt, Level::Error, title, RESET_FIRST)
        .note("another routine pages the driver as a whole")
        .help("call `MmResetDriverPaging` first, then connect the interrupt")
}

pub(super) fn race() -> Words {
    let title = "`MmPageEntireDriver` called outside a mutex";
    Words::finding(Finding::PageEntireRace, Level::Error, title, OPEN_IS_SERIALISED)
        .help("hold one mutex around the open count, the interrupt and the paging calls")
}
