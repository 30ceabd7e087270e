//! Rule HwStorPortProhibitedDDIs (R144; docs: devtest/storport-hwstorportprohibitedddis).

/// The routines that a physical Storport miniport should not call at any IRQL, sorted, one a line.
const PROHIBITED: &str = include_str!("storport/prohibited_ddis.txt");

/// The routines of the rule, in the order of their names.
pub fn prohibited_ddis() -> impl Iterator<Item = &'static str> {
    PROHIBITED.lines()
}

#[cfg(test)]
mod tests {
    use super::prohibited_ddis;

    /// R144: 351 routines, by prefix as the specification counts them; the section routines among them, but not the macro.
    #[test]
    fn r144_the_list() {
        let prefixes = [
            ("Cm", 3),
            ("Ex", 49),
            ("Hal", 2),
            ("Io", 80),
            ("Ke", 74),
            ("Mm", 19),
            ("Ob", 10),
            ("Po", 2),
            ("Probe", 2),
            ("Ps", 8),
            ("Rtl", 1),
            ("Se", 6),
            ("Zw", 95),
        ];
        for (prefix, number) in prefixes {
            assert_eq!(prohibited_ddis().filter(|name| name.starts_with(prefix)).count(), number, "{prefix}");
        }
        assert_eq!(prohibited_ddis().count(), 351);
        assert!(prohibited_ddis().is_sorted() && prohibited_ddis().zip(prohibited_ddis().skip(1)).all(|(a, b)| a != b));
        for name in [
            "KeFlushQueuedDpcs",
            "MmLockPagableDataSection",
            "MmLockPagableSectionByHandle",
            "MmPageEntireDriver",
            "MmResetDriverPaging",
            "MmUnlockPagableImageSection",
        ] {
            assert!(prohibited_ddis().any(|other| other == name), "{name}");
        }
        assert!(!prohibited_ddis().any(|name| name == "MmLockPagableCodeSection"));
    }
}
