//! The text form of a full report.

mod common;

use report::draw;

#[test]
fn worked_example_word_by_word() {
    assert_eq!(draw::diagnostic(&common::worked(), false), include_str!("golden/worked.txt"));
}

#[test]
fn colour_changes_no_character() {
    let mut plain = String::new();
    let colored = draw::diagnostic(&common::worked(), true);
    for (index, part) in colored.split('\x1b').enumerate() {
        plain.push_str(if index == 0 { part } else { part.split_once('m').expect("ends a sequence").1 });
    }
    assert_eq!(plain, include_str!("golden/worked.txt"));
    assert_ne!(plain, colored);
}
