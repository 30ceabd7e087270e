//! The interpreter against the processor it runs on: the same loops in the same run, printed as ratios.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[cfg(target_arch = "x86_64")]
#[path = "speed/pairs.rs"]
mod pairs;

#[cfg(target_arch = "x86_64")]
fn main() {
    println!("{:<16} {:>12} {:>12} {:>8}  target", "loop", "native", "interpreted", "speed");
    for mut pair in pairs::all() {
        let [native, interpreted] = pair.measure();
        let speed = native / interpreted;
        println!("{:<16} {native:>9.2} ns {interpreted:>9.2} ns {speed:>8.3}  at least {:.3}", pair.name, pair.target);
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("skipped: this host is no x86-64 to compare with");
}
