//! The crate from outside: images that its own builder writes, the project's sample drivers, and whatever drivers
//! `NONPAGED_DRIVERS` names.

mod golden;
mod names;
mod reading;
mod real_drivers;
mod refused;
mod round_trip;
mod samples;
mod support;
