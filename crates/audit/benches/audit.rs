//! How the time and memory of an audit grow with the code: images of 0.1, 1 and 4 MB, made of functions like those of
//! drivers. Prints the best of several rounds, and the slope.
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

mod image;

use std::time::{Duration, Instant};

use image::{of_code, peak_memory, time};

fn main() {
    let began = Instant::now();
    let mut rates = Vec::new();
    for bytes in [100_000, 1_000_000, 4_000_000] {
        let image = of_code(bytes);
        let before = peak_memory();
        let mut best = Duration::MAX;
        let mut instructions = 0;
        for _ in 0..(8_000_000 / bytes).clamp(3, 20) {
            let start = time(began);
            instructions = audit::audit(&image, &[]).expect("it can be laid out").extent.instructions;
            best = best.min(time(began) - start);
        }
        let memory = before.zip(peak_memory()).map(|(before, after)| (after - before) / instructions.max(1));
        let memory = memory.map_or(String::new(), |bytes| format!(", {bytes} bytes of memory each"));
        let rate = bytes as f64 / best.as_secs_f64() / 1e6;
        println!("{bytes:>7} bytes: {best:>10.2?}, {rate:.1} MB/s, {instructions} instructions{memory}");
        rates.push(rate);
    }
    println!("slope: time a byte at 4 MB is {:.2} times that at 0.1 MB", rates[0] / rates[2]);
}
