//! Bug checks as the files of the drivers write them: with names in place of addresses.

use nt_types::{BugCheck, Va};

use crate::sample::Lab;

/// A parameter.
#[derive(Clone, Copy, Debug)]
pub(super) enum P {
    /// This value.
    Is(u64),
    /// The first byte of this function or variable.
    At(&'static str),
    /// Within this function or variable.
    Within(&'static str),
    /// In this section.
    In(&'static str),
    /// The same as the first parameter.
    First,
    /// The entry of this service of the kernel.
    Service(&'static str),
    /// In the kernel.
    Kernel,
    /// A handle of a section.
    Handle,
    /// In paged pool.
    PagedPool,
    /// The page-table entry of the page of this variable.
    Pte(&'static str),
    /// Anything but null.
    Some,
    /// One of two values: what the specification leaves open.
    Either(u64, u64),
}

/// A bug check: code and parameters.
pub(super) type Check = (u32, [P; 4]);

/// What of a bug check is not as expected.
pub(super) fn differences(lab: &Lab, check: &BugCheck, expected: &Check) -> Vec<String> {
    let code = (check.code.0 != expected.0).then(|| format!("code {:#x} for {:#x}", check.code.0, expected.0));
    let parameters = check.parameters.iter().zip(&expected.1).enumerate();
    let wrong = parameters.filter(|(_, (value, wanted))| !holds(lab, **value, check.parameters[0], **wanted));
    let wrong = wrong.map(|(index, (value, wanted))| {
        let name = lab.symbol(Va(*value));
        format!("P{} {value:#x} ({name}) for {wanted:x?}", index + 1)
    });
    code.into_iter().chain(wrong).collect()
}

fn holds(lab: &Lab, value: u64, first: u64, wanted: P) -> bool {
    let address = Va(value);
    match wanted {
        P::Is(wanted) => value == wanted,
        P::At(name) => lab.symbol(address) == name,
        P::Within(name) => lab.symbol(address).split('+').next() == Some(name),
        P::In(section) => lab.machine.modules().section_name(address).as_deref() == Some(section),
        P::First => value == first,
        P::Service(name) => lab.machine.kernel_images().routine_name(address) == Some(name),
        P::Kernel => lab.machine.kernel_images().routine_name(address).is_some(),
        P::Handle => section_paging::Handle::RANGE.contains(&value),
        P::PagedPool => (memory::Region::PagedPool.base()..memory::Region::KernelStack.base()).contains(&address),
        P::Pte(name) => lab.symbol(page_of_entry(value)) == name,
        P::Some => value != 0,
        P::Either(one, other) => value == one || value == other,
    }
}

/// The page whose page-table entry lies here (the inverse of `memory::pte_address`).
fn page_of_entry(address: u64) -> Va {
    let page = Va((address << 25).cast_signed().wrapping_shr(16).cast_unsigned());
    assert_eq!(memory::pte_address(page), address);
    page
}
