//! Tests of the machine: small programs assembled in the test, run by the interpreter. One module a subject.

mod common;
mod exceptions;
mod seh;
mod stack_trace;
mod unwinding;
