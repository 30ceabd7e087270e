//! One row for each shape of mistake and each way of trimming that changes its diagnosis (SAMPLES section 2).

use super::expected::{Check, P, differences};
use super::life::{Act, alignments, lead, life};
use crate::sample::{Lab, Setup, bug_check};

const NEVER: Setup = Setup::NEVER;
const TRIMMED: Setup = Setup::TRIMMED;
const VERIFIED: Setup = Setup::VERIFIED;
/// `[S]`: what is trimmed at once, and what the verifier trims.
const STRICT: &[Setup] = &[TRIMMED, VERIFIED];
const ANY: &[Setup] = &[NEVER, TRIMMED, VERIFIED];

/// Driver, machines, bug check, codes of all findings.
type Row = (&'static str, &'static [Setup], Option<Check>, &'static [&'static str]);

/// 0xD1 for code that is out: the instruction is the first parameter and the last (R164).
const fn code_is_out(at: P, irql: u64) -> Option<Check> {
    Some((0xD1, [at, P::Is(irql), P::Is(8), P::First]))
}

const DISPATCH: u64 = 2;
/// The IRQL of interrupt line 7 of this machine.
const DIRQL: u64 = 10;

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("x01-spin-lock-in-page", STRICT, code_is_out(P::Within("X01Callback"), DISPATCH), &["K26"]),
    ("x01-spin-lock-in-page", &[NEVER], None, &["K13", "K26"]),
    ("x02-inlined-helper", STRICT, code_is_out(P::Within("X02Query"), DISPATCH), &["K26"]),
    ("x02-inlined-helper", &[NEVER], None, &["K13", "K26"]),
    ("x03-helper-in-paged-file", STRICT, code_is_out(P::At("X03Helper"), DISPATCH), &[]),
    ("x03-helper-in-paged-file", &[NEVER], None, &["K13"]),
    ("k13-irql-wrong-way", STRICT, code_is_out(P::At("K13Details"), DISPATCH), &[]),
    ("k13-irql-wrong-way", &[NEVER], None, &["K13"]),
    ("x04-inlined-raise", STRICT, code_is_out(P::Within("X04Locked"), DISPATCH), &["K26"]),
    ("x04-inlined-raise", &[NEVER], None, &["K13", "K26"]),
    ("x05-dpc-reads-pagedata", STRICT, Some((0xD1, [P::At("X05Limit"), P::Is(DISPATCH), P::Is(0), P::Within("X05Dpc")])), &[]),
    ("x05-dpc-reads-pagedata", &[NEVER], None, &["K13"]),
    ("x05-dpc-writes-pagedata", STRICT, Some((0xD1, [P::At("X05Total"), P::Is(DISPATCH), P::Is(1), P::Within("X05Dpc")])), &[]),
    ("x05-dpc-writes-pagedata", &[NEVER], None, &["K13"]),
    // D12, D44: discarded bytes at or below APC_LEVEL.
    ("x06-init-after-discard", ANY, Some((0x50, [P::At("X06Setup"), P::Is(0x10), P::First, P::Is(0)])), &["K12"]),
    ("x06-init-data", ANY, Some((0x50, [P::Within("X06Table"), P::Is(0), P::Within("X06Resume"), P::Is(0)])), &["K12"]),
    // D11: on a kept page the discarded bytes are poison.
    ("x06-init-after-discard-shared", ANY, Some((0x1E, [P::Is(0x8000_0003), P::At("X06Setup"), P::Is(0), P::Is(0)])), &["K12"]),
    ("x06-init-data-shared", ANY, None, &["K12"]),
    ("x06-init-written-shared", ANY, None, &["K12"]),
    ("x06-init-at-dispatch", ANY, Some((0xD1, [P::At("X06Setup"), P::Is(DISPATCH), P::Is(8), P::First])), &["K12"]),
    // Whoever keeps the address of what is discarded calls it later.
    ("x06-init-kept-in-dpc", ANY, Some((0xD1, [P::At("X06Routine"), P::Is(DISPATCH), P::Is(8), P::First])), &["K12"]),
    ("x06-init-kept-in-variable", ANY, Some((0x50, [P::At("X06Routine"), P::Is(0x10), P::First, P::Is(0)])), &["K12"]),
    ("x06-init-kept-in-dispatch", ANY, Some((0x50, [P::At("X06Routine"), P::Is(0x10), P::First, P::Is(0)])), &["K12"]),
    ("x06-init-kept-in-extension", ANY, Some((0x50, [P::At("X06Routine"), P::Is(0x10), P::First, P::Is(0)])), &["K12"]),
    ("x07-apc-raises", STRICT, code_is_out(P::Within("X07CountOne"), DISPATCH), &["K26"]),
    ("x07-apc-raises", &[NEVER], None, &["K13", "K26"]),
    ("x09-set-event-wait", STRICT, code_is_out(P::Within("X09DeviceControl"), DISPATCH), &["K14"]),
    ("x09-set-event-wait", &[NEVER], None, &["K13", "K14"]),
    ("x09-release-mutex-wait", STRICT, code_is_out(P::Within("X09DeviceControl"), DISPATCH), &["K14"]),
    ("x09-release-mutex-wait", &[NEVER], None, &["K13", "K14"]),
    ("x10-lock-leak", ANY, None, &["K05"]),
    ("k05-never-unlocked", ANY, None, &["K05"]),
    ("k13-helper-returns-raised", STRICT, code_is_out(P::Within("HelpedRequest"), DISPATCH), &["K26"]),
    ("k13-helper-returns-raised", &[NEVER], None, &["K13", "K26"]),
    ("k05-left-in-extension", ANY, None, &["K05"]),
    ("x11-unlock-twice-by-extension", ANY, Some((0x1A, [P::Is(0x1010), P::Handle, P::Is(6), P::Within("LockClose")])), &[]),
    ("x11-unlock-twice-in-close", ANY, Some((0x1A, [P::Is(0x1010), P::Handle, P::Is(6), P::Within("BalanceClose")])), &[]),
    ("x11-unlock-twice-in-request", ANY, Some((0x1A, [P::Is(0x1010), P::Handle, P::Is(6), P::Within("BalanceRequest")])), &[]),
    ("x11-unlock-twice-on-one-way", ANY, Some((0x1A, [P::Is(0x1010), P::Handle, P::Is(6), P::Within("BalanceRequest")])), &[]),
    ("x10-locked-twice", ANY, None, &["K05"]),
    ("x10-open-locks-twice", ANY, None, &["K05"]),
    ("k05-left-in-block", ANY, None, &["K05"]),
    ("k05-unload-skips-unlock", ANY, None, &["K05"]),
    ("x33-left-on-one-way", ANY, None, &["K05"]),
    ("x14-unlocks-an-empty-field", ANY, Some((0x1A, [P::Is(0x1010), P::Is(0), P::Is(4), P::Within("LockClose")])), &[]),
    ("x11-unlock-twice", ANY, Some((0x1A, [P::Is(0x1010), P::Handle, P::Is(6), P::Within("X11Close")])), &[]),
    // D39: the verifier stops before anything changes. D40: else K02, and 0xD3 where a page is out.
    ("x13-lock-in-dpc", &[VERIFIED], Some((0xC4, [P::Is(0x0002_0019), P::Some, P::Is(0), P::Is(0)])), &[]),
    ("x13-lock-in-dpc", &[TRIMMED], Some((0xD3, [P::In("PAGEX13"), P::Is(DISPATCH), P::Is(0), P::Service("MmLockPagableSectionByHandle")])), &["K02"]),
    ("x13-lock-in-dpc", &[NEVER], None, &["K02"]),
    // R163, R181: the kernel touches a timer that left memory.
    ("x15-timer-in-pagedata", &[VERIFIED], Some((0xC4, [P::Is(0xE1), P::At("X15Timer"), P::Is(0), P::Is(0)])), &[]),
    ("x15-timer-in-pagedata", &[TRIMMED], Some((0xD3, [P::Within("X15Timer"), P::Is(DISPATCH), P::Either(0, 1), P::Kernel])), &["K11"]),
    ("x15-timer-in-pagedata", &[NEVER], None, &["K11", "K13"]),
    // Between the paging and the interrupt nobody raises the IRQL, so that the verifier has no reason to trim (D48).
    ("x16-page-while-connected", &[TRIMMED], code_is_out(P::At("X16Interrupt"), DIRQL), &["K03"]),
    ("x16-page-while-connected", &[NEVER, VERIFIED], None, &["K03", "K13"]),
    ("x16-connect-before-reset", &[TRIMMED], code_is_out(P::At("X16Interrupt"), DIRQL), &[]),
    ("x16-connect-before-reset", &[NEVER, VERIFIED], None, &["K04", "K13"]),
    ("x16-own-lock", &[TRIMMED], Some((0xD3, [P::At("X16Lock"), P::Is(DIRQL), P::Either(0, 1), P::Kernel])), &["K03", "K11"]),
    ("x16-own-lock", &[NEVER, VERIFIED], None, &["K03", "K11", "K13"]),
    ("x17-locks-a-thunk", STRICT, code_is_out(P::At("X17Work"), DISPATCH), &["K01"]),
    ("x17-locks-a-thunk", &[NEVER], None, &["K01", "K13"]),
    ("x18-locks-the-other-section", STRICT, code_is_out(P::At("X18Second"), DISPATCH), &[]),
    ("x18-locks-the-other-section", &[NEVER], None, &["K13"]),
    ("x18-locks-by-the-other-handle", STRICT, code_is_out(P::At("LockFirst"), DISPATCH), &[]),
    ("x18-locks-by-the-other-handle", &[NEVER], None, &["K13"]),
    ("x19-isr-pageable", ANY, None, &["K09"]),
    ("x19-isr-unlocked", STRICT, code_is_out(P::At("X19Interrupt"), DIRQL), &["K09"]),
    ("x19-isr-unlocked", &[NEVER], None, &["K09", "K13"]),
    ("x20-unlock-with-pended-irp", STRICT, code_is_out(P::At("X20Finish"), DISPATCH), &["K08"]),
    ("x20-unlock-with-pended-irp", &[NEVER], None, &["K08", "K13"]),
    // D30, R162 (3), R167: what comes back for an unloaded driver.
    ("x21-unload-with-timer", ANY, Some((0xD4, [P::Within("X21Timer"), P::Is(DISPATCH), P::Either(0, 1), P::Kernel])), &[]),
    ("x21-unload-with-work-item", ANY, Some((0xCE, [P::At("X21Work"), P::Is(0), P::First, P::Is(0)])), &["pool-leak"]),
    ("x22-completion-in-page", &[NEVER], None, &["K21"]),
    ("x22-completion-in-page", &[VERIFIED], Some((0xC9, [P::Is(0x227), P::At("X22Completed"), P::Some, P::Is(0)])), &["K21"]),
    ("x22-work-item-in-paged-pool", &[NEVER], None, &["K22"]),
    ("x22-work-item-in-paged-pool", &[VERIFIED], Some((0xC4, [P::Is(0x131), P::PagedPool, P::Is(0), P::Is(0)])), &[]),
    // R190: what lies on the stack of a thread that waits in user mode.
    ("x60-event-on-swapped-stack", &[VERIFIED], Some((0xC4, [P::Is(0x123), P::Some, P::Is(0), P::Is(0)])), &[]),
    ("x60-event-on-swapped-stack", &[TRIMMED], Some((0x0A, [P::Some, P::Is(DISPATCH), P::Is(0), P::Service("KeSetEvent")])), &["K11"]),
    ("x60-event-on-swapped-stack", &[NEVER], None, &["K11", "K13"]),
    ("x61-status-on-swapped-stack", &[TRIMMED], Some((0xD1, [P::Some, P::Is(DISPATCH), P::Is(1), P::Within("X61Completed")])), &[]),
    ("x61-status-on-swapped-stack", &[NEVER, VERIFIED], None, &["K13"]),
    ("94-stack-kept-at-exit", ANY, Some((0x94, [P::Is(0), P::Is(0), P::Is(0), P::Is(0)])), &[]),
    ("x26-lock-and-fail", ANY, None, &["K05"]),
    ("x26-result-fails", ANY, None, &["K05"]),
    ("x27-handle-is-no-pointer", ANY, Some((0x50, [P::Handle, P::Is(0), P::Within("X27DeviceControl"), P::Is(2)])), &["K07"]),
    ("x28-dpc-pageable", STRICT, code_is_out(P::At("X28Dpc"), DISPATCH), &["K10"]),
    ("x28-dpc-pageable", &[NEVER], None, &["K10", "K13"]),
    // INIT is not pageable by name, so the lock itself is K01 too.
    ("x30-locked-init", ANY, None, &["K01", "K25"]),
    ("k28-pages-nothing", ANY, None, &["K28"]),
    // Bug checks that mistakes about paging are taken for.
    ("be-write-to-constant", ANY, Some((0xBE, [P::At("FatalCount"), P::Some, P::Is(0), P::Is(0)])), &[]),
    ("fc-run-data", ANY, Some((0xFC, [P::At("FatalRoutine"), P::Some, P::Is(0), P::Is(0)])), &[]),
    ("0a-half-a-pointer", ANY, Some((0x0A, [P::Some, P::Is(DISPATCH), P::Either(0, 1), P::Service("KeSetEvent")])), &[]),
    ("1e-bad-pointer", ANY, Some((0x1E, [P::Is(0xC000_0005), P::Within("FatalAct"), P::Is(0), P::Some])), &[]),
    ("7e-bad-pointer-on-thread", ANY, Some((0x7E, [P::Is(0xC000_0005), P::Within("FatalAct"), P::Some, P::Some])), &[]),
    ("50-no-address", ANY, Some((0x50, [P::Some, P::Is(0), P::Within("FatalAct"), P::Is(4)])), &[]),
    ("7f-stack-used-up", ANY, Some((0x7F, [P::Is(8), P::Is(0), P::Is(0), P::Is(0)])), &[]),
    ("b8-wait-raised", &[VERIFIED], Some((0xC4, [P::Is(0x121), P::Some, P::Some, P::Is(0)])), &[]),
    ("b8-wait-raised", &[TRIMMED, NEVER], Some((0xB8, [P::Some, P::Is(0), P::Some, P::Is(0)])), &[]),
    ("c4-timer-in-freed-pool", &[VERIFIED], Some((0xC4, [P::Is(0x15), P::Some, P::Is(0), P::Some])), &[]),
    ("c4-timer-in-freed-pool", &[TRIMMED, NEVER], Some((0xC7, [P::Is(0), P::Some, P::Some, P::Some])), &[]),
    ("c7-dpc-in-freed-pool", ANY, Some((0xC7, [P::Is(1), P::Some, P::Some, P::Some])), &[]),
    ("c7-dpc-for-no-processor", ANY, Some((0xC7, [P::Is(3), P::Some, P::Is(63), P::Is(1)])), &[]),
    ("c7-region-in-dpc", &[TRIMMED, NEVER], Some((0xC7, [P::Is(4), P::At("FatalDpc"), P::Is(0), P::Is(0xFFFF_FFFF)])), &["irql-limit"]),
    ("c7-region-in-timer-dpc", &[TRIMMED, NEVER], Some((0xC7, [P::Is(5), P::At("FatalDpc"), P::Is(0), P::Is(0xFFFF_FFFF)])), &["irql-limit"]),
    ("01-region-in-request", &[VERIFIED], Some((0xC4, [P::Is(0xC5), P::At("FatalDeviceControl"), P::Is(0xFFFF_FFFF), P::Is(0)])), &[]),
    ("01-region-in-request", &[TRIMMED, NEVER], Some((0x01, [P::Service("NtDeviceIoControlFile"), P::Is(0), P::Is(0xFFFF), P::Is(0)])), &[]),
    ("01-region-in-worker", ANY, Some((0x01, [P::At("FatalWork"), P::Is(0), P::Is(0xFFFF), P::Is(1)])), &[]),
    ("4a-returns-raised", &[VERIFIED], Some((0xC4, [P::Is(0x0002_001D), P::Some, P::Is(0), P::Is(0)])), &[]),
    ("4a-returns-raised", &[TRIMMED, NEVER], Some((0x4A, [P::Service("NtDeviceIoControlFile"), P::Is(DISPATCH), P::Is(0), P::Is(0)])), &[]),
    ("c8-isr-raised", &[TRIMMED, NEVER], Some((0xC8, [P::Is(0xF_0A03), P::At("FatalInterrupt"), P::Some, P::Is(0)])), &[]),
    ("c4-mdl-of-pageable-data", &[VERIFIED], Some((0xC4, [P::Is(0x140), P::Is(0), P::Some, P::At("C4Buffer")])), &[]),
    ("c4-mdl-of-pageable-data", &[TRIMMED], Some((0x1A, [P::Is(0x1240), P::Some, P::Pte("C4Buffer"), P::Is(0)])), &[]),
    ("c4-mdl-of-pageable-data", &[NEVER], None, &["K13"]),
    ("76-unlocks-twice", &[VERIFIED], Some((0xC4, [P::Is(0x7C), P::Some, P::Is(0), P::Is(0)])), &[]),
    ("76-unlocks-twice", &[TRIMMED, NEVER], Some((0x76, [P::Is(1), P::Some, P::Is(0), P::Is(0)])), &[]),
    // Pages that nobody keeps in memory: described, mapped, unlocked.
    ("1a-maps-paged-pool", &[VERIFIED], Some((0xC4, [P::Is(0x83), P::Some, P::Is(0x1000), P::Some])), &[]),
    ("1a-maps-paged-pool", &[TRIMMED, NEVER], Some((0x1A, [P::Is(0x1233), P::Some, P::Is(0), P::Is(0)])), &[]),
    ("1a-protects-unmapped", ANY, Some((0x1A, [P::Is(0x1235), P::Some, P::Some, P::Is(0)])), &[]),
    ("1a-maps-unlocked", &[VERIFIED], Some((0xC4, [P::Is(0xB3), P::Some, P::Is(0), P::Some])), &[]),
    ("1a-maps-unlocked", &[TRIMMED, NEVER], Some((0x1A, [P::Is(0x1236), P::Some, P::Some, P::Some])), &[]),
    ("1a-maps-unfilled", &[VERIFIED], Some((0xC4, [P::Is(0xB3), P::Some, P::Is(0), P::Some])), &[]),
    ("1a-maps-unfilled", &[TRIMMED, NEVER], Some((0x1A, [P::Is(0x1236), P::Some, P::Some, P::Some])), &[]),
    ("1a-unlocks-device-twice", &[VERIFIED], Some((0xC4, [P::Is(0x6F), P::Some, P::Is(0xFE0_0000), P::Is(8192 + 0x60)])), &[]),
    ("1a-unlocks-device-twice", &[TRIMMED, NEVER], Some((0x1A, [P::Is(0x6_1948), P::Is(0xFE0_0000), P::Is(1), P::Is(0xFE0_0000)])), &[]),
    ("4e-unlocks-twice", &[VERIFIED], Some((0xC4, [P::Is(0x7C), P::Some, P::Is(0), P::Is(0)])), &[]),
    ("4e-unlocks-twice", &[TRIMMED, NEVER], Some((0x4E, [P::Is(7), P::Some, P::Is(0), P::Is(0)])), &[]),
    ("da-unmaps-twice", &[VERIFIED], Some((0xC4, [P::Is(0xB6), P::Some, P::Some, P::Is(1)])), &[]),
    ("da-unmaps-twice", &[TRIMMED, NEVER], Some((0xDA, [P::Is(6), P::Some, P::Some, P::Is(2)])), &[]),
    ("12e-part-outside", ANY, Some((0x12E, [P::Some, P::Some, P::Is(0x1000), P::Is(0x1000)])), &[]),
    ("40-part-too-large", ANY, Some((0x40, [P::Is(0); 4])), &[]),
    ("e1-worker-raised", ANY, Some((0xE1, [P::At("FatalWork"), P::Is(DISPATCH), P::Is(0), P::Some])), &[]),
    ("e4-work-item-in-freed-pool", ANY, Some((0xE4, [P::Is(0), P::Some, P::Some, P::Some])), &[]),
    ("e4-work-item-queued-twice", ANY, Some((0xE4, [P::Is(1), P::Some, P::Is(1), P::Is(0)])), &[]),
    ("e4-frees-queued-work-item", ANY, Some((0xE4, [P::Is(2), P::Some, P::At("FatalWork"), P::Is(0)])), &[]),
    // Pool that is given back wrongly.
    ("c2-freed-twice", &[VERIFIED], Some((0xC4, [P::Is(0x16), P::Is(0), P::Some, P::Is(0)])), &[]),
    ("c2-freed-twice", &[TRIMMED, NEVER], Some((0xC2, [P::Is(0x44), P::Some, P::Is(0), P::Is(0)])), &[]),
    ("c2-paged-freed-twice", &[VERIFIED], Some((0xC4, [P::Is(0x16), P::Is(0), P::Some, P::Is(0)])), &[]),
    ("c2-paged-freed-twice", &[TRIMMED, NEVER], Some((0xC2, [P::Is(0x48), P::Some, P::Is(0), P::Is(0)])), &[]),
    ("c2-wrong-tag", ANY, Some((0xC2, [P::Is(0xA), P::Some, P::Is(0x6C74_6146), P::Is(0x6574_6146)])), &[]),
    ("c2-inside-a-block", &[VERIFIED], Some((0xC4, [P::Is(0x10), P::Some, P::Is(0), P::Is(0)])), &[]),
    ("c2-inside-a-block", &[TRIMMED, NEVER], Some((0xC2, [P::Is(0x46), P::Some, P::Is(0), P::Is(0)])), &[]),
    ("c2-never-pool", &[VERIFIED], Some((0xC4, [P::Is(0x10), P::At("FatalFew"), P::Is(0), P::Is(0)])), &[]),
    ("c2-never-pool", &[TRIMMED, NEVER], Some((0xC2, [P::Is(0x42), P::At("FatalFew"), P::Is(0), P::Is(0)])), &[]),
    ("c2-of-the-program", &[VERIFIED], Some((0xC4, [P::Is(0x10), P::Some, P::Is(0), P::Is(0)])), &[]),
    ("c2-of-the-program", &[TRIMMED, NEVER], Some((0xC2, [P::Is(0x40), P::Some, P::Is(0xFFFF_8000_0000_0000), P::Is(0)])), &[]),
    ("c2-physical-address", ANY, Some((0xC2, [P::Is(0x60), P::Some, P::Is(0), P::Is(0)])), &[]),
    // Requests that are sent on or completed wrongly.
    ("35-no-location", ANY, Some((0x35, [P::Some, P::Is(0), P::Is(0), P::Is(0)])), &[]),
    ("44-completed-twice", ANY, Some((0x44, [P::Some, P::Is(0), P::Is(0), P::Is(0)])), &[]),
    // What ExInterlocked routines touch, interrupts masked.
    ("d3-interlocked-list", STRICT, Some((0xD3, [P::Within("FatalList"), P::Is(15), P::Is(0), P::Some])), &[]),
    ("d3-interlocked-list", &[NEVER], None, &["K13"]),
    ("0a-interlocked-entry-in-pool", STRICT, Some((0x0A, [P::Some, P::Is(15), P::Is(1), P::Some])), &[]),
    ("0a-interlocked-entry-in-pool", &[NEVER], None, &["K13"]),
    ("k11-interlocked-lock", STRICT, Some((0xD3, [P::At("FatalListLock"), P::Is(15), P::Is(1), P::Some])), &["K11"]),
    ("k11-interlocked-lock", &[NEVER], None, &["K11", "K13"]),
    // Only special pool sees these (tests/ui).
    ("d5-reads-freed-pool", ANY, None, &[]),
    ("d6-writes-beyond-pool", ANY, None, &[]),
    ("d6-writes-before-pool", ANY, None, &[]),
    ("cc-string-in-freed-pool", ANY, None, &[]),
    ("cd-string-without-end", ANY, None, &[]),
    ("c1-overrun", ANY, None, &[]),
    ("c1-underrun", ANY, None, &[]),
    ("c1-one-bit", ANY, None, &[]),
    // Only code integrity checks see that (tests/ui).
    ("c4-executable-pool", ANY, None, &[]),
    ("c4-imports-in-code", ANY, None, &[]),
    ("f7-stack-buffer", ANY, Some((0xF7, [P::Some, P::Is(0x5A17_C0DE_F00D), P::Is(!0x5A17_C0DE_F00D), P::Is(0)])), &[]),
    // The verifier names what a routine did before its count is looked at.
    ("c7-region-in-dpc", &[VERIFIED], Some((0xC4, [P::Is(0x11A), P::Is(DISPATCH), P::Is(0), P::Is(0)])), &[]),
    ("c8-isr-raised", &[VERIFIED], Some((0xC4, [P::Is(0x111), P::At("FatalInterrupt"), P::Is(DIRQL), P::Is(15)])), &[]),
    // K17 and K27 are seen in the image alone.
    ("x31-mixed-section", ANY, None, &[]),
];

