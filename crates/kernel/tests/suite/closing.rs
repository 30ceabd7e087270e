//! A handle is closed while a read on its file is outstanding: IRP_MJ_CLEANUP comes at once, IRP_MJ_CLOSE when no request has
//! the file (docs: kernel/irp-mj-cleanup, kernel/irp-mj-close).

use kernel::{Action, EventKind, RequestId};
use nt_types::constants as c;
use nt_types::{NtStatus, Va};

use crate::sample::{Lab, Setup};

/// A driver whose reads last 10 ms; its twin completes what is outstanding when it cleans up.
const READS_LAST: &str = "broken/x20-unlock-with-pended-irp";
const CLEANUP_CANCELS: &str = "broken/x20-unlock-with-pended-irp-fixed";

/// The driver with a file that was opened.
fn opened(path: &str, slice_steps: u64) -> (Lab, Va) {
    let mut lab = Lab::new(Setup { processors: 2, slice_steps, ..Setup::NEVER });
    let base = lab.load(path).expect("the driver starts");
    let file = lab.open(base).expect("it opens");
    (lab, file)
}

fn read(file: Va) -> Action {
    Action::Read { file, length: 4, offset: 0 }
}

/// Which requests of these kinds were sent to drivers, in order.
fn sent(lab: &Lab) -> Vec<u32> {
    let major = |event: &kernel::Event| match event.kind {
        EventKind::IrpSent { major, .. } => Some(u32::from(major)),
        _ => None,
    };
    lab.machine.events.iter().filter_map(major).skip_while(|major| *major != c::IRP_MJ_READ).collect()
}

fn status(lab: &Lab, request: RequestId) -> Option<NtStatus> {
    lab.machine.answer_of(request).map(|answer| answer.status)
}

/// Runs until IRP_MJ_CLOSE is sent.
fn until_closed(lab: &mut Lab) {
    while !sent(lab).contains(&c::IRP_MJ_CLOSE) {
        lab.slice().expect("no bug check");
    }
}

#[test]
fn a_close_waits_for_a_read_that_is_outstanding() {
    for slice_steps in [1, 7, 10_000] {
        let (mut lab, file) = opened(READS_LAST, slice_steps);
        let reading = lab.start_on(0, read(file));
        lab.pass_ms(1).expect("no bug check");
        let closing = lab.start_on(1, Action::Close { file });
        lab.pass_ms(1).expect("no bug check");
        assert_eq!(sent(&lab), [c::IRP_MJ_READ, c::IRP_MJ_CLEANUP], "{slice_steps}");
        assert_eq!((status(&lab, reading), status(&lab, closing)), (None, None), "{slice_steps}");
        until_closed(&mut lab);
        assert_eq!(status(&lab, reading), Some(NtStatus::SUCCESS), "{slice_steps}");
        lab.finish(closing).expect("no bug check").expect("it ends");
        assert_eq!(sent(&lab), [c::IRP_MJ_READ, c::IRP_MJ_CLEANUP, c::IRP_MJ_CLOSE], "{slice_steps}");
    }
}

/// What cleanup completes has its result before the close comes.
#[test]
fn a_close_comes_after_what_cleanup_completes() {
    for slice_steps in [1, 7, 10_000] {
        let (mut lab, file) = opened(CLEANUP_CANCELS, slice_steps);
        let reading = lab.start_on(0, read(file));
        lab.pass_ms(1).expect("no bug check");
        let (before, closing) = (lab.machine.now_ns(), lab.start_on(1, Action::Close { file }));
        until_closed(&mut lab);
        assert_eq!(status(&lab, reading), Some(NtStatus::CANCELLED), "{slice_steps}");
        assert!(lab.machine.now_ns() < before + 1_000_000, "{slice_steps}: nothing waits for the timer");
        lab.finish(closing).expect("no bug check").expect("it ends");
    }
}

/// The handle is none any more from cleanup on, although the file stays for the read.
#[test]
fn a_handle_that_is_being_closed_is_no_handle() {
    let (mut lab, file) = opened(READS_LAST, 10_000);
    let reading = lab.start(read(file));
    lab.pass_ms(1).expect("no bug check");
    let closing = lab.start(Action::Close { file });
    lab.pass_ms(1).expect("no bug check");
    for late in [read(file), Action::Close { file }] {
        let answer = lab.act(late).expect("no bug check").expect("it is refused");
        assert_eq!(answer.status, NtStatus::INVALID_HANDLE);
    }
    assert_eq!((status(&lab, reading), status(&lab, closing)), (None, None));
    lab.finish(closing).expect("no bug check").expect("it ends");
    assert_eq!(sent(&lab), [c::IRP_MJ_READ, c::IRP_MJ_CLEANUP, c::IRP_MJ_CLOSE]);
}
