//! The event log: one JSON object a line, in the order of the run. Field names are API.

use std::io::{self, Write};

use kernel::{Event, EventKind, Machine};
use memory::TrimReason;
use nt_types::Va;
use section_paging::SectionId;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::story::Images;

/// One event.
#[derive(Serialize)]
struct Line {
    /// Instructions retired before it.
    step: u64,
    /// Virtual time in nanoseconds.
    time_ns: u64,
    cpu: usize,
    thread: u32,
    irql: u8,
    what: &'static str,
    /// The instruction, or the return address of the service; left out where the system acted on its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'static str>,
    /// What goes with this kind of event.
    #[serde(flatten)]
    fields: Map<String, Value>,
}

/// Writes one event.
pub(super) fn write(out: &mut dyn Write, machine: &Machine, images: &Images, event: &Event) -> io::Result<()> {
    let (what, fields) = fields(machine, &event.kind);
    let line = Line {
        step: event.step,
        time_ns: event.time_ns,
        cpu: event.processor,
        thread: event.thread.0,
        irql: event.irql.level(),
        what,
        at: images.place(machine, event.place).map(|place| place.to_string()),
        service: event.service,
        fields: fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}

type Fields = Vec<(&'static str, Value)>;

/// Addresses are strings, because not every JSON reader keeps 64 bits.
fn hex(address: Va) -> Value {
    json!(format!("{:#x}", address.0))
}

/// `line!("name", "field": value, ..)`
macro_rules! line {
    ($name:literal $(, $field:literal : $value:expr)*) => { ($name, vec![$(($field, json!($value))),*]) };
}

/// The name of a kind of event, and what goes with it.
fn fields(machine: &Machine, kind: &EventKind) -> (&'static str, Fields) {
    use EventKind as E;
    match kind {
        E::Loaded { image, base, pages } => line!("loaded", "image": image, "base": hex(*base), "pages": pages),
        E::Unloaded { image, leaked_pages, .. } => line!("unloaded", "image": image, "leaked_pages": leaked_pages),
        E::Discarded { image, pages } => line!("discarded", "image": image, "pages": pages),
        E::Entered { what, routine } => line!("entered", "kind": what.to_string(), "routine": hex(*routine)),
        E::Left { what, routine, result } => {
            line!("left", "kind": what.to_string(), "routine": hex(*routine), "result": hex(Va(*result)))
        }
        E::IrqlRaised { from, to } => line!("irql_raised", "from": from.level(), "to": to.level()),
        E::IrqlLowered { from, to } => line!("irql_lowered", "from": from.level(), "to": to.level()),
        E::SectionLocked { section, count } => {
            line!("section_locked", "section": name(machine, *section), "count": count)
        }
        E::SectionUnlocked { section, count } => {
            line!("section_unlocked", "section": name(machine, *section), "count": count)
        }
        E::DriverPaged { base } => line!("driver_paged", "base": hex(*base)),
        E::DriverPagingReset { base, pages } => line!("driver_paging_reset", "base": hex(*base), "pages": pages),
        E::Trimmed { pages, reason } => {
            let pages: Vec<Value> = pages.iter().map(|page| hex(*page)).collect();
            line!("trimmed", "reason": reason_word(*reason), "pages": pages)
        }
        E::PagedIn { page, hard } => line!("paged_in", "page": hex(*page), "hard": hard),
        E::WaitsInUserMode { .. } => line!("waits_in_user_mode"),
        E::StackSwap { enabled } => line!("stack_swap", "enabled": enabled),
        E::Passed { address } => line!("address_passed", "address": hex(*address)),
        E::Initialised { object, address } => {
            line!("initialised", "object": format!("{object:?}"), "address": hex(*address))
        }
        E::TimerSet { timer, dpc } => line!("timer_set", "timer": hex(*timer), "dpc": hex(*dpc)),
        E::WorkItemQueued { item, routine } => {
            line!("work_item_queued", "item": hex(*item), "routine": hex(*routine))
        }
        E::Allocated { address, bytes, tag, paged } => {
            let tag = tag.escape_ascii().to_string();
            line!("allocated", "address": hex(*address), "bytes": bytes, "tag": tag, "paged": paged)
        }
        E::Freed { address } => line!("freed", "address": hex(*address)),
        E::InterruptConnected { vector, routine } => {
            line!("interrupt_connected", "vector": vector, "routine": hex(*routine))
        }
        E::InterruptDisconnected { vector, routine } => {
            line!("interrupt_disconnected", "vector": vector, "routine": hex(*routine))
        }
        E::DpcQueued { dpc, routine } => line!("dpc_queued", "dpc": hex(*dpc), "routine": hex(*routine)),
        E::InterruptRaised { vector } => line!("interrupt_raised", "vector": vector),
        E::IrpSent { irp, major, minor, device } => {
            line!("irp_sent", "irp": hex(*irp), "major": major, "minor": minor, "device": hex(*device))
        }
        E::IrpCompleted { irp, status, information } => {
            let information = hex(Va(*information));
            line!("irp_completed", "irp": hex(*irp), "status": status.to_string(), "information": information)
        }
        E::IrpCancelled { irp } => line!("irp_cancelled", "irp": hex(*irp)),
        E::ThreadStarted { started, routine } => {
            line!("thread_started", "started": started.0, "routine": hex(*routine))
        }
        E::ThreadEnded { ended } => line!("thread_ended", "ended": ended.0),
        E::Printed { text } => line!("printed", "text": text),
        E::ErrorLogged { code, status } => {
            line!("error_logged", "code": code.to_string(), "status": status.to_string())
        }
        E::RoutineNotFound { name } => line!("routine_not_found", "name": name),
        E::Chosen { deed } => line!("chosen", "deed": format!("{deed:?}")),
        E::Found(finding) => line!("found", "code": finding.kind.code()),
        E::Action { text } => line!("action", "text": text),
        E::Exception { code, address } => line!("exception", "code": code.to_string(), "address": hex(*address)),
    }
}

/// The name of a section of an image that is loaded.
fn name(machine: &Machine, section: SectionId) -> String {
    let base = machine.memory.paging().image(section.image).map(|image| image.base);
    base.and_then(|base| machine.modules().section_name_of(base, usize::from(section.index))).unwrap_or_default()
}

fn reason_word(reason: TrimReason) -> &'static str {
    match reason {
        TrimReason::Load => "load",
        TrimReason::Raise => "raise",
        TrimReason::Eligible => "eligible",
        TrimReason::Pressure => "pressure",
        TrimReason::Command => "command",
        TrimReason::Choice => "choice",
    }
}
