//! What an export is given and what it may ask for.
//!
//! An export never holds a Rust stack frame across guest code. It returns a [`Next`]; where it calls back into the driver
//! or waits, it names a [`Then`], the continuation as data. Where an access cannot be answered yet it returns a [`Trap`];
//! the machine resolves it and the export starts over. So every export reads its inputs before it changes anything.

use engine::{Cpu, Fault, Gpr};
use nt_types::{Irql, NtStatus, Va};

use crate::exports::{ex, io, ke, mm, po, rtl, wmilib};
use crate::machine::Machine;
use crate::stop::Stop;
use crate::wait::Wait;

/// How an export or a continuation ends.
pub type Outcome = Result<Next, Trap>;

/// What happens after an export or a continuation.
#[derive(Clone, Debug)]
pub enum Next {
    /// Return to the caller with this value in RAX.
    Return(u64),
    /// Call a guest routine; its RAX goes to the continuation.
    Call(Callout),
    /// Block the thread; the wait status goes to the continuation.
    Wait(Wait, Then),
    /// Go on at once with another continuation and this value.
    Continue(Then, u64),
    /// Go on at once with another continuation, which owns so many bytes of guest stack below the caller's frame.
    Below(Then, u64),
    /// The continuation belonged to an interruption: restore the registers that were interrupted.
    Resume(Box<Cpu>),
    /// Registers were replaced by the export itself (an unwind, a context switch): go on where they point.
    Jump,
    /// The thread ends.
    ExitThread(NtStatus),
}

impl Next {
    /// Return from a routine without a result.
    pub const VOID: Next = Next::Return(0);

    /// Return a status value.
    pub fn status(status: NtStatus) -> Next {
        Next::Return(u64::from(status.0))
    }

    /// Return a pointer.
    pub fn pointer(address: Va) -> Next {
        Next::Return(address.0)
    }

    /// Call a guest routine with these arguments.
    pub fn call(routine: Va, arguments: &[u64], then: Then) -> Next {
        Next::Call(Callout { routine, arguments: arguments.to_vec(), then })
    }
}

/// A call from the modelled kernel into guest code.
#[derive(Clone, Debug)]
pub struct Callout {
    /// The guest routine.
    pub routine: Va,
    /// Its arguments, in order.
    pub arguments: Vec<u64>,
    /// What happens when it returns.
    pub then: Then,
}

/// Why an export could not finish.
#[derive(Clone, Debug)]
pub enum Trap {
    /// It touched guest memory that refused. Resolved like a fault of the guest, with the service as the instruction.
    Fault(Fault),
    /// Block the thread, then start the export over.
    Block(Wait),
    /// Let the other processors run, then start the export over: it spins.
    Spin,
    /// A choice has no answer: start the export over when it has one.
    Undecided,
    /// Raise an exception in the caller (`ExRaiseStatus`, a failed probe).
    Raise(NtStatus),
    /// Raise this exception.
    Exception(Box<crate::seh::Raised>),
    /// The run ends.
    Stop(Box<Stop>),
}

impl From<Fault> for Trap {
    fn from(fault: Fault) -> Trap {
        Trap::Fault(fault)
    }
}

impl From<Stop> for Trap {
    fn from(stop: Stop) -> Trap {
        Trap::Stop(Box::new(stop))
    }
}

/// A continuation: what the modelled kernel does when a guest routine returns or a wait ends. One variant a family; the
/// family's module holds the cases.
#[derive(Clone, Hash, Debug)]
pub enum Then {
    /// Return the value to the caller of the export.
    Return,
    /// Return this value, whatever came back.
    Value(u64),
    /// A routine that interrupted something has returned.
    Interruption(crate::interrupt::Interruption),
    /// Thread and work item bodies.
    Thread(crate::thread::ThreadThen),
    /// A request that the harness issued.
    Request(crate::request::RequestThen),
    /// Driver load, initialisation and unload.
    Driver(crate::driver_life::DriverThen),
    /// Executive.
    Ex(ex::Then),
    /// I/O manager.
    Io(io::Then),
    /// Kernel.
    Ke(ke::Then),
    /// Memory manager.
    Mm(mm::Then),
    /// Power manager.
    Po(po::Then),
    /// Run-time library.
    Rtl(rtl::Then),
    /// Structured exception handling.
    Seh(crate::seh::Then),
    /// The WMI library.
    Wmilib(wmilib::Then),
}

