//! The arguments, and the help that goes with them.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use nonpaged::check::Rule;

use super::verifier::{DEFAULT_FLAGS, Faults, VerifierFlags};

/// Which parts of a Windows kernel driver can leave memory, and what breaks when they do.
///
/// nonpaged loads an x64 driver image (.sys) on any host, pages its PAGE sections to a real paging file and back while
/// the driver runs, and explains each failure: where it happened, what made it possible, and the bug check that Windows
/// would show. Runs are deterministic: equal arguments give equal output.
#[derive(Parser, Debug)]
#[command(version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// When to use colour; NO_COLOR in the environment means never, unless `always` is given
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto)]
    pub(crate) color: Color,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 clean, 10 driver bug, 11 audit findings, 20 unsupported, 30 limit, 64 arguments or an unreadable file,
65 not a loadable image, 70 bug in nonpaged. Long form: nonpaged explain exit-codes";

/// Numbers of frames that a machine can have.
const FRAMES: RangeInclusive<i64> = memory::MIN_FRAMES as i64..=memory::MAX_FRAMES as i64;

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Load a driver, exercise it, unload it, and report what was paged and what broke
    Run(RunOptions),
    /// Search trims, interrupts, switches and failures for what breaks a driver; each failure gets a token that replays it
    Explore(ExploreOptions),
    /// Run the schedule of a token again, and report
    Replay(ReplayOptions),
    /// Put the results of several searches of one driver into one folder
    Merge(MergeOptions),
    /// Show an image page by page: what stays in memory, what can leave, what is discarded
    Map(MapOptions),
    /// Audit images without running them: code and data that may be out, or gone, when they are needed
    Check(CheckOptions),
    /// Explain a code of a report: cause, minimal driver, repair, documentation
    Explain(ExplainOptions),
}

impl Command {
    /// Is the result, an error included, to be printed as JSON?
    pub(crate) fn wants_json(&self) -> bool {
        match self {
            Command::Run(options) => options.show.json,
            Command::Explore(options) => options.json,
            Command::Replay(options) => options.show.json,
            Command::Map(options) => options.json,
            Command::Check(options) => options.format == Format::Json,
            Command::Merge(options) => options.json,
            Command::Explain(_) => false,
        }
    }
}

pub(crate) use super::explore::args::{ExploreOptions, MergeOptions, ReplayOptions};

/// When to use colour.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

/// Arguments of `nonpaged run`.
#[derive(Args, Clone, Debug)]
pub(crate) struct RunOptions {
    #[command(flatten)]
    pub(crate) setup: Setup,

    #[command(flatten)]
    pub(crate) show: Show,

    /// Further images; each, and the first, may be a folder of images. Of several drivers each gets a machine of its own
    pub(crate) more: Vec<PathBuf>,

    /// Of several drivers: print a record each, comma-separated
    #[arg(long, conflicts_with = "json", help_heading = "Output")]
    pub(crate) csv: bool,

    /// Of several drivers: print time, memory and what they came to, summed up
    #[arg(long, help_heading = "Output")]
    pub(crate) summary: bool,

    /// Of several drivers: seconds of the host's time for each, a safety net
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400), help_heading = "Output")]
    pub(crate) time_limit: u64,
}

/// What is run, and on which machine: what decides everything that happens.
#[derive(Args, Clone, Debug)]
pub(crate) struct Setup {
    /// The driver image
    pub(crate) driver: PathBuf,

    /// What to do with the driver (TOML); without it: start, open, write, read, each IOCTL, cancel, close, unload
    #[arg(long, value_name = "FILE")]
    pub(crate) scenario: Option<PathBuf>,

