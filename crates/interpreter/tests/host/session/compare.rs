//! What differs between two outcomes of one case.

use std::fmt::{self, Display, Formatter};

use engine::Cpu;

use super::arena::{BASE, LENGTH};
use super::case::{FLAGS, Outcome};

/// One value that the host and the interpreter disagree on.
pub(crate) struct Difference {
    what: String,
    host: String,
    guest: String,
}

impl Display for Difference {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "    {}: host {}, interpreter {}", self.what, self.host, self.guest)
    }
}

/// Everything that `guest` has different from `host`.
pub(crate) fn compare(host: &Outcome, guest: &Outcome) -> Vec<Difference> {
    let mut found = Vec::new();
    if host.stop != guest.stop {
        found.push(difference("stop", format!("{:x?}", host.stop), format!("{:x?}", guest.stop)));
    }
    for ((name, host), (_, guest)) in values(&host.cpu).into_iter().zip(values(&guest.cpu)) {
        if host != guest {
            found.push(difference(&name.to_string(), format!("{host:#x}"), format!("{guest:#x}")));
        }
    }
    let (host, guest) = (host.arena.peek(BASE, LENGTH), guest.arena.peek(BASE, LENGTH));
    if host != guest {
        found.extend(compare_memory(host, guest));
    }
    found
}

fn difference(what: &str, host: String, guest: String) -> Difference {
    Difference { what: what.to_owned(), host, guest }
}

/// What a value is called: a register, or one of an array of them.
#[derive(Clone, Copy)]
pub(crate) struct Name(&'static str, Option<usize>);

impl Display for Name {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(index) => write!(f, "{}[{index}]", self.0),
            None => f.write_str(self.0),
        }
    }
}

/// Each compared register with its name.
pub(crate) fn values(cpu: &Cpu) -> Vec<(Name, u128)> {
    let gpr = cpu.gpr.map(u128::from);
    let arrays: [(_, &[u128]); 4] =
        [("gpr", &gpr), ("xmm", &cpu.xmm), ("ymm_high", &cpu.ymm_high), ("x87.registers", &cpu.x87.registers)];
    let singles: [(_, u128); 7] = [
        ("rip", cpu.rip.into()),
        ("rflags", (cpu.rflags & FLAGS).into()),
        ("mxcsr", cpu.mxcsr.into()),
        ("x87.control", cpu.x87.control.into()),
        ("x87.status", cpu.x87.status.into()),
        ("x87.tag", cpu.x87.tag.into()),
        // Processors differ in what they keep of the bits above a canonical address.
        ("x87.instruction", (cpu.x87.instruction & (u64::MAX >> 16)).into()),
    ];
    let numbered = arrays.into_iter().flat_map(|(name, values)| {
        values.iter().enumerate().map(move |(index, &value)| (Name(name, Some(index)), value))
    });
    numbered.chain(singles.map(|(name, value)| (Name(name, None), value))).collect()
}

fn compare_memory(host: &[u8], guest: &[u8]) -> Vec<Difference> {
    (BASE..)
        .zip(host.iter().zip(guest))
        .filter(|(_, (host, guest))| host != guest)
        .map(|(address, (host, guest))| {
            difference(&format!("[{address:#x}]"), format!("{host:#x}"), format!("{guest:#x}"))
        })
        .take(20)
        .collect()
}
