//! An image of 20 MB, in a process of its own: how much memory it took is asked of the system.

#[path = "../benches/image/mod.rs"]
mod image;

use std::time::Instant;

use image::{of_code, peak_memory, time};

/// Time grows with the code, give or take what caches do; memory stays below 200 bytes an instruction.
#[test]
fn an_image_of_20_mb_takes_five_times_what_one_of_4_mb_does() {
    let began = Instant::now();
    let costs = [4_000_000, 20_000_000].map(|bytes| {
        let image = of_code(bytes);
        let (start, before) = (time(began), peak_memory());
        let audit = audit::audit(&image, &[]).expect("it can be laid out");
        assert!(audit.incomplete.is_complete(), "{:?}", audit.incomplete);
        assert!(audit.extent.instructions as usize > bytes / 4, "{:?}", audit.extent);
        let memory = before.zip(peak_memory()).map_or(0, |(before, after)| after - before);
        assert!(memory < 200 * audit.extent.instructions, "{memory} bytes for {:?}", audit.extent);
        (time(began) - start).as_secs_f64()
    });
    assert!(costs[1] < 3.0 * 5.0 * costs[0], "{costs:?} s");
}
