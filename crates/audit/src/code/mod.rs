//! The code of an image: where functions lie, and how control flows within one.

mod candidate;
mod decode;
mod discovery;
mod framework;
mod graph;
mod program;
mod scopes;
mod switch;

pub(crate) use discovery::{Function, Functions};
pub(crate) use graph::{Block, Graph};
pub(crate) use program::{Class, ImportId, Program};
