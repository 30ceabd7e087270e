//! Options of Driver Verifier (R187, R188; docs: devtest/verifier-command-line, devtest/low-resources-simulation).

/// An option, as `verifier /flags` and `verifier /ruleclasses` name it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VerifierOption {
    /// Its name in the documentation.
    pub name: &'static str,
    /// Its bit for `/flags`; `None` for what is a rule class only.
    pub flag: Option<u32>,
    /// Its number for `/ruleclasses`.
    pub rule_class: u32,
    /// One of the options of `/standard`.
    pub standard: bool,
}

/// Gives blocks of pool pages of their own.
pub const SPECIAL_POOL: VerifierOption =
    VerifierOption { name: "Special pool", flag: Some(0x1), rule_class: 1, standard: true };
/// Wants all pool freed at unload.
pub const POOL_TRACKING: VerifierOption =
    VerifierOption { name: "Pool tracking", flag: Some(0x8), rule_class: 4, standard: true };
/// Trims all pageable memory before each raise of the IRQL.
pub const FORCE_IRQL_CHECKING: VerifierOption =
    VerifierOption { name: "Force IRQL checking", flag: Some(0x2), rule_class: 2, standard: true };
/// Fails allocations at random.
pub const LOW_RESOURCES_SIMULATION: VerifierOption =
    VerifierOption { name: "Randomized low resources simulation", flag: Some(0x4), rule_class: 3, standard: false };
/// Checks what drivers do with requests.
pub const IO_VERIFICATION: VerifierOption =
    VerifierOption { name: "I/O verification", flag: Some(0x10), rule_class: 5, standard: true };
/// Checks the rules of single routines.
pub const DDI_COMPLIANCE_CHECKING: VerifierOption =
    VerifierOption { name: "DDI compliance checking", flag: Some(0x2_0000), rule_class: 18, standard: true };
/// Wants code that is not writable.
pub const CODE_INTEGRITY_CHECKS: VerifierOption =
    VerifierOption { name: "Code integrity checks", flag: Some(0x200_0000), rule_class: 26, standard: false };
/// More checks of the IRQL.
pub const ADDITIONAL_IRQL_CHECKING: VerifierOption =
    VerifierOption { name: "Additional IRQL checking", flag: None, rule_class: 35, standard: false };

#[cfg(test)]
mod tests {
    use super::*;

    /// R187, R188: flags are single bits, and those that stand for paging and IRQL have the documented numbers.
    #[test]
    fn r187_flags_and_rule_classes() {
        let rows = [
            (SPECIAL_POOL, Some(0x1), 1),
            (POOL_TRACKING, Some(0x8), 4),
            (FORCE_IRQL_CHECKING, Some(0x2), 2),
            (LOW_RESOURCES_SIMULATION, Some(0x4), 3),
            (IO_VERIFICATION, Some(0x10), 5),
            (DDI_COMPLIANCE_CHECKING, Some(0x20000), 18),
            (CODE_INTEGRITY_CHECKS, Some(0x0200_0000), 26),
            (ADDITIONAL_IRQL_CHECKING, None, 35),
        ];
        for (option, flag, class) in rows {
            assert_eq!((option.flag, option.rule_class), (flag, class), "{}", option.name);
            assert!(option.flag.is_none_or(u32::is_power_of_two), "{}", option.name);
        }
        let standard =
            [FORCE_IRQL_CHECKING, DDI_COMPLIANCE_CHECKING, LOW_RESOURCES_SIMULATION].map(|option| option.standard);
        assert_eq!(standard, [true, true, false]);
    }
}
