//! Lines, gutters and colours.

use anstyle::{AnsiColor, Style};
use nt_types::Rva;

use super::wrap::wrap;
use crate::code::Level;

/// Columns of a remark's text.
const REMARK_WIDTH: usize = 90;

/// What a piece of text is, hence its colour.
#[derive(Clone, Copy)]
pub(super) enum Ink {
    Error,
    Warning,
    Note,
    Help,
    Secondary,
    Gutter,
    Title,
}

impl Ink {
    pub(super) fn of(level: Level) -> Ink {
        match level {
            Level::Error => Ink::Error,
            Level::Warning => Ink::Warning,
            Level::Info => Ink::Note,
        }
    }

    fn style(self) -> Style {
        match self {
            Ink::Error => AnsiColor::BrightRed.on_default().bold(),
            Ink::Warning => AnsiColor::BrightYellow.on_default().bold(),
            Ink::Note => AnsiColor::BrightGreen.on_default().bold(),
            Ink::Help => AnsiColor::BrightCyan.on_default().bold(),
            Ink::Secondary | Ink::Gutter => AnsiColor::BrightBlue.on_default().bold(),
            Ink::Title => Style::new().bold(),
        }
    }

    fn underline(self) -> &'static str {
        match self {
            Ink::Secondary => "-",
            _ => "^",
        }
    }
}

pub(super) struct Canvas {
    text: String,
    color: bool,
    gutter: usize,
}

impl Canvas {
    /// `gutter`: columns for RVAs.
    pub(super) fn new(color: bool, gutter: usize) -> Canvas {
        Canvas { text: String::new(), color, gutter }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    pub(super) fn headline(&mut self, ink: Ink, kind: &str, title: &str) {
        self.paint(ink, kind);
        self.paint(Ink::Title, &format!(": {title}"));
        self.end();
    }

    pub(super) fn line(&mut self, text: &str) {
        self.plain(text);
        self.end();
    }

    pub(super) fn arrow(&mut self, place: &str) {
        self.indent(0);
        self.paint(Ink::Gutter, "-->");
        self.plain(&format!(" {place}"));
        self.end();
    }

    /// An empty line with the gutter's bar.
    pub(super) fn bar(&mut self) {
        self.indent(1);
        self.paint(Ink::Gutter, "|");
        self.end();
    }

    /// The name of the function that starts here.
    pub(super) fn label(&mut self, name: &str) {
        self.indent(1);
        self.paint(Ink::Gutter, "|");
        self.plain(&format!(" {name}:"));
        self.end();
    }

    /// An instruction, its bytes in a column of this width.
    pub(super) fn code(&mut self, rva: Rva, bytes: &str, width: usize, text: &str) {
        let gutter = self.gutter;
        self.paint(Ink::Gutter, &format!("{:>gutter$x} |", rva.0));
        self.plain(&format!(" {bytes:<width$}  {text}"));
        self.end();
    }

    pub(super) fn underline(&mut self, ink: Ink, columns: usize, label: &str) {
        self.indent(1);
        self.paint(Ink::Gutter, "|");
        self.plain(" ");
        self.paint(ink, &format!("{} {label}", ink.underline().repeat(columns)));
        self.end();
    }

    /// A note or help below the code; its lines are wrapped, line feeds in it are kept.
    pub(super) fn remark(&mut self, kind: &str, text: &str) {
        let mut lines = text.split('\n').flat_map(|line| wrap(line, REMARK_WIDTH));
        self.indent(1);
        self.paint(Ink::Gutter, "=");
        self.plain(" ");
        self.paint(if kind == "help" { Ink::Help } else { Ink::Note }, kind);
        self.plain(&format!(": {}", lines.next().unwrap_or_default()));
        self.end();
        lines.for_each(|line| self.continuation(&line));
    }

    /// A line that continues a remark.
    pub(super) fn continuation(&mut self, text: &str) {
        self.indent(9);
        self.plain(text);
        self.end();
    }

    fn indent(&mut self, further: usize) {
        let columns = self.gutter + further;
        self.plain(&" ".repeat(columns));
    }

    fn paint(&mut self, ink: Ink, text: &str) {
        if self.color {
            let style = ink.style();
            self.raw(&format!("{style}"));
            self.plain(text);
            self.raw(&format!("{style:#}"));
        } else {
            self.plain(text);
        }
    }

    /// Text from images and files passes here: control characters must not reach a terminal.
    fn plain(&mut self, text: &str) {
        for character in text.chars() {
            if character.is_control() {
                self.text.extend(character.escape_default());
            } else {
                self.text.push(character);
            }
        }
    }

    fn raw(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn end(&mut self) {
        let trimmed = self.text.trim_end_matches(' ').len();
        self.text.truncate(trimmed);
        self.text.push('\n');
    }
}
