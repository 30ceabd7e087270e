use report::cause::{Cause, Input, Unsupported};
use report::{Diagnostic, Place, Source, draw};

use crate::{assert_golden, fixture};

/// The file is the worked example of the style guide; it is not to be blessed.
const WORKED: &str = include_str!("worked.txt");

#[test]
fn worked_example_word_by_word() {
    assert_eq!(draw::diagnostic(&fixture::worked(), false), WORKED);
}

#[test]
fn colour_changes_no_character() {
    let mut plain = String::new();
    let colored = draw::diagnostic(&fixture::worked(), true);
    for (index, part) in colored.split('\x1b').enumerate() {
        plain.push_str(if index == 0 { part } else { part.split_once('m').expect("ends a sequence").1 });
    }
    assert_eq!(plain, WORKED);
    assert_ne!(plain, colored);
}

#[test]
fn a_report_with_source_lines_and_without_names() {
    let mut report = fixture::worked();
    let span = report.at.as_mut().expect("the fixture has a span");
    span.place.source = Some(Source { file: "serial/read.c".into(), line: 214 });
    let place: &mut Place = &mut report.because[0].at.as_mut().expect("the fixture has a span").place;
    place.symbol = None;
    assert_golden("source.txt", &draw::diagnostic(&report, false));
}

#[test]
fn wide_addresses_widen_the_gutter() {
    let mut report = fixture::worked();
    report.at.as_mut().expect("the fixture has a span").place.rva.0 = 0x12_7140;
    assert_golden("wide.txt", &draw::diagnostic(&report, false));
}

#[test]
fn each_cause_has_its_words() {
    let drawn: Vec<String> =
        crate::causes::causes().into_iter().map(|report| draw::diagnostic(&report, false)).collect();
    assert_golden("causes.txt", &drawn.join("\n"));
}

#[test]
fn unsupported_in_the_words_of_the_style_guide() {
    let report = Diagnostic::from(Cause::Unsupported(Unsupported::Behaviour {
        routine: "MmLockPagableDataSection".into(),
        behaviour: "with an address in a discarded section",
    }));
    let expected = "unsupported: `MmLockPagableDataSection` with an address in a discarded section\n     \
                    = note: the tool does not model this; it does not indicate a bug in the driver\n";
    assert_eq!(draw::diagnostic(&report, false), expected);
}

/// Names come from hostile files.
#[test]
fn control_characters_do_not_reach_the_terminal() {
    let path = "\x1b]0;title\x07\u{9b}31m.sys".to_owned();
    let report = Diagnostic::from(Cause::Input(Input::NotLoadable { path, reason: "a\nb".into() }));
    let drawn = draw::diagnostic(&report, false);
    assert!(drawn.trim_end_matches('\n').chars().all(|character| !character.is_control()), "{drawn:?}");
}
