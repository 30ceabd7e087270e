//! The broken drivers, each with the diagnosis that its file promises, and their repaired twins, which run clean.

mod each_step;
mod expected;
mod faulty_paging_file;
mod life;
mod race;
mod table;
mod twins;
mod two_drivers;