/// What is wrong with a row.
fn judge(lab: &mut Lab, driver: &str, life: &[Act], expected: Option<&Check>, codes: &[&str]) -> Vec<String> {
    let end = lead(lab, driver, life);
    let mut wrong = match (&end, expected) {
        (Err(stop), Some(expected)) => differences(lab, &bug_check(stop), expected),
        (Err(stop), None) => vec![format!("a stop: {:x?}", stop.kind)],
        (Ok(()), Some(_)) => vec!["no bug check".to_owned()],
        (Ok(()), None) => Vec::new(),
    };
    let found: Vec<_> = lab.codes().into_iter().collect();
    if found != codes {
        wrong.push(format!("findings {found:?} for {codes:?}"));
    }
    wrong
}

#[test]
fn x01_to_x31_each_broken_driver_gets_the_diagnosis_of_its_file() {
    let mut wrong = Vec::new();
    for (driver, setups, expected, codes) in ROWS {
        for (setup, image) in setups.iter().flat_map(|setup| alignments(driver).map(move |image| (setup, image))) {
            let found = judge(&mut Lab::new(*setup), &image, life(driver), expected.as_ref(), codes);
            let at = format!("{image}, {:?}, verifier {}", setup.trim, setup.verifier.verified);
            wrong.extend(found.into_iter().map(|what| format!("{at}: {what}")));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// D11: without poison the bytes are what they were, and the run goes on; running or touching them is K12 all the same.
#[test]
fn d11_without_poison_what_is_used_is_seen_and_goes_on() {
    use engine::Access::{Execute, Read, Write};
    let used = [
        ("x06-init-after-discard-shared", "X06Setup", Execute),
        ("x06-init-data-shared", "X06Table+0x4", Read),
        ("x06-init-written-shared", "X06Table+0x4", Write),
    ];
    for (driver, what, how) in used {
        let options = kernel::Options { poison: false, ..kernel::Options::default() };
        let mut lab = Lab::with(options, memory::MemoryConfig::default(), devices::Bus::new());
        lead(&mut lab, driver, life(driver)).expect("no bug check");
        let found = lab.findings().into_iter().map(|finding| match finding.kind {
            kernel::FindingKind::K12InitUseAfterDiscard { address, access } => (lab.symbol(address), access),
            other => panic!("{driver}: {other:?}"),
        });
        assert_eq!(found.collect::<Vec<_>>(), [(what.to_owned(), how)], "{driver}");
    }
}

/// D16: which reason, and for what.
#[test]
fn x14_locks_what_is_no_section() {
    for (input, value, reason) in [(0, P::At("DriverEntry"), 3), (1, P::Some, 1), (2, P::Some, 2), (3, P::Is(0), 4)] {
        let expected = (0x1A, [P::Is(0x1234), value, P::Is(reason), P::Within("X14LockAndUnlock")]);
        for (setup, image) in ANY.iter().flat_map(|setup| alignments("x14-lock-of-nothing").map(move |i| (setup, i))) {
            let life = [Act::Open, Act::Ioctl(input)];
            let wrong = judge(&mut Lab::new(*setup), &image, &life, Some(&expected), &[]);
            assert!(wrong.is_empty(), "{image}, input {input}: {wrong:?}");
        }
    }
}

/// D39: the second parameter is a text that names the routine.
#[test]
fn x13_names_the_rule() {
    let mut lab = Lab::new(VERIFIED);
    let stop = lead(&mut lab, "x13-lock-in-dpc", life("x13-lock-in-dpc")).expect_err("the verifier stops it");
    let [_, text, ..] = bug_check(&stop).parameters;
    let bytes = lab.machine.read_bytes(nt_types::Va(text), 28).expect("the text is there");
    assert_eq!(String::from_utf8_lossy(&bytes), "MmLockPagableSectionByHandle");
}

/// R57, D28: a driver that fails to start is unmapped without Unload, and what it locked is lost.
#[test]
fn x26_fails_to_start_with_a_lock() {
    let mut lab = Lab::new(TRIMMED);
    let base = lab.load("broken/x26-lock-and-fail").expect("no bug check");
    assert!(lab.machine.modules().driver_at(base).is_none());
    let unload =
        |event: &kernel::Event| matches!(event.kind, kernel::EventKind::Entered { what: kernel::Routine::Unload, .. });
    assert!(!lab.machine.events.iter().any(unload));
    let leaked = lab.machine.events.iter().find_map(|event| match event.kind {
        kernel::EventKind::Unloaded { leaked_pages, .. } => Some(leaked_pages),
        _ => None,
    });
    assert!(leaked.is_some_and(|pages| pages > 0), "{leaked:?}");
}
