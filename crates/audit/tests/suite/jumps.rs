//! Ways out of a function that are no calls.

use audit::{Finding, FindingKind, StepKind};

use crate::crafted::{Data, image};

/// K13: the last call of a function, where it depends on a condition, is a conditional jump to what is called.
#[test]
fn k13_a_conditional_jump_to_another_function_is_a_call() {
    let image = image(
        "ntoskrnl.exe",
        &["KeRaiseIrqlToDpcLevel"],
        |_| Data::default().zeros(8).clone(),
        |places| {
            let mut entry = places.entry();
            entry.call(places.slots[0]).code(&[0x84, 0xc0]).jump_if_equal(places.page); // test al, al
            entry
        },
    );
    let findings = audit::audit(&image, &[]).expect("it can be laid out").findings;
    let [Finding { kind: FindingKind::PageableCode { target, irql: 2 }, path, .. }] = &findings[..] else {
        panic!("{findings:?}");
    };
    assert_eq!(target.section, "PAGE");
    assert!(path.iter().any(|step| step.kind == StepKind::Raised { from: 0, to: 2 }), "{path:?}");
}
