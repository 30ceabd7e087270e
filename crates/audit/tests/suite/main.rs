//! The audit, judged by the sample drivers and by images that mean harm.

mod advice;
mod broken;
mod common;
mod good;
mod hostile;
