//! Which code is reached from where, at which IRQL, with what held.

mod contexts;
mod handles;
mod layouts;
mod objects;
mod path;
mod roots;

pub(crate) use contexts::{Context, ContextId, Reach, Way};
pub(crate) use objects::{Meaning, Object, Place};
pub(crate) use path::path;
pub use path::{Step, StepKind};
pub(crate) use roots::{Root, missing, roots};
