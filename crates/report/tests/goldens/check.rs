//! What an audit comes to, in each form.

use nt_types::{Irql, Rva};
use report::cause::{Audit, Cause, Layout};
use report::{
    Check, CheckedFile, Diagnostic, Place, Source, SourceRoot, Span, Symbol, Waypoint, WaypointKind, draw, json, junit,
    sarif,
};
use serde_json::Value;

use crate::assert_golden;

/// The schema of OASIS, as <https://json.schemastore.org/sarif-2.1.0.json> has it.
const SCHEMA: &str = include_str!("sarif-2.1.0.schema.json");

fn span(rva: u32, name: &str, line: Option<u32>) -> Span {
    Span::from(Place {
        image: "x.sys".into(),
        section: Some(".text".into()),
        rva: Rva(rva),
        symbol: Some(Symbol { name: name.into(), offset: 4 }),
        source: line.map(|line| Source { file: "d:\\x y\\x.c".into(), line }),
    })
}

/// An error with a way to it, a warning about the image, a remark; and a file that is clean.
fn check() -> Check {
    let entered = WaypointKind::Entered { role: "DPC routine".into(), lowest: Irql::DISPATCH, highest: Irql::DISPATCH };
    let reached = Diagnostic {
        at: Some(span(0x1004, "Dpc", Some(12))),
        path: vec![
            Waypoint { kind: WaypointKind::Named, at: span(0x7004, "DriverEntry", Some(30)) },
            Waypoint { kind: entered, at: span(0x1000, "Dpc", None) },
            Waypoint {
                kind: WaypointKind::Raised { from: Irql::PASSIVE, to: Irql::DISPATCH },
                at: span(0x1001, "Dpc", None),
            },
            Waypoint { kind: WaypointKind::Called, at: span(0x1002, "Dpc", None) },
        ],
        ..Diagnostic::from(Cause::Audit(Audit::PageableCode { section: "PAGE".into(), irql: Irql::DISPATCH }))
    };
    let imports = Diagnostic::from(Cause::Layout(Layout::ProhibitedImport { routine: "ZwClose".into() }));
    let remark = Diagnostic::from(Cause::Audit(Audit::Incomplete { reasons: vec!["a reason".into()] }));
    let files = [("a/x.sys", vec![reached, imports, remark]), ("a/clean.sys", vec![])];
    let file = |(path, reports): (&str, _)| CheckedFile {
        path: path.into(),
        image: path.into(),
        sha256: Some("ab".repeat(32)),
        reports,
        known: Vec::new(),
    };
    Check { files: files.map(file).to_vec(), has_baseline: false }
}

/// The same, where a baseline knows the warning.
fn against_baseline() -> Check {
    let mut check = Check { has_baseline: true, ..check() };
    let warning = check.files[0].reports.remove(1);
    check.files[0].known.push(warning);
    check
}

#[test]
fn what_a_baseline_knows_is_suppressed() {
    let log: Value = serde_json::from_str(&sarif(&against_baseline(), None)).expect("JSON");
    let results = log["runs"][0]["results"].as_array().expect("there are results");
    let states: Vec<_> =
        results.iter().map(|result| (&result["baselineState"], result.get("suppressions").is_some())).collect();
    assert_eq!(states, [(&Value::from("new"), false), (&Value::from("unchanged"), true)]);
    assert!(against_baseline().sentence().starts_with("1 finding in 2 files, 1 known by the baseline; "));
    assert!(!junit(&against_baseline()).contains("ZwClose"));
    let json: Value = serde_json::from_str(&json::check(&against_baseline())).expect("JSON");
    assert_eq!(json["files"][0]["known"].as_array().map(Vec::len), Some(1));
}

#[test]
fn text() {
    let reports: Vec<String> = check().reports().map(|report| draw::diagnostic(report, false)).collect();
    assert_golden("check.txt", &format!("{}\n{}", reports.join("\n"), draw::check(&check(), false)));
}

#[test]
fn json_form() {
    assert_golden("check.json", &json::check(&check()));
}

#[test]
fn sarif_is_valid_by_its_schema() {
    let mut schema: Value = serde_json::from_str(SCHEMA).expect("JSON");
    // A closing bracket too many: fine in ECMAScript, no regular expression elsewhere. We write no languages.
    for holder in ["run", "toolComponent"] {
        schema["definitions"][holder]["properties"]["language"]["pattern"] = "".into();
    }
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let empty = Check::default();
    let root = SourceRoot::new("D:\\X Y");
    for (check, root) in [(check(), None), (check(), root.as_ref()), (against_baseline(), None), (empty, None)] {
        let log: Value = serde_json::from_str(&sarif(&check, root)).expect("JSON");
        let errors: Vec<String> = validator.iter_errors(&log).map(|error| error.to_string()).collect();
        assert_eq!(errors, [""; 0]);
    }
    let mut broken: Value = serde_json::from_str(&sarif(&check(), None)).expect("JSON");
    broken["runs"][0]["results"][0]["level"] = "fatal".into();
    assert!(!validator.is_valid(&broken), "the schema is looked at");
    assert_golden("check.sarif", &sarif(&check(), None));
}

/// Source files below the root are relative to it, in results and on the ways to them; images and other files stay as they are.
#[test]
fn sarif_names_source_files_relative_to_a_root() {
    let log =
        |root: &str| -> Value { serde_json::from_str(&sarif(&check(), SourceRoot::new(root).as_ref())).expect("JSON") };
    let (below, elsewhere) = (log("D:\\X Y"), log("D:\\X"));
    let run = &below["runs"][0];
    assert_eq!(run["originalUriBaseIds"]["%SRCROOT%"]["uri"], "file:///d:/X%20Y/");
    let source = serde_json::json!({ "uri": "x.c", "uriBaseId": "%SRCROOT%" });
    let result = &run["results"][0];
    assert_eq!(result["locations"][0]["physicalLocation"]["artifactLocation"], source);
    let on_the_way = &result["codeFlows"][0]["threadFlows"][0]["locations"][0]["location"];
    assert_eq!(on_the_way["physicalLocation"]["artifactLocation"], source);
    let image = &run["results"][1]["locations"][0]["physicalLocation"]["artifactLocation"];
    assert_eq!(*image, serde_json::json!({ "uri": "a/x.sys" }));
    let notified = |log: &Value| log["runs"][0]["invocations"][0]["toolExecutionNotifications"].to_string();
    assert!(!notified(&below).contains("no source file lies below"));
    assert!(notified(&elsewhere).contains("no source file lies below `file:///d:/X/`"), "{}", notified(&elsewhere));
    let uri = &elsewhere["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"];
    assert_eq!(*uri, serde_json::json!({ "uri": "file:///d:/x%20y/x.c" }));
}

#[test]
fn junit_form() {
    assert_golden("check.junit.xml", &junit(&check()));
}
