//! Drawing reports and verdicts as text, plain or with ANSI colour. All that people read of them is drawn here.

mod canvas;
mod events;
mod listing;
mod wrap;

use crate::check::Check;
use crate::code::{Code, Level};
use crate::context::Context;
use crate::diagnostic::Diagnostic;
use crate::exit_code::ExitCode;
use crate::span::Span;
use crate::verdict::Verdict;
use crate::words::Words;

use canvas::{Canvas, Ink};
use events::Told;
use listing::{Line, Mark};

/// Steps of a path that are drawn; the JSON form has them all.
const MAX_WAYPOINTS: usize = 12;

/// Draws one report, ending in a line feed.
pub fn diagnostic(report: &Diagnostic, color: bool) -> String {
    let words = report.words();
    let told = events::tell(&report.because);
    let mut canvas = Canvas::new(color, gutter(report));
    headline(&mut canvas, &words);
    if let Some(span) = &report.at {
        let mark = words.label.clone().map(|label| Mark { rva: span.place.rva, label });
        snippet(&mut canvas, span, mark.as_slice(), 1, Ink::of(words.level));
    }
    for waypoint in report.path.iter().take(MAX_WAYPOINTS) {
        canvas.headline(Ink::Note, "note", &waypoint.kind.sentence());
        snippet(&mut canvas, &waypoint.at, &[], 0, Ink::Secondary);
    }
    for event in &told {
        earlier(&mut canvas, event);
    }
    remarks(&mut canvas, report, &words);
    canvas.finish()
}

/// Draws how a run ended: one line, and where a report has a long form, one more that leads to it.
pub fn verdict(verdict: &Verdict, color: bool) -> String {
    let mut canvas = Canvas::new(color, 0);
    let (ink, word) = if verdict.errors == 0 { (Ink::Note, "ok") } else { (Ink::Error, "error") };
    canvas.headline(ink, word, &verdict.sentence());
    if let Some(code) = verdict.explained {
        canvas.line(&format!("for the long form of a report: `nonpaged explain {code}`"));
    }
    canvas.finish()
}

/// Draws what an audit came to: one line, and one more that leads to the long form of the gravest finding.
pub fn check(check: &Check, color: bool) -> String {
    let mut canvas = Canvas::new(color, 0);
    let clean = check.exit_code() == ExitCode::Clean;
    let (ink, word) = if clean { (Ink::Note, "ok") } else { (Ink::Error, "error") };
    canvas.headline(ink, word, &check.sentence());
    if let Some(code) = check.explained() {
        canvas.line(&format!("for the long form of a report: `nonpaged explain {code}`"));
    }
    canvas.finish()
}

/// Digits of the widest RVA, at least four.
fn gutter(report: &Diagnostic) -> usize {
    let on_the_way = report.path.iter().take(MAX_WAYPOINTS).map(|waypoint| &waypoint.at);
    let before = report.because.iter().filter_map(|event| event.at.as_ref());
    let spans = report.at.iter().chain(on_the_way).chain(before);
    spans.map(|span| format!("{:x}", listing::last_rva(span)).len()).fold(4, usize::max)
}

fn headline(canvas: &mut Canvas, words: &Words) {
    let kind = match words.code {
        Code::BugCheck(_) | Code::Finding(_) | Code::Expectation => format!("{}[{}]", words.level.word(), words.code),
        Code::Unsupported => "unsupported".to_owned(),
        Code::Limit => "limit".to_owned(),
        Code::Input => Level::Error.word().to_owned(),
        Code::Internal => "bug in nonpaged".to_owned(),
        Code::Note => "note".to_owned(),
    };
    canvas.headline(Ink::of(words.level), &kind, &words.title);
}

/// An arrow to a place and its code with marks; `further` instructions follow the last mark.
fn snippet(canvas: &mut Canvas, span: &Span, marks: &[Mark], further: usize, ink: Ink) {
    canvas.arrow(&location(span));
    let lines = listing::lines(span, marks, further);
    if lines.is_empty() {
        return;
    }
    canvas.bar();
    if let Some(symbol) = span.place.symbol.as_ref().filter(|symbol| symbol.offset == 0) {
        canvas.label(&symbol.name);
    }
    let width = lines.iter().map(|line| line.bytes.len()).fold(BYTES_WIDTH, usize::max);
    for line in &lines {
        draw_line(canvas, line, width, marks, ink);
    }
    canvas.bar();
}

/// Columns that the bytes of an instruction take as a rule: six of them.
const BYTES_WIDTH: usize = 17;

fn draw_line(canvas: &mut Canvas, line: &Line, width: usize, marks: &[Mark], ink: Ink) {
    canvas.code(line.rva, &line.bytes, width, &line.text);
    for mark in marks.iter().filter(|mark| mark.rva == line.rva) {
        canvas.underline(ink, line.bytes.len(), &mark.label);
    }
}

fn location(span: &Span) -> String {
    let place = &span.place;
    let section = place.section.as_ref().map(|name| format!("section {name}, ")).unwrap_or_default();
    let source = place.source.as_ref().map(|source| format!(" at {}:{}", source.file, source.line)).unwrap_or_default();
    format!("{place} ({section}rva {}){source}", place.rva)
}

fn earlier(canvas: &mut Canvas, told: &Told<'_>) {
    canvas.headline(Ink::Note, "note", &told.headline);
    if let Some(span) = told.span {
        snippet(canvas, span, &told.marks, 0, Ink::Secondary);
    }
}

fn remarks(canvas: &mut Canvas, report: &Diagnostic, words: &Words) {
    for note in report.notes_of(words) {
        canvas.remark("note", &note);
    }
    for help in &words.helps {
        canvas.remark("help", help);
    }
    if let Some(context) = &report.context {
        circumstances(canvas, context);
    }
    if let Some(replay) = &report.replay {
        canvas.remark("help", &format!("to replay: `{replay}`"));
    }
}

fn circumstances(canvas: &mut Canvas, context: &Context) {
    let holding = match context.spin_locks {
        0 => String::new(),
        count => format!(", holding {}", crate::plural(u64::from(count), "spin lock")),
    };
    canvas.remark("note", &format!("this is {} on cpu {}{holding}", context.runner, context.cpu));
    for (depth, frame) in context.stack.iter().enumerate() {
        canvas.continuation(&format!("{depth}: {frame}"));
    }
}
