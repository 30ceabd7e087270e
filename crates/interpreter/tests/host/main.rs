//! Compares the interpreter with the processor of the host, instruction form by instruction form.
//!
//! Each form is run on random operands, registers, flags and memory, with operands across page borders, on read-only
//! and absent pages and at addresses that are not canonical. What is compared: every register, the memory, the flags
//! that are defined, and the fault where there is one.
//!
//! `NONPAGED_HOST_CASES=5000` runs that many cases of each form, `NONPAGED_HOST_FORM=ADD_` only forms whose name
//! contains that, `NONPAGED_HOST_SEED=7` other random numbers.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod session;

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
#[test]
fn forms_are_not_compared_on_this_host() {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "host comparison: skipped, it needs an x86-64 processor under Linux");
}
