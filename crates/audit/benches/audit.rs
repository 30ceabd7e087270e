//! How the time and memory of an audit grow with the code: images of 0.1, 1 and 4 MB, made of functions like those of
//! drivers. In each round every size audits the same amount of code, so that none has more or fewer chances to meet the
//! machine at its quickest; prints the median of the rounds, and the slope.
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

mod image;

use std::time::Instant;

use image::{of_code, time, with_memory};

const SIZES: [usize; 3] = [100_000, 1_000_000, 4_000_000];
const ROUNDS: usize = 9;

fn main() {
    let images = SIZES.map(of_code);
    for (bytes, image) in SIZES.iter().zip(&images) {
        let (audit, memory) = with_memory(|| audit::audit(image, &[]).expect("it can be laid out"));
        let instructions = audit.extent.instructions;
        println!("{bytes:>7} bytes: {instructions} instructions, {} bytes of memory each", memory / instructions);
    }
    let began = Instant::now();
    let round = |_| {
        images.each_ref().map(|image| {
            let code = image.sections()[0].virtual_size as usize;
            let start = time(began);
            let mut audited = 0;
            while audited < SIZES[2] {
                audit::audit(image, &[]).expect("it can be laid out");
                audited += code;
            }
            (time(began) - start).as_nanos() as f64 / audited as f64
        })
    };
    let rounds: Vec<[f64; 3]> = (0..ROUNDS).map(round).collect();
    for (size, bytes) in SIZES.iter().enumerate() {
        let nanoseconds = median(rounds.iter().map(|round| round[size]));
        let (milliseconds, rate) = (nanoseconds * *bytes as f64 / 1e6, 1e3 / nanoseconds);
        println!("{bytes:>7} bytes: {milliseconds:>6.2} ms, {rate:.1} MB/s");
    }
    let slope = median(rounds.iter().map(|round| round[2] / round[0]));
    println!("slope: time a byte at 4 MB is {slope:.2} times that at 0.1 MB");
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
