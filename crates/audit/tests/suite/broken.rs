//! Each broken driver shows its mistake to the audit, and its repaired twin shows nothing.

use crate::common::{drivers, findings};

#[track_caller]
fn shows(name: &str, expected: &[&str]) {
    let file = |name: &str| drivers().join("broken").join(format!("{name}.sys"));
    assert_eq!(findings(&file(name)), expected, "{name}");
    assert_eq!(findings(&file(&format!("{name}-fixed"))), [""; 0], "the repaired twin of {name}");
}

macro_rules! broken {
    ($($test:ident $name:literal [$($expected:literal),*])*) => {
        $(#[test] fn $test() { shows($name, &[$($expected),*]); })*
    };
}

broken! {
    x01_k26_spin_lock_in_page "x01-spin-lock-in-page" ["X01Callback: RaiseInPageable"]
    x02_k26_inlined_helper "x02-inlined-helper" ["X02Query: RaiseInPageable"]
    x03_k13_helper_in_paged_file "x03-helper-in-paged-file" ["X03Dpc: PageableCode"]
    x04_k26_inlined_raise "x04-inlined-raise" ["X04Locked: RaiseInPageable"]
    x05_k13_dpc_reads_pagedata "x05-dpc-reads-pagedata" ["X05Dpc: PageableData", "X05Dpc: PageableData"]
    x05_k13_dpc_writes_pagedata "x05-dpc-writes-pagedata" ["X05Dpc: PageableData"]
    x06_k12_init_after_discard "x06-init-after-discard" ["X06Resume: Discarded"]
    x06_k12_init_in_shared_page "x06-init-after-discard-shared" ["X06Resume: Discarded"]
    x06_k12_init_at_dispatch "x06-init-at-dispatch" ["X06Resume: Discarded"]
    x06_k12_init_data "x06-init-data" ["X06Resume: Discarded"]
    x06_k12_init_written_in_shared_page "x06-init-written-shared" ["X06Resume: Discarded"]
    x06_k12_init_kept_in_dpc "x06-init-kept-in-dpc" ["DriverEntry: Discarded"]
    x06_k12_init_kept_in_variable "x06-init-kept-in-variable" ["X06Act: Discarded"]
    x06_k12_init_kept_in_dispatch "x06-init-kept-in-dispatch" ["DriverEntry: Discarded"]
    x06_k12_init_kept_in_extension "x06-init-kept-in-extension" ["X06Act: Discarded"]
    x07_k26_apc_raises "x07-apc-raises" ["X07CountOne: RaiseInPageable"]
    x08_k19_page_entire_race "x08-page-entire-race" ["X08Close: PageEntireRace"]
    x09_k14_set_event_wait "x09-set-event-wait" ["X09DeviceControl: WaitTrue"]
    x09_k14_release_mutex_wait "x09-release-mutex-wait" ["X09DeviceControl: WaitTrue"]
    x10_k05_lock_leak "x10-lock-leak" ["X10Unload: UnloadWithLocks"]
    x11_a01_unlock_twice "x11-unlock-twice" ["X11DeviceControl: UnlockWithoutLock"]
    x13_k02_lock_in_dpc "x13-lock-in-dpc" ["X13Dpc: AboveApc"]
    x14_lock_of_nothing "x14-lock-of-nothing" ["X14LockAndUnlock: Discarded", "X14LockAndUnlock: NoModule", "X14LockAndUnlock: NoSection", "X14LockAndUnlock: NullHandle"]
    x15_k11_timer_in_pagedata "x15-timer-in-pagedata" ["X15DeviceControl: Object", "X15DeviceControl: Object"]
    x16_k03_page_while_connected "x16-page-while-connected" ["X16Page: PageEntireWithInterrupt"]
    x16_k03_own_lock "x16-own-lock" ["X16Page: PageEntireWithInterrupt"]
    x16_k04_connect_before_reset "x16-connect-before-reset" ["SampleConnectInterrupt: ConnectBeforeReset"]
    x17_k01_k13_locks_a_thunk "x17-locks-a-thunk" ["X17Thunk: PageableCode", "X17DeviceControl: LockNonpageable"]
    x18_k13_locks_the_other_section "x18-locks-the-other-section" ["X18First: PageableCode"]
    x19_k09_isr_pageable "x19-isr-pageable" ["X19Interrupt: Isr"]
    x19_k09_a01_isr_unlocked "x19-isr-unlocked" ["X19DeviceControl: UnlockWithoutLock", "X19Interrupt: Isr"]
    x22_k21_completion_in_page "x22-completion-in-page" ["X22Completed: Completion"]
    x22_k22_work_item_in_paged_pool "x22-work-item-in-paged-pool" ["X22Run: WorkItem"]
    x26_k05_lock_and_fail "x26-lock-and-fail" ["DriverEntry: UnloadWithLocks"]
    x27_k07_handle_is_no_pointer "x27-handle-is-no-pointer" ["X27DeviceControl: HandleDereferenced"]
    x28_k10_dpc_pageable "x28-dpc-pageable" ["X28Dpc: Dpc"]
    line_error_k13 "x47-line-error" ["X47Create: PageableCode"]
    x30_k25_locked_init "x30-locked-init" ["DriverEntry: LockOfInit"]
    k02_lock_by_address_in_dpc "k02-lock-by-address-in-dpc" ["K02Lock: AboveApc"]
    k02_unlock_in_dpc "k02-unlock-in-dpc" ["K02Unlock: AboveApc"]
    k10_timer_pageable "k10-timer-pageable" ["K10Tick: Dpc"]
    k10_io_timer_pageable "k10-io-timer-pageable" ["K10DeviceTick: Dpc"]
    k12_discarded_string "k12-dpc-uses-discarded-string" ["K13Dpc: Discarded"]
    k12_discarded_table "k12-dpc-uses-discarded-table" ["K13Dpc: Discarded"]
    k12_discarded_jump_table "k12-dpc-uses-discarded-jump-table" ["K13Dpc: Discarded"]
    k12_discarded_constant "k12-dpc-uses-discarded-constant-pool" ["K13Dpc: Discarded"]
    k13_irql_wrong_way "k13-irql-wrong-way" ["K13Report: PageableCode"]
    k13_pageable_string "k13-dpc-uses-pageable-string" ["K13Dpc: PageableData"]
    k13_pageable_table "k13-dpc-uses-pageable-table" ["K13Dpc: PageableData"]
    k13_pageable_jump_table "k13-dpc-uses-pageable-jump-table" ["K13Dpc: PageableData"]
    k13_pageable_import "k13-dpc-uses-pageable-import" ["K13Dpc: PageableData"]
    k13_pageable_constant "k13-dpc-uses-pageable-constant-pool" ["K13Dpc: PageableData"]
    k13_cancel_pageable "k13-cancel-pageable" ["K13Cancel: PageableCode"]
    k14_release_semaphore_wait "x09-release-semaphore-wait" ["X09DeviceControl: WaitTrue"]
    k28_pages_pool "k28-pages-pool" ["DriverEntry: NoModule"]
    k05_add_device_fails "k05-add-device-fails" ["K05AddDevice: UnloadWithLocks"]
    x33_k05_lock_leak_on_error "x33-lock-leak-on-error" ["X33Create: UnloadWithLocks"]
    k05_device_deleted "k05-device-deleted" ["DeletedAddDevice: UnloadWithLocks"]
    k05_never_unlocked "k05-never-unlocked" ["NeverCreate: UnloadWithLocks"]
    k13_helper_returns_raised "k13-helper-returns-raised" ["HelpedRequest: PageableCode"]
    k05_left_in_extension "k05-left-in-extension" ["LockOpened: UnloadWithLocks"]
    x11_a01_unlock_twice_by_extension "x11-unlock-twice-by-extension" ["LockClosed: UnlockWithoutLock"]
    x14_unlocks_an_empty_field "x14-unlocks-an-empty-field" ["LockClosed: NullHandle"]
    x18_k13_locks_by_the_other_handle "x18-locks-by-the-other-handle" ["LockRequest: PageableCode"]
    k05_left_in_block "k05-left-in-block" ["DriverEntry: UnloadWithLocks"]
    x10_k05_locked_twice "x10-locked-twice" ["DriverEntry: UnloadWithLocks"]
    x11_a01_unlock_twice_in_close "x11-unlock-twice-in-close" ["BalanceClose: TooManyUnlocks"]
    x11_a01_unlock_twice_in_request "x11-unlock-twice-in-request" ["BalanceRequest: TooManyUnlocks"]
    x11_a01_unlock_twice_on_one_way "x11-unlock-twice-on-one-way" ["BalanceRequest: TooManyUnlocks"]
    x10_k05_open_locks_twice "x10-open-locks-twice" ["BalanceCreate: UnloadWithLocks"]
    x26_k05_result_fails "x26-result-fails" ["DriverEntry: UnloadWithLocks"]
    x33_k05_left_on_one_way "x33-left-on-one-way" ["BalanceRequest: UnloadWithLocks"]
    x33_k05_result_fails "x33-result-fails" ["BalanceCreate: UnloadWithLocks"]
    k05_unload_skips_unlock "k05-unload-skips-unlock" ["BalanceUnload: UnloadWithLocks"]
    k28_pages_nothing "k28-pages-nothing" ["DriverEntry: NoModule"]
}

/// What the audit does not see: `docs/audit-limits.md` says why.
#[test]
fn gaps_are_those_that_are_written_down() {
    let unseen = [
        "x12-stale-handle",
        "x20-unlock-with-pended-irp",
        "x21-unload-with-timer",
        "x21-unload-with-work-item",
        "x25-foreign-unlock",
        "x29-unload-during-lock",
    ];
    for name in unseen {
        shows(name, &[]);
    }
}
