//! The words for earlier events, and which of them are told together.

use super::listing::{self, Mark};
use crate::event::{Deed, Event, EventKind, Keeper, Order, RaisedBy, Step, Timed};
use crate::plural;
use crate::span::Span;

/// One note about earlier events.
pub(super) struct Told<'a> {
    pub(super) headline: String,
    pub(super) span: Option<&'a Span>,
    pub(super) marks: Vec<Mark>,
}

/// Turns events into notes. Two kinds of followers join the event before them: the trim of the section it made
/// pageable, and a call that lies in the code shown for it.
pub(super) fn tell(events: &[Event]) -> Vec<Told<'_>> {
    let mut told = Vec::new();
    let mut rest = events;
    while let [lead, after @ ..] = rest {
        let trim = after.first().and_then(|next| trim_of(lead, next));
        let after_trim = if trim.is_some() { &after[1..] } else { after };
        let entered = after_trim.first().filter(|next| joins(lead, next));
        rest = if entered.is_some() { &after_trim[1..] } else { after_trim };
        told.push(note(lead, trim, entered));
    }
    told
}

/// The step and page counts of `next`, where it is the trim of the section that `lead` made pageable.
fn trim_of(lead: &Event, next: &Event) -> Option<(Step, u32, u32)> {
    let (EventKind::SectionUnlocked { section, to: 0, .. } | EventKind::PageableSinceLoad { section }) = &lead.kind
    else {
        return None;
    };
    match &next.kind {
        EventKind::SectionTrimmed { section: trimmed, pages, of } if trimmed == section && next.at.is_none() => {
            Some((next.step, *pages, *of))
        }
        _ => None,
    }
}

fn joins(lead: &Event, next: &Event) -> bool {
    let (Some(span), Some(call)) = (&lead.at, &next.at) else { return false };
    next.kind == EventKind::Entered && call.place.image == span.place.image && listing::shows(span, call.place.rva)
}

fn note<'a>(lead: &'a Event, trim: Option<(Step, u32, u32)>, entered: Option<&Event>) -> Told<'a> {
    let mut headline = headline(lead);
    let mut label = label(&lead.kind);
    if let Some((step, pages, of)) = trim {
        headline = format!("{headline}, and was trimmed at step {step}");
        let left = format!("{pages} of {} left memory", plural(of.into(), "page"));
        label = Some(label.map_or(left.clone(), |label| format!("{label}; {left}")));
    }
    let mut marks = Vec::new();
    if let (Some(span), Some(label)) = (&lead.at, label) {
        marks.push(Mark { rva: span.place.rva, label });
    }
    if let Some((step, span)) = entered.and_then(|event| Some((event.step, event.at.as_ref()?))) {
        marks.push(Mark { rva: span.place.rva, label: format!("entered from here, at step {step}") });
    }
    Told { headline, span: lead.at.as_ref(), marks }
}

/// The sentence above the code.
fn headline(event: &Event) -> String {
    let happening = happening(&event.kind);
    match (&event.kind, &event.at) {
        (EventKind::AddressKept(_), Some(_)) => format!("{happening} at step {}; it is taken here", event.step),
        (_, Some(_)) => format!("{happening} here, at step {}", event.step),
        (_, None) => format!("{happening}, at step {}", event.step),
    }
}

fn happening(kind: &EventKind) -> String {
    match kind {
        EventKind::IrqlRaised { from, to, by } => raised(&format!("from `{from}` to `{to}`"), *by),
        EventKind::Entered => "the routine was entered from".to_owned(),
        EventKind::Jumped => "the processor came from".to_owned(),
        EventKind::SectionUnlocked { section, to: 0, .. } => format!("section `{section}` became pageable"),
        EventKind::SectionUnlocked { section, .. } => {
            format!("section `{section}` was unlocked, but not for the last time,")
        }
        EventKind::SectionLocked { section, .. } => format!("section `{section}` was locked"),
        EventKind::PageableSinceLoad { section } => {
            format!("section `{section}` became pageable when the image was loaded")
        }
        EventKind::SectionTrimmed { section, .. } => format!("section `{section}` was trimmed"),
        EventKind::PageTrimmed { page } => format!("page `{page}` was trimmed"),
        EventKind::WaitsInUserMode { thread } => format!("thread `{thread}` began to wait in user mode"),
        EventKind::StackTrimmed { thread, pages } => {
            format!("the stack of thread `{thread}`, {}, left memory", plural((*pages).into(), "page"))
        }
        EventKind::StackKept => "the thread was told to keep its stack in memory".to_owned(),
        EventKind::DriverPaged => "the whole driver became pageable".to_owned(),
        EventKind::DriverReset => "the driver's nonpaged sections were brought back".to_owned(),
        EventKind::Discarded { section, bytes } => {
            format!("section `{section}`, {}, was discarded when initialisation ended", plural(*bytes, "byte"))
        }
        EventKind::AddressGiven { routine } => format!("its address was given to `{routine}`"),
        EventKind::AddressKept(keeper) => format!("{} still held its address", kept(keeper)),
        EventKind::Allocated { home, bytes } => format!("{} was allocated from {home}", plural(*bytes, "byte")),
        EventKind::Freed { home } => format!("the block in {home} was freed"),
        EventKind::Initialised { object, address } => format!("the {object} at `{address}` was initialised"),
        EventKind::Queued { object, address } => format!("the {object} at `{address}` was queued"),
        EventKind::InterruptConnected { vector } => format!("the interrupt on vector {vector:#x} was connected"),
        EventKind::Completed { irp, .. } => format!("the request `{irp}` was completed"),
        EventKind::Acquired { object, address } => format!("the {object} at `{address}` was acquired"),
        EventKind::Unloaded { image } => format!("`{image}` was unloaded"),
        EventKind::Scheduled(deed) => format!("by schedule, {}", scheduled(deed)),
    }
}