    /// When pages that may leave memory do leave it
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Trim::OnRaise, help_heading = "Paging")]
    pub(crate) trim: Trim,

    /// Physical memory in 4 KiB pages; without it memory never runs short
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(FRAMES), help_heading = "Paging")]
    pub(crate) frames: Option<u32>,

    /// Where pageable pages are when loading is complete
    #[arg(long, value_enum, value_name = "WHERE", default_value_t = Initial::Out, help_heading = "Paging")]
    pub(crate) initial: Initial,

    /// Which sections are discarded after initialisation
    #[arg(long, value_enum, value_name = "RULE", default_value_t = Discard::Documented, help_heading = "Paging")]
    pub(crate) discard: Discard,

    /// Whether discarded bytes are overwritten whose page another section keeps
    #[arg(long, value_enum, value_name = "SWITCH", default_value_t = Poison::On, help_heading = "Paging")]
    pub(crate) poison: Poison,

    /// Locks that a section may have at once; without it 4294967295
    #[arg(long, value_name = "N", help_heading = "Paging")]
    pub(crate) lock_limit: Option<NonZeroU32>,

    /// The paging file; without it a temporary file, removed at the end
    #[arg(long, value_name = "PATH", help_heading = "Paging")]
    pub(crate) paging_file: Option<PathBuf>,

    /// Processors of the machine
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64), help_heading = "Machine")]
    pub(crate) cpus: u32,

    /// Seed of what is left to chance: identifiers that drivers ask for, simulated failures, which page leaves first where
    /// memory is short, and the schedules of `explore`
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Machine")]
    pub(crate) seed: u64,

    /// Registry contents (TOML or .reg)
    #[arg(long, value_name = "FILE", help_heading = "Machine")]
    pub(crate) registry: Option<PathBuf>,

    /// What the serial port is connected to: loopback, peer, stdio, file:PATH, replay:PATH or pty; without it, what the
    /// scenario says. A pseudo-terminal (pty) binds the run to real time: it is not deterministic, but see --record
    #[arg(long, value_name = "LINE", help_heading = "Machine")]
    pub(crate) serial_line: Option<SerialLine>,

    /// Write what a pseudo-terminal sends to this file, for --serial-line replay:FILE
    #[arg(long, value_name = "FILE", help_heading = "Machine")]
    pub(crate) record: Option<PathBuf>,

    /// Watch the driver as Driver Verifier does, with the flags of `verifier /flags` added up: 0x1 Special Pool, 0x2 Force
    /// IRQL Checking, 0x4 Low Resources Simulation, 0x8 Pool Tracking, 0x10 I/O Verification, 0x20000 DDI compliance checking,
    /// 0x2000000 code integrity checks
    #[arg(long, value_name = "FLAGS", num_args = 0..=1, require_equals = true, default_missing_value = DEFAULT_FLAGS, help_heading = "Machine")]
    pub(crate) verifier: Option<VerifierFlags>,

    /// Low Resources Simulation with so many chances in 10000 that an allocation fails, after so many minutes of virtual
    /// time; the verifier's own are 600,8
    #[arg(long, value_name = "CHANCES,MINUTES", help_heading = "Machine")]
    pub(crate) faults: Option<Faults>,

    /// Give up after this many instructions; without it 1 000 000 000, of several drivers 20 000 000 each
    #[arg(long, value_name = "LIMIT", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Machine")]
    pub(crate) steps: Option<u64>,
}

/// How much of a run is shown.
#[derive(Args, Clone, Debug)]
pub(crate) struct Show {
    /// Stop before this step and show where the machine is, as the replay line of a report does
    #[arg(long, value_name = "STEP", help_heading = "Machine")]
    pub(crate) stop_at: Option<u64>,

    /// Print one JSON object instead of text
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,

    /// Write every event of the run to this file, and at the end which code ran, for `nonpaged map --advise`; until the run
    /// ends it is FILE.part
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) log: Option<PathBuf>,
}

/// When pages that may leave memory do leave it (D5).
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trim {
    /// Never: only to compare with
    Never,
    /// When memory runs short (see --frames)
    Pressure,
    /// Before each raise to DISPATCH_LEVEL or above, as Driver Verifier does
    OnRaise,
    /// As soon as they may, and before each raise
    AtOnce,
    /// As soon as they may, and between any two instructions: the strictest, and slow
    EachStep,
}

/// Where pageable pages are when loading is complete (D1).
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Initial {
    /// In memory
    Resident,
    /// In the paging file
    Out,
}

/// Which sections are discarded after initialisation (D9).
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Discard {
    /// Sections named INIT or flagged discardable, anywhere in the image
    Documented,
    /// Only the discardable sections at the end of the image
    Tail,
}

/// Whether discarded bytes are overwritten whose page another section keeps (D11).
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Poison {
    /// With breakpoints
    On,
    /// They stay: using them is reported all the same
    Off,
}

