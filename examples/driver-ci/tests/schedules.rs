//! Each pull request searches the driver for a few seconds. A failure prints its report and a token that replays it.

use std::time::Duration;

use nonpaged::{Explore, Machine};

/// Here is the path of your driver.
const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../drivers/serial/serial.sys");

/// The built-in exercise: start, open, write, read, each device control request, two programs at once, remove, unload.
#[test]
fn no_schedule_breaks_the_driver() {
    Explore::new(DRIVER).time(Duration::from_secs(5)).assert_clean();
}

/// What a program of your own must get, in every schedule: it may branch on what it is answered.
#[test]
fn a_write_is_complete_or_fails() {
    Machine::explore(DRIVER, |m| {
        let port = m.open();
        let written = m.write(&port, b"hello");
        // The search may have had an allocation fail: then the open failed, and so does this.
        if written.status.is_success() {
            assert_eq!(written.information, 5);
        }
    });
}

/// Two programs at the same time, on two processors.
#[test]
fn a_reader_gets_what_a_writer_wrote() {
    Explore::new(DRIVER).cpus(2).time(Duration::from_secs(5)).check(|m| {
        let port = m.open();
        let read = m.thread("reader").on_cpu(1).read(&port, 5);
        // The line is looped: what goes out comes in.
        m.write(&port, b"hello");
        let read = m.wait(&read);
        if read.status.is_success() {
            assert_eq!(read.output, b"hello"[..read.output.len()]);
        }
        m.close(&port);
        assert_eq!(m.locks("PAGESER"), 0, "nobody uses the port");
    });
}
