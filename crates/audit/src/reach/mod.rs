//! Which code is reached from where, at which IRQL, with what held.

mod contexts;
mod layouts;
mod objects;
mod path;
mod roots;

pub(crate) use contexts::{ContextId, Reach, Way};
pub(crate) use objects::Meaning;
pub(crate) use path::path;
pub use path::{Step, StepKind};
pub(crate) use roots::{Root, roots};
