//! The rules of BEHAVIOUR.md that the pure machine decides. Each test names the requirements and decisions it checks.

mod corner_cases;
mod images;
mod interleavings;
mod lock;
mod model;
mod play;
mod sequences;
mod whole_driver;
mod world;