/// What the serial port is connected to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum SerialLine {
    /// Its own input.
    Loopback,
    /// Somebody who says only what the scenario makes them say.
    Peer,
    /// Standard input and output.
    Stdio,
    /// A file that takes what the driver sends.
    File(PathBuf),
    /// What `--record` wrote, at the times of then.
    Replay(PathBuf),
    /// A pseudo-terminal.
    Pty,
}

impl std::str::FromStr for SerialLine {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<SerialLine, &'static str> {
        match (text, text.split_once(':')) {
            ("loopback", _) => Ok(SerialLine::Loopback),
            ("peer", _) => Ok(SerialLine::Peer),
            ("stdio", _) => Ok(SerialLine::Stdio),
            ("pty", _) => Ok(SerialLine::Pty),
            (_, Some(("file", path))) if !path.is_empty() => Ok(SerialLine::File(path.into())),
            (_, Some(("replay", path))) if !path.is_empty() => Ok(SerialLine::Replay(path.into())),
            _ => Err("expected loopback, peer, stdio, file:PATH, replay:PATH or pty"),
        }
    }
}

/// Arguments of `nonpaged map`.
#[derive(Args, Clone, Debug)]
pub(crate) struct MapOptions {
    /// The driver image
    pub(crate) driver: PathBuf,

    /// Which sections are discarded after initialisation
    #[arg(long, value_enum, value_name = "RULE", default_value_t = Discard::Documented)]
    pub(crate) discard: Discard,

    /// Say which nonpaged functions could be pageable, or discarded, and which sections could be one
    #[arg(long)]
    pub(crate) advise: bool,

    /// With --advise: the log of a run (`nonpaged run --log`), which says what is rarely used; may be given several times
    #[arg(long, value_name = "FILE", requires = "advise")]
    pub(crate) log: Vec<PathBuf>,

    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `nonpaged check`.
#[derive(Args, Clone, Debug)]
pub(crate) struct CheckOptions {
    /// Driver images, or folders of them
    #[arg(required = true)]
    pub(crate) drivers: Vec<PathBuf>,

    /// What to print
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    pub(crate) format: Format,

    /// In SARIF, name source files below DIR relative to it, as a code host needs them that shows findings beside the lines.
    /// DIR is the folder with the sources where the drivers were built, such as D:\a\repo\repo; it need not exist here
    #[arg(long, value_name = "DIR")]
    pub(crate) source_root: Option<PathBuf>,

    /// How certain a finding must be
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t = Level::High)]
    pub(crate) level: Level,

    /// What counts as a finding: a level (error, warning, info), a code (K18) or its name (repeat-lock-by-address), or a
    /// pattern for either (A0*), several separated by commas; warnings and errors count in any case
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    pub(crate) deny: Vec<Rule>,

    /// What does not count and is not shown: a level, a code, its name or a pattern; a code in --deny wins over a level here
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    pub(crate) allow: Vec<Rule>,

    /// A file that --write-baseline wrote: findings in it are known and do not count; those that are gone are named
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,

    /// Write the findings, and those that are known, as a baseline
    #[arg(long, value_name = "FILE")]
    pub(crate) write_baseline: Option<PathBuf>,
}

/// How certain a finding must be.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Level {
    /// The image shows all that matters
    High,
    /// One thing is taken for granted, too; each report says which
    Possible,
}

/// What an audit prints.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    /// Reports as text
    Text,
    /// One JSON object
    Json,
    /// SARIF 2.1.0
    Sarif,
    /// JUnit XML
    Junit,
}

/// Arguments of `nonpaged explain`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ExplainOptions {
    /// A bug check (0xD1), a finding (K08), `unsupported`, `limit` or `exit-codes`
    #[arg(required_unless_present = "list")]
    pub(crate) code: Option<String>,

    /// List the codes there are
    #[arg(long, conflicts_with = "code")]
    pub(crate) list: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::{Cli, SerialLine};

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serial_lines() {
        assert_eq!("loopback".parse(), Ok(SerialLine::Loopback));
        assert_eq!("file:out.bin".parse(), Ok(SerialLine::File("out.bin".into())));
        assert!("file:".parse::<SerialLine>().is_err());
        assert!("pipe".parse::<SerialLine>().is_err());
    }
}
