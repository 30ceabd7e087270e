//! Tests of the machine: small programs assembled in the test, run by the interpreter. One module a subject.

mod broken;
mod choices;
mod common;
mod corners;
mod exceptions;
mod export_driver;
mod exports;
mod faults;
mod good;
mod interrupts;
mod invariants;
mod look;
mod machinery;
mod objects;
mod paging;
mod probe;
mod routines;
mod sample;
mod seh;
mod stack_trace;
mod storm;
mod unwind_data;
mod unwinding;
mod ways_out;
mod whole_driver;
mod wmilib;
