//! Each pull request searches the driver for a few seconds. A failure prints its report and a token that replays it.

use std::time::Duration;

use nonpaged::Explore;

/// Here is the path of your driver.
const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../drivers/serial/serial.sys");

/// The built-in exercise: start, open, write, read, each device control request, two programs at once, remove, unload.
#[test]
fn no_schedule_breaks_the_driver() {
    Explore::new(DRIVER).time(Duration::from_secs(5)).assert_clean();
}

/// Programs of your own, here two at the same time on two processors, and what they must get.
#[test]
fn a_reader_gets_what_a_writer_wrote() {
    Explore::new(DRIVER).cpus(2).time(Duration::from_secs(5)).check(|program| {
        let port = program.open();
        let reader = program.thread("reader").on_cpu(1);
        let read = reader.read(&port, 5);
        // The line is looped: what goes out comes in.
        program.write(&port, b"hello");
        program.wait(&read);
        program.assert(move |moment| {
            // The search may have had an allocation fail, or the read cancelled: then there is no such answer.
            let Some(answer) = moment.answer(&read).filter(|answer| answer.status.is_success()) else { return };
            assert_eq!(answer.output, b"hello"[..answer.output.len()]);
        });
        program.close(&port);
        program.assert(|moment| assert_eq!(moment.locks("PAGESER"), 0, "nobody uses the port"));
    });
}
