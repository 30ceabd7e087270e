//! The audit, judged by the sample drivers and by images that mean harm.

mod adapters;
mod advice;
mod assembled;
mod broken;
mod callbacks;
mod certainty;
mod common;
mod compared;
mod crafted;
mod entries;
mod extension;
mod good;
mod hostile;
mod jumps;
mod leaves;
mod levels;
mod lists;
