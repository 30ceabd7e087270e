//! Reports built by hand.
use nt_types::{BugCheck, BugCheckCode, Irql, NtStatus, Rva, Va};
use report::cause::{Access, Cause, Fault, Memory, PageState, RequestKind, Requests, Target};
use report::table::{RequestAnswer, RequestMade, Sample, SectionUse, Summary};
use report::{
    Context, Departure, DepartureReason, Diagnostic, Event, EventKind, Frame, Place, RaisedBy, Replay, Runner, Span,
    Symbol, Window,
};

const FAULT: u64 = 0xffff_f800_1000_7140;

pub(crate) fn place(section: &str, rva: u32, symbol: &str, offset: u32) -> Place {
    Place {
        image: "serial.sys".into(),
        section: Some(section.into()),
        rva: Rva(rva),
        symbol: Some(Symbol { name: symbol.into(), offset }),
        source: None,
    }
}

fn span(place: Place, bytes: &[u8], names: &[(u32, &str)]) -> Option<Span> {
    let names = names.iter().map(|(rva, name)| (Rva(*rva), (*name).to_owned())).collect();
    Some(Span { place, code: Some(Window { bytes: bytes.to_vec(), names }) })
}

/// The worked example: a queued read runs pageable code after the last close unlocked it.
pub(crate) fn worked() -> Diagnostic {
    Diagnostic {
        at: span(place("PAGESER", 0x7140, "SerialStartRead", 0), &[0x48, 0x89, 0x5c, 0x24, 8, 0x57], &[]),
        step: Some(48201),
        because: vec![raised(), entered(), unlocked(), trimmed()],
        bug_check: Some(BugCheck {
            code: BugCheckCode::DRIVER_IRQL_NOT_LESS_OR_EQUAL,
            parameters: [FAULT, 2, 8, FAULT],
        }),
        departure: Some(Departure { reason: DepartureReason::TrimAtOnce, passes_untrimmed: true }),
        context: Some(context()),
        replay: Some(Replay {
            driver: "serial.sys".into(),
            scenario: Some("close_then_read".into()),
            seed: 7,
            arguments: vec![],
            token: None,
            stop_at: 48201,
        }),
        ..Diagnostic::from(Cause::Memory(Memory::Fault(Fault {
            address: Va(FAULT),
            access: Access::Execute,
            irql: Irql::DISPATCH,
            target: Target::Section {
                image: "serial.sys".into(),
                section: "PAGESER".into(),
                state: PageState::PagedOut,
                overridden: false,
            },
            service: None,
            latent: false,
        })))
    }
}

fn raised() -> Event {
    let code = [0xff, 0x15, 0xde, 0x31, 0, 0, 0x88, 0x44, 0x24, 0x30, 0xe8, 0xf5, 0x46, 0, 0];
    let names = [(0x5c20, "KeAcquireSpinLockRaiseToDpc"), (0x7140, "SerialStartRead")];
    Event {
        kind: EventKind::IrqlRaised { from: Irql::PASSIVE, to: Irql::DISPATCH, by: RaisedBy::SpinLockHeld },
        step: 48197,
        at: span(place(".text", 0x2a3c, "SerialRead", 0x3c), &code, &names),
    }
}

fn entered() -> Event {
    Event {
        kind: EventKind::Entered,
        step: 48201,
        at: span(place(".text", 0x2a46, "SerialRead", 0x46), &[0xe8, 0xf5, 0x46, 0, 0], &[(0x7140, "SerialStartRead")]),
    }
}

fn unlocked() -> Event {
    let outstanding = Requests { count: 1, kind: Some(RequestKind::Read) };
    Event {
        kind: EventKind::SectionUnlocked { section: "PAGESER".into(), from: 1, to: 0, outstanding },
        step: 40112,
        at: span(
            place(".text", 0x2c18, "SerialClose", 0x58),
            &[0xff, 0x15, 0x12, 0x30, 0, 0, 0xc3],
            &[(0x5c30, "MmUnlockPagableImageSection")],
        ),
    }
}

fn trimmed() -> Event {
    Event { kind: EventKind::SectionTrimmed { section: "PAGESER".into(), pages: 3, of: 3 }, step: 40113, at: None }
}

fn context() -> Context {
    Context {
        runner: Runner::Thread { id: 3, name: "reader".into() },
        cpu: 0,
        irql: Irql::DISPATCH,
        spin_locks: 1,
        stack: vec![
            Frame::Driver(place("PAGESER", 0x7140, "SerialStartRead", 0)),
            Frame::Driver(place(".text", 0x2a4b, "SerialRead", 0x4b)),
            Frame::Modelled { module: "ntoskrnl".into(), export: "IofCallDriver".into() },
        ],
    }
}

/// The summary that goes with it.
pub(crate) fn summary() -> Summary {
    let samples = [(0, 0), (9_000, 3), (40_113, 0)].map(|(step, pages)| Sample { step, pages });
    Summary {
        driver: "serial.sys".into(),
        steps: 48_201,
        virtual_time_ns: 4_820_100,
        requests: vec![request("open \\Device\\Serial0", Some(NtStatus::SUCCESS)), request("close", None)],
        sections: vec![
            SectionUse {
                name: "PAGESER".into(),
                pages: 3,
                resident: samples.to_vec(),
                locks: 1,
                unlocks: 1,
                highest_count: 1,
            },
            SectionUse {
                name: "PAGESRP0".into(),
                pages: 2,
                resident: vec![Sample { step: 1_000, pages: 1 }, Sample { step: 30_000, pages: 2 }],
                locks: 0,
                unlocks: 0,
                highest_count: 0,
            },
        ],
        soft_faults: 2,
        hard_faults: 5,
        trims: 14,
        pages_written: 5,
        pages_read: 5,
        paging_file_peak: 5,
        init_bytes_freed: 8192,
        ..Summary::default()
    }
}

fn request(name: &str, status: Option<NtStatus>) -> RequestMade {
    let answer = status.map(|status| RequestAnswer { step: 40_000, status, information: Some(8) });
    RequestMade { name: name.into(), begun: 39_000, answer }
}
