//! Causes: what went wrong, as evidence. Each area has a file with its types and, beside them, their words: title, label,
//! documented rule, notes and helps. Nothing here draws.

mod audit;
mod evidence;
mod exceptions;
mod expectation;
mod fault;
mod input;
mod integrity;
mod irql;
mod layout;
mod limit;
mod memory;
mod objects;
mod pages;
mod paging;
mod pool;
mod refusal;
mod remark;
mod requests;
mod stack;
mod unload;
mod unsupported;

use crate::code::{Class, Code, Level};
use crate::diagnostic::Diagnostic;
use crate::words::{Rule, Words, on_verifier};

pub use audit::{Audit, InSection, LeftBy, Name, Usage};
pub use evidence::{Access, Holder, Home, ObjectKind, RequestKind, Requests, Tag};
pub use exceptions::{Exception, ThreadKind};
pub use expectation::{Expectation, Expected};
pub use fault::{Fault, PageState, Target};
pub use input::Input;
pub use integrity::{ImageFlaw, Integrity};
pub use irql::{Callback, IrqlMisuse};
pub use layout::Layout;
pub use limit::Limit;
pub use memory::{InPageReason, Memory};
pub use objects::ObjectMisuse;
pub use pages::{Content, PageMisuse, WrongPages};
pub use paging::Paging;
pub use pool::PoolMisuse;
pub use refusal::{Operation, Refusal};
pub use remark::Remark;
pub use requests::RequestMisuse;
pub use stack::Stack;
pub use unload::{LeftBehind, UnloadMisuse};
pub use unsupported::{Hardware, Unsupported};

/// What went wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cause {
    /// An access that memory refused.
    Memory(Memory),
    /// Misuse of the six routines.
    Paging(Paging),
    /// Code at the wrong IRQL.
    Irql(IrqlMisuse),
    /// An object or routine in the wrong memory.
    Object(ObjectMisuse),
    /// A request handled wrongly.
    Request(RequestMisuse),
    /// Something left behind at unload.
    Unload(UnloadMisuse),
    /// An exception or a deliberate stop.
    Exception(Exception),
    /// Pool handled wrongly.
    Pool(PoolMisuse),
    /// Pages that nobody keeps in memory.
    Pages(PageMisuse),
    /// The stack of a thread as a whole.
    Stack(Stack),
    /// What code integrity checks do not allow in the image.
    Integrity(Integrity),
    /// A property of the image.
    Layout(Layout),
    /// What the audit sees.
    Audit(Audit),
    /// A documented rule of a routine that no other cause covers. The text reads after "this is a bug in the driver:".
    Rule {
        /// The routine.
        routine: String,
        /// The rule.
        rule: &'static str,
    },
    /// An expectation of the scenario that was not met.
    Expectation(Expectation),
    /// An assertion of a test that does not hold.
    Assertion {
        /// Where it stands, as file and line.
        at: String,
        /// What it says.
        message: String,
    },
    /// Something not modelled.
    Unsupported(Unsupported),
    /// A limit.
    Limit(Limit),
    /// Input that cannot be used.
    Input(Input),
    /// Something to know.
    Remark(Remark),
    /// A bug in this program: an invariant that did not hold.
    OwnBug {
        /// The invariant.
        invariant: String,
    },
}

impl Cause {
    /// True where a file was read, but is no driver.
    pub(crate) fn is_image(&self) -> bool {
        matches!(self, Cause::Input(Input::NotLoadable { .. }))
    }

    pub(crate) fn words(&self, report: &Diagnostic) -> Words {
        match self {
            Cause::Memory(cause) => cause.words(report),
            Cause::Paging(cause) => cause.words(report),
            Cause::Irql(cause) => cause.words(report),
            Cause::Object(cause) => cause.words(report),
            Cause::Request(cause) => cause.words(report),
            Cause::Unload(cause) => cause.words(report),
            Cause::Exception(cause) => cause.words(report),
            Cause::Pool(cause) => cause.words(report),
            Cause::Pages(cause) => cause.words(report),
            Cause::Stack(cause) => cause.words(report),
            Cause::Integrity(cause) => cause.words(report),
            Cause::Layout(cause) => cause.words(),
            Cause::Audit(cause) => cause.words(),
            Cause::Rule { routine, rule } => {
                let source = "the documentation of the routine";
                on_verifier(report, format!("`{routine}` called against its rules"), Rule { text: rule, source })
            }
            Cause::Expectation(cause) => cause.words(),
            Cause::Assertion { at, message } => expectation::assertion(at, message),
            Cause::Unsupported(cause) => cause.words(),
            Cause::Limit(cause) => cause.words(),
            Cause::Input(cause) => cause.words(),
            Cause::Remark(cause) => cause.words(),
            Cause::OwnBug { invariant } => Words::plain(Code::Internal, Level::Error, Class::OwnBug, invariant.clone())
                .help("please report it, with the command that shows it"),
        }
    }
}
