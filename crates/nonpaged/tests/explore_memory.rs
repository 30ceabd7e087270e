//! What a live fork holds. A program of its own, because it counts what the allocator gives out.

use std::path::PathBuf;

use explore::Subject;
use nonpaged::Explore;
use nonpaged::explore::engine;
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Forks that are alive at the same time.
const FORKS: usize = 200;
/// Bytes of a fork, besides the pages that it writes.
const MOST: usize = 64 * 1024;

fn serial() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../drivers/serial/serial.sys")
}

/// Issue: a live fork takes at most 64 KiB, wherever in the run it is made.
#[test]
fn a_live_fork_takes_at_most_64_kib_besides_its_pages() {
    let mut run = Explore::new(serial()).subject().expect("the sample driver loads");
    let mut engine = engine();
    run.machine().count_coverage();
    run.machine().events.keep_findings_only();
    run.machine().ask_from(Some(0));
    let (mut choices, mut most) = (0, 0);
    while run.go_on(engine.as_mut()).is_none() {
        if choices % 50 == 0 {
            most = most.max(bytes_of_a_fork(&mut run));
        }
        choices += 1;
        run.machine().answer_choice(None);
    }
    assert!(choices > 200, "{choices} choices");
    assert!(most > 1024 && most <= MOST, "{most} bytes");
}

fn bytes_of_a_fork(run: &mut impl Subject) -> usize {
    // The first one also freezes what the run itself has written.
    let first = run.fork();
    let before = HEAP.current_usage();
    let forks: Vec<_> = (0..FORKS).map(|_| run.fork()).collect();
    let each = (HEAP.current_usage() - before) / forks.len();
    drop(first);
    each
}