fn kept(keeper: &Keeper) -> String {
    match keeper {
        Keeper::Variable { name } => format!("the variable {name}"),
        Keeper::DriverObject { member } => format!("`{member}` of the driver object"),
        Keeper::Device { address } => format!("a device object, or its extension, at `{address}`"),
        Keeper::Pool { address, home } => format!("{home}, at `{address}`,"),
    }
}

fn scheduled(deed: &Deed) -> String {
    match deed {
        Deed::Trim => "all that may leave memory left it".to_owned(),
        Deed::TrimSection { section } => format!("all that may leave memory of {section} left it"),
        Deed::TrimPage { page } => format!("the page at {page} left memory"),
        Deed::Interrupt { vector } => format!("an interrupt that no device asked for came on vector {vector:#x}"),
        Deed::Switch { thread } => format!("thread `{thread}` got the processor"),
        Deed::Processor { number } => format!("processor {number} went on"),
        Deed::Time => "time passed to the next moment at which something was due".to_owned(),
        Deed::Cancel => "a request was cancelled".to_owned(),
        Deed::Fail { routine } => format!("`{routine}` found no memory"),
        Deed::Absent => "a device answered as if it had been pulled out".to_owned(),
        Deed::Order(order) => ordered(order),
        Deed::Befall { mishap } => mishap.clone(),
    }
}

fn ordered(order: &Order) -> String {
    match order {
        Order::FirstTimer(timer) => {
            format!("{} was handled before another one that came due with it", timed("timer", timer))
        }
        Order::LateTimer(timer) => format!("{} expired with the next tick of the clock", timed("timer", timer)),
        Order::LateTimeout { thread } => {
            format!("the wait of thread `{thread}` timed out with the next tick of the clock")
        }
        Order::LateRead { page } => format!("the read of the page at `{page}` took longer than what was due next"),
        Order::LateDpc(dpc) => {
            format!("the queue with {} was left alone until the next tick of the clock", timed("DPC", dpc))
        }
        Order::FirstWaiter { thread } => format!("thread `{thread}` came before those that had waited for longer"),
        Order::MissedPulse { thread } => format!("thread `{thread}` missed that the event was pulsed"),
        Order::LateCompletion { request } => format!("the bus driver completed the request at `{request}` later"),
        Order::ThreadedDpcsDisabled => "threaded DPCs were disabled, and ran at `DISPATCH_LEVEL`".to_owned(),
        Order::CompletionInDpc { request } => {
            format!("the bus driver completed the request at `{request}` later, in a DPC")
        }
    }
}

/// A timer by its DPC, or a DPC by its routine; what has none, by its address.
fn timed(object: &str, Timed { address, routine }: &Timed) -> String {
    match routine {
        Some(routine) if object == "timer" => format!("the timer of the DPC `{routine}`"),
        Some(routine) => format!("the {object} `{routine}`"),
        None => format!("the {object} at `{address}`"),
    }
}

fn raised(levels: &str, by: RaisedBy) -> String {
    match by {
        RaisedBy::SpinLockHeld | RaisedBy::SpinLock | RaisedBy::Raise => format!("IRQL was raised {levels}"),
        RaisedBy::Dpc => format!("the system raised IRQL {levels} and entered a DPC routine"),
        RaisedBy::Interrupt => format!("the system raised IRQL {levels} and entered an interrupt service routine"),
    }
}

/// What stands beside the underlined instruction; `None` where the sentence above says it all.
fn label(kind: &EventKind) -> Option<String> {
    match kind {
        EventKind::IrqlRaised { from, to, by } => {
            let held = if *by == RaisedBy::SpinLockHeld { ", still held" } else { "" };
            Some(format!("{} -> {}{held}", from.level(), to.level()))
        }
        EventKind::SectionUnlocked { from, to, .. } => Some(format!("lock count {from} -> {to}")),
        EventKind::SectionLocked { count, .. } => Some(format!("lock count {} -> {count}", count.saturating_sub(1))),
        EventKind::SectionTrimmed { pages, of, .. } => {
            Some(format!("{pages} of {} left memory", plural(u64::from(*of), "page")))
        }
        EventKind::Completed { status, .. } => Some(format!("with status {status}")),
        EventKind::Entered => Some("call".to_owned()),
        EventKind::Jumped => Some("jumped from here".to_owned()),
        EventKind::DriverPaged | EventKind::DriverReset | EventKind::StackKept => Some("by this call".to_owned()),
        _ => None,
    }
}
