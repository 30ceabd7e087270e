//! The file form: what serde reads, and what it means.

use std::collections::BTreeMap;

use nt_types::Irql;
use serde::Deserialize;
use toml::Spanned;

use super::error::line_of;
use super::values::{Status, bytes};
use super::wmi::Wmi;
use super::{
    Action, DEFAULT_HANDLE, DEFAULT_THREAD, DeviceName, Expect, MAX_BYTES, PageInFault, PnpRequest, Scenario,
    ScenarioError, SerialEnd, Step, TestCase,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Option<String>,
    #[serde(default)]
    watch: Vec<String>,
    #[serde(default)]
    serial_line: SerialEnd,
    test: Option<Test>,
    #[serde(default)]
    steps: Vec<Spanned<RawStep>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    driver: String,
    #[serde(default = "run")]
    command: String,
    #[serde(default)]
    arguments: Vec<String>,
    expect_error: Option<String>,
    #[serde(default)]
    shows: Vec<String>,
}

fn run() -> String {
    "run".to_owned()
}

/// A step as it is written: exactly one of the verbs, and the fields that go with any.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStep {
    start: Option<Nothing>,
    stop: Option<Nothing>,
    remove: Option<Nothing>,
    load: Option<Load>,
    unload: Option<Unload>,
    attach: Option<Attach>,
    pnp: Option<Pnp>,
    wmi: Option<Wmi>,
    power: Option<Power>,
    paging_path: Option<PagingPath>,
    open: Option<Open>,
    close: Option<Close>,
    read: Option<Read>,
    write: Option<Write>,
    ioctl: Option<Ioctl>,
    cancel: Option<Reference>,
    wait: Option<Reference>,
    wait_ms: Option<u64>,
    interrupt: Option<Interrupt>,
    receive: Option<Bytes>,
    talk: Option<Talk>,
    trim: Option<Trim>,
    fail_page_in: Option<FailPageIn>,
    check: Option<Nothing>,

    thread: Option<String>,
    cpu: Option<u32>,
    irql: Option<RequestIrql>,
    request: Option<String>,
    #[serde(default)]
    with_next: bool,
    expect: Option<RawExpect>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Load {
    driver: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unload {
    driver: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attach {
    driver: Option<String>,
    device: DeviceName,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pnp {
    device: DeviceName,
    request: PnpRequest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Power {
    device: DeviceName,
    state: PowerState,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PagingPath {
    handle: Option<String>,
    #[serde(default = "yes")]
    in_path: bool,
}

fn yes() -> bool {
    true
}

#[derive(Clone, Copy, Deserialize)]
enum RequestIrql {
    #[serde(rename = "PASSIVE_LEVEL")]
    Passive,
    #[serde(rename = "APC_LEVEL")]
    Apc,
    #[serde(rename = "DISPATCH_LEVEL")]
    Dispatch,
}

impl RequestIrql {
    fn irql(self) -> Irql {
        match self {
            RequestIrql::Passive => Irql::PASSIVE,
            RequestIrql::Apc => Irql::APC,
            RequestIrql::Dispatch => Irql::DISPATCH,
        }
    }
}

#[derive(Deserialize)]
enum PowerState {
    D0,
    D1,
    D2,
    D3,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Open {
    device: Option<String>,
    handle: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Close {
    handle: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    handle: Option<String>,
    bytes: u32,
    offset: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Write {
    handle: Option<String>,
    text: Option<String>,
    hex: Option<String>,
    zeros: Option<u32>,
    offset: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ioctl {
    handle: Option<String>,
    code: u32,
    text: Option<String>,
    hex: Option<String>,
    zeros: Option<u32>,
    #[serde(default)]
    output_bytes: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reference {
    request: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Interrupt {
    vector: Option<u32>,
    #[serde(default = "one")]
    count: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bytes {
    text: Option<String>,
    hex: Option<String>,
    zeros: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Talk {
    handle: Option<String>,
    #[serde(default = "end_of_transmission")]
    until: u8,
    #[serde(default = "two_seconds")]
    idle_ms: u64,
}

/// What Ctrl-D sends.
fn end_of_transmission() -> u8 {
    4
}

fn two_seconds() -> u64 {
    2_000
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trim {
    section: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FailPageIn {
    status: Option<Status>,
    #[serde(default)]
    corrupt: bool,
    #[serde(default)]
    after: u32,
    #[serde(default = "one")]
    count: u32,
}

impl FailPageIn {
    fn action(self) -> Result<Action, String> {
        let fault = match (self.status, self.corrupt) {
            (Some(status), false) => PageInFault::Status(status.0),
            (None, true) => PageInFault::Corrupt,
            _ => return Err("`fail_page_in` has either a `status` or `corrupt = true`".to_owned()),
        };
        Ok(Action::FailPageIn { fault, after: self.after, count: self.count })
    }
}

fn one() -> u32 {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExpect {
    status: Option<Status>,
    bytes: Option<u64>,
    text: Option<String>,
    hex: Option<String>,
    sent: Option<Bytes>,
    pending: Option<bool>,
    #[serde(default)]
    resident: BTreeMap<String, u32>,
    #[serde(default)]
    locks: BTreeMap<String, u32>,
}

pub(super) fn parse(text: &str) -> Result<Scenario, ScenarioError> {
    let file: File = toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        ScenarioError::at(text, offset, error.message())
    })?;
    let File { name, watch, serial_line, test, steps } = file;
    let steps = steps.into_iter().map(|step| {
        let offset = step.span().start;
        convert(step.into_inner(), line_of(text, offset)).map_err(|problem| ScenarioError::at(text, offset, problem))
    });
    let steps = steps.collect::<Result<_, _>>()?;
    Ok(Scenario { name, watch, serial_line, test: test.map(TestCase::from), steps })
}

impl From<Test> for TestCase {
    fn from(test: Test) -> TestCase {
        let Test { driver, command, arguments, expect_error, shows } = test;
        TestCase { driver, command, arguments, expect_error, shows }
    }
}

fn convert(mut raw: RawStep, line: usize) -> Result<Step, String> {
    let (thread, cpu, request, with_next) = (raw.thread.take(), raw.cpu.take(), raw.request.take(), raw.with_next);
    let expect = raw.expect.take().map(Expect::try_from).transpose()?.unwrap_or_default();
    let irql = raw.irql.take().map_or(Irql::PASSIVE, RequestIrql::irql);
    let action = action(raw)?;
    if irql > Irql::PASSIVE && !matches!(action, Action::Read { .. } | Action::Write { .. } | Action::Ioctl { .. }) {
        return Err("only `read`, `write` and `ioctl` come above PASSIVE_LEVEL".to_owned());
    }
    if request.is_some() && !action.is_request() {
        return Err("only `open`, `close`, `read`, `write` and `ioctl` make a request that can have a name".to_owned());
    }
    if with_next && request.is_none() {
        return Err("only a request with a name can run together with the next step".to_owned());
    }
    let thread = thread.unwrap_or_else(|| DEFAULT_THREAD.to_owned());
    Ok(Step { line, action, thread, cpu, irql, request, with_next, expect })
}

/// The one verb of a step.
fn action(raw: RawStep) -> Result<Action, String> {
    let verbs = [
        ("start", raw.start.map(|_| Ok(Action::Start))),
        ("stop", raw.stop.map(|_| Ok(Action::Stop))),
        ("remove", raw.remove.map(|_| Ok(Action::Remove))),
        ("load", raw.load.map(|load| Ok(Action::Load { driver: load.driver }))),
        ("unload", raw.unload.map(|unload| Ok(Action::Unload { driver: unload.driver }))),
        ("attach", raw.attach.map(|it| Ok(Action::Attach { driver: it.driver, device: it.device }))),
        ("pnp", raw.pnp.map(|it| Ok(Action::Pnp { device: it.device, request: it.request }))),
        ("wmi", raw.wmi.map(Wmi::action)),
        ("power", raw.power.map(|it| Ok(Action::Power { device: it.device, state: it.state as u8 }))),
        ("paging_path", raw.paging_path.map(paging_path)),
        ("open", raw.open.map(|open| Ok(Action::Open { device: open.device, handle: handle(open.handle) }))),
        ("close", raw.close.map(|close| Ok(Action::Close { handle: handle(close.handle) }))),
        ("read", raw.read.map(read)),
        ("write", raw.write.map(write)),
        ("ioctl", raw.ioctl.map(ioctl)),
        ("cancel", raw.cancel.map(|cancel| Ok(Action::Cancel { request: cancel.request }))),
        ("wait", raw.wait.map(|wait| Ok(Action::Wait { request: wait.request }))),
        ("wait_ms", raw.wait_ms.map(|ms| Ok(Action::WaitMs(ms)))),
        ("interrupt", raw.interrupt.map(|it| Ok(Action::Interrupt { vector: it.vector, count: it.count }))),
        ("receive", raw.receive.map(receive)),
        (
            "talk",
            raw.talk.map(|it| Ok(Action::Talk { handle: handle(it.handle), until: it.until, idle_ms: it.idle_ms })),
        ),
        ("trim", raw.trim.map(|trim| Ok(Action::Trim { section: trim.section }))),
        ("fail_page_in", raw.fail_page_in.map(FailPageIn::action)),
        ("check", raw.check.map(|_| Ok(Action::Check))),
    ];
    let known = verbs.each_ref().map(|(verb, _)| format!("`{verb}`")).join(", ");
    let mut named = verbs.into_iter().filter_map(|(verb, action)| Some((verb, action?)));
    match (named.next(), named.next()) {
        (Some((_, action)), None) => action,
        (Some((first, _)), Some((second, _))) => {
            Err(format!("a step has one verb; this one has `{first}` and `{second}`"))
        }
        (None, _) => Err(format!("a step has one of the verbs {known}")),
    }
}

fn handle(name: Option<String>) -> String {
    name.unwrap_or_else(|| DEFAULT_HANDLE.to_owned())
}

fn paging_path(it: PagingPath) -> Result<Action, String> {
    Ok(Action::PagingPath { handle: handle(it.handle), in_path: it.in_path })
}

fn read(read: Read) -> Result<Action, String> {
    Ok(Action::Read { handle: handle(read.handle), bytes: limited(read.bytes)?, offset: read.offset })
}

fn write(write: Write) -> Result<Action, String> {
    let data = bytes(write.text.as_deref(), write.hex.as_deref(), write.zeros)?;
    let data = data.ok_or("`write` needs one of `text`, `hex` and `zeros`")?;
    Ok(Action::Write { handle: handle(write.handle), data, offset: write.offset })
}

fn ioctl(ioctl: Ioctl) -> Result<Action, String> {
    let input = bytes(ioctl.text.as_deref(), ioctl.hex.as_deref(), ioctl.zeros)?.unwrap_or_default();
    let output_bytes = limited(ioctl.output_bytes)?;
    Ok(Action::Ioctl { handle: handle(ioctl.handle), code: ioctl.code, input, output_bytes })
}

/// The bytes of a table; none where it has none.
fn given(given: &Bytes) -> Result<Vec<u8>, String> {
    Ok(bytes(given.text.as_deref(), given.hex.as_deref(), given.zeros)?.unwrap_or_default())
}

fn receive(Bytes { text, hex, zeros }: Bytes) -> Result<Action, String> {
    let data = bytes(text.as_deref(), hex.as_deref(), zeros)?;
    Ok(Action::Receive { data: data.ok_or("`receive` needs one of `text`, `hex` and `zeros`")? })
}

fn limited(bytes: u32) -> Result<u32, String> {
    if bytes <= MAX_BYTES {
        Ok(bytes)
    } else {
        Err(format!("{bytes} bytes are more than a request may have ({MAX_BYTES})"))
    }
}

impl TryFrom<RawExpect> for Expect {
    type Error = String;

    fn try_from(raw: RawExpect) -> Result<Expect, String> {
        Ok(Expect {
            status: raw.status.map(|status| status.0),
            bytes: raw.bytes,
            data: bytes(raw.text.as_deref(), raw.hex.as_deref(), None)?,
            sent: raw.sent.as_ref().map(given).transpose()?,
            pending: raw.pending,
            resident: raw.resident,
            locks: raw.locks,
        })
    }
}
