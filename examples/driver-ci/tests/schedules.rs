//! Each pull request searches every schedule of the driver with one unplanned happening: the same on any machine, however fast
//! or busy it is. A failure prints its report and a token that replays it. Searches of hours are for `nonpaged explore --out`.

use std::time::Duration;

use nonpaged::Explore;
use nonpaged::explore::Strategy;

/// Here is the path of your driver.
const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../drivers/serial/serial.sys");

/// Schedules of a search at most. A driver that has more of them is searched as far as that goes.
const MOST_SCHEDULES: u64 = 20_000;

fn search() -> Explore {
    let search = Explore::new(DRIVER).strategy(Strategy::Exhaustive).depth(1);
    search.schedules(MOST_SCHEDULES).time(Duration::MAX)
}

/// The built-in exercise: start, open, write, read, each device control request, two programs at once, remove, unload.
#[test]
fn no_schedule_breaks_the_driver() {
    search().assert_clean();
}

/// What a program of your own must get, in every schedule: it may branch on what it is answered.
#[test]
fn a_write_is_complete_or_fails() {
    search().check(|m| {
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
    search().cpus(2).check(|m| {
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
