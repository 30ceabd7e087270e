//! An image of 20 MB, in a process of its own: how much memory it took is asked of the system.

#[path = "../benches/image/mod.rs"]
mod image;

use std::time::Instant;

use image::{of_code, time, with_memory};

/// Time grows with the code, give or take what caches do; memory stays below 200 bytes an instruction.
#[test]
fn an_image_of_20_mb_takes_five_times_what_one_of_4_mb_does() {
    let began = Instant::now();
    let costs = [4_000_000, 20_000_000].map(|bytes| {
        let image = of_code(bytes);
        let start = time(began);
        let (audit, memory) = with_memory(|| audit::audit(&image, &[]).expect("it can be laid out"));
        assert!(audit.incomplete.is_complete(), "{:?}", audit.incomplete);
        assert!(audit.extent.instructions as usize > bytes / 4, "{:?}", audit.extent);
        assert!(memory < 200 * audit.extent.instructions, "{memory} bytes for {:?}", audit.extent);
        (time(began) - start).as_secs_f64()
    });
    assert!(costs[1] < 3.0 * 5.0 * costs[0], "{costs:?} s");
}
