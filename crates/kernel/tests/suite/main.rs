//! Tests of the machine: small programs assembled in the test, run by the interpreter. One module a subject.

mod common;
mod seh;
mod stack_trace;
