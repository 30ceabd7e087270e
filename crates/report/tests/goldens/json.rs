use report::{Ended, Verdict, json};
use serde_json::{Value, json};

use crate::{assert_golden, fixture};

#[test]
fn worked_example() {
    assert_golden("worked.json", &json::diagnostic(&fixture::worked()));
}

/// Field names are API: these are the ones of the style guide's example.
#[test]
fn promised_fields_have_their_values() {
    let report: Value = serde_json::from_str(&json::diagnostic(&fixture::worked())).expect("JSON");
    let promised = json!({
        "code": "0xD1", "level": "error", "class": "driver_bug",
        "title": "pageable code executed at `DISPATCH_LEVEL` while paged out",
        "at": {"image": "serial.sys", "section": "PAGESER", "rva": 28992, "symbol": "SerialStartRead", "step": 48201},
        "because": [
            {"what": "irql_raised", "rva": 10812, "step": 48197, "from": 0, "to": 2},
            {"what": "entered", "rva": 10822, "step": 48201},
            {"what": "section_unlocked", "rva": 11288, "step": 40112, "lock_count": 0},
            {"what": "section_trimmed", "step": 40113, "pages": 3}
        ],
        "bugcheck": {"code": 209, "params": ["0xfffff80010007140", "0x2", "0x8", "0xfffff80010007140"]},
        "seed": 7, "scenario": "close_then_read"
    });
    assert_contains(&report, &promised);
}

#[test]
fn a_whole_run() {
    let reports = [fixture::worked()];
    let verdict = Verdict::new(Ended::BugCheck, &reports);
    assert_golden("run.json", &json::run(&reports, Some(&fixture::summary()), &verdict));
}

/// Every value of `part` is in `whole`, at the same place.
#[track_caller]
fn assert_contains(whole: &Value, part: &Value) {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().for_each(|(key, value)| assert_contains(whole.get(key).unwrap_or(&Value::Null), value));
        }
        (Value::Array(whole), Value::Array(part)) if whole.len() == part.len() => {
            whole.iter().zip(part).for_each(|(whole, part)| assert_contains(whole, part));
        }
        _ => assert_eq!(whole, part),
    }
}