impl Then {
    /// Runs the continuation with the value that came back.
    pub(crate) fn run(self, m: &mut Machine, value: u64) -> Outcome {
        match self {
            Then::Return => Ok(Next::Return(value)),
            Then::Value(value) => Ok(Next::Return(value)),
            Then::Interruption(then) => then.run(m, value),
            Then::Thread(then) => then.run(m, value),
            Then::Request(then) => then.run(m, value),
            Then::Driver(then) => then.run(m, value),
            Then::Ex(then) => then.run(m, value),
            Then::Io(then) => then.run(m, value),
            Then::Ke(then) => then.run(m, value),
            Then::Mm(then) => then.run(m, value),
            Then::Po(then) => then.run(m),
            Then::Rtl(then) => then.run(m, value),
            Then::Seh(then) => then.run(m, value),
            Then::Wmilib(then) => then.run(m),
        }
    }
}

/// An entry on a thread's stack of modelled frames: guest code runs above it.
#[derive(Clone, Hash, Debug)]
pub struct Frame {
    /// What to do when the guest code above returns.
    pub then: Then,
    /// RSP of the modelled routine: it points at the return address of its own caller.
    pub rsp: u64,
    /// The service that called out, for stack traces; 0 for the machine itself.
    pub service: Va,
}

/// The arguments of the export call in progress (Win64 convention: RCX, RDX, R8, R9, then the stack).
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Entry address of the service: the instruction that bug checks name (D42).
    pub service: Va,
    /// RSP at entry; it points at the return address.
    pub rsp: u64,
    /// Where the service returns to.
    pub return_address: Va,
}

impl Call {
    /// Argument `index` as the 64 bits that were passed.
    pub fn raw(&self, m: &mut Machine, index: usize) -> Result<u64, Trap> {
        const REGISTERS: [Gpr; 4] = [Gpr::Rcx, Gpr::Rdx, Gpr::R8, Gpr::R9];
        match REGISTERS.get(index) {
            Some(register) => Ok(m.cpu().get(*register)),
            None => m.read_u64(Va(self.rsp.wrapping_add(8 + 8 * index as u64))),
        }
    }

    /// Argument `index` as its declared type.
    pub fn argument<T: Argument>(&self, m: &mut Machine, index: usize) -> Result<T, Trap> {
        self.raw(m, index).map(T::from_raw)
    }
}

/// Types that an export may declare as a parameter.
pub trait Argument {
    /// The name in generated documents.
    const TYPE: &'static str;
    /// Takes the low bits of the 64 that were passed, as the convention leaves the rest undefined.
    fn from_raw(raw: u64) -> Self;
}

macro_rules! arguments {
    ($($type:ty, $name:literal, $raw:ident => $value:expr;)*) => {
        $(impl Argument for $type {
            const TYPE: &'static str = $name;
            fn from_raw($raw: u64) -> Self { $value }
        })*
    };
}

arguments! {
    u8, "u8", raw => raw as u8;
    u16, "u16", raw => raw as u16;
    u32, "u32", raw => raw as u32;
    u64, "u64", raw => raw;
    i32, "i32", raw => raw as i32;
    i64, "i64", raw => raw as i64;
    bool, "BOOLEAN", raw => raw as u8 != 0;
    Va, "pointer", raw => Va(raw);
    NtStatus, "NTSTATUS", raw => NtStatus(raw as u32);
    Irql, "KIRQL", raw => Irql::new(raw as u8);
}
