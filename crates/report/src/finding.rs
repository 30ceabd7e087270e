//! The checker's findings, K01 to K28 (BEHAVIOUR.md section 10), and A01 and so on, which only the audit has.

macro_rules! findings {
    ($($variant:ident $id:literal $name:literal,)*) => {
        /// A checker finding.
        #[expect(missing_docs, reason = "each has a long form, `nonpaged explain`")]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Finding { $($variant,)* }

        impl Finding {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Finding] = &[$(Finding::$variant,)*];

            /// The number that reports bear; it never changes.
            pub const fn id(self) -> &'static str {
                match self { $(Finding::$variant => $id,)* }
            }

            /// The name: a noun phrase that reads after "allow".
            pub const fn name(self) -> &'static str {
                match self { $(Finding::$variant => $name,)* }
            }
        }
    };
}

findings! {
    LockNonpageable "K01" "lock-nonpageable",
    MmIrql "K02" "mm-irql",
    PageEntireWithInterrupt "K03" "page-entire-with-interrupt",
    ResetWithInterrupt "K04" "reset-with-interrupt",
    UnloadWithLocks "K05" "unload-with-locks",
    ForeignLock "K06" "foreign-lock",
    HandleDereferenced "K07" "handle-dereferenced",
    UnlockWithQueuedIrps "K08" "unlock-with-queued-irps",
    IsrPageable "K09" "isr-pageable",
    DpcPageable "K10" "dpc-pageable",
    ObjectPageable "K11" "object-pageable",
    InitUseAfterDiscard "K12" "init-use-after-discard",
    LatentFault "K13" "latent-fault",
    WaitTruePageable "K14" "wait-true-pageable",
    PageableNowhere "K15" "pageable-nowhere",
    SuspiciousName "K16" "suspicious-name",
    MixedSection "K17" "mixed-section",
    RepeatLockByAddress "K18" "repeat-lock-by-address",
    PageEntireRace "K19" "page-entire-race",
    UnloadDuringCall "K20" "unload-during-call",
    CompletionPageable "K21" "completion-pageable",
    WorkItemPageable "K22" "workitem-pageable",
    PagingPathPageable "K23" "paging-path-pageable",
    ProhibitedDdi "K24" "prohibited-ddi",
    LockOfInit "K25" "lock-of-init",
    RaiseInPageable "K26" "raise-in-pageable",
    SmallPageable "K27" "small-pageable",
    NoModule "K28" "no-module",
    UnlockWithoutLock "A01" "unlock-without-lock",
    PagedCodeFails "A02" "paged-code-fails",
    PagedCodeInNonpaged "A03" "paged-code-in-nonpaged",
    PagedCodeMissing "A04" "paged-code-missing",
    WritableCode "A05" "writable-code",
}

#[cfg(test)]
mod tests {
    use super::Finding;

    #[test]
    fn numbers_are_consecutive() {
        for letter in ['K', 'A'] {
            let ids = Finding::ALL.iter().map(|finding| finding.id()).filter(|id| id.starts_with(letter));
            for (index, id) in ids.enumerate() {
                assert_eq!(id, format!("{letter}{:02}", index + 1));
            }
        }
    }
}
