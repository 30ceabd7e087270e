//! Options of Driver Verifier, as its own command line spells them (R187, R188).

use std::str::FromStr;

use kernel::{LowResources, Verifier};
use nt_types::verifier::{
    CODE_INTEGRITY_CHECKS, DDI_COMPLIANCE_CHECKING, FORCE_IRQL_CHECKING, IO_VERIFICATION, LOW_RESOURCES_SIMULATION,
    POOL_TRACKING, SPECIAL_POOL, VerifierOption,
};

/// What `--verifier` alone stands for.
pub(crate) const DEFAULT_FLAGS: &str = "0x20012";

/// `--verifier=FLAGS`. Without a flag there are still the automatic checks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct VerifierFlags(u32);

const MODELLED: [VerifierOption; 7] = [
    SPECIAL_POOL,
    FORCE_IRQL_CHECKING,
    LOW_RESOURCES_SIMULATION,
    POOL_TRACKING,
    IO_VERIFICATION,
    DDI_COMPLIANCE_CHECKING,
    CODE_INTEGRITY_CHECKS,
];

impl VerifierFlags {
    /// The flags as they are written.
    pub(crate) fn text(self) -> String {
        format!("{:#x}", self.0)
    }

    /// What low resources simulation is on with, if `--faults` says nothing else.
    pub(crate) fn low_resources(self) -> Option<LowResources> {
        self.has(LOW_RESOURCES_SIMULATION).then(LowResources::default)
    }

    pub(crate) fn options(self) -> Verifier {
        Verifier {
            verified: true,
            special_pool: self.has(SPECIAL_POOL),
            force_irql: self.has(FORCE_IRQL_CHECKING),
            pool_tracking: self.has(POOL_TRACKING),
            io: self.has(IO_VERIFICATION),
            ddi_compliance: self.has(DDI_COMPLIANCE_CHECKING),
            code_integrity: self.has(CODE_INTEGRITY_CHECKS),
        }
    }

    fn has(self, option: VerifierOption) -> bool {
        option.flag.is_some_and(|flag| self.0 & flag != 0)
    }

    /// The lowest flag that is not modelled.
    fn unknown(self) -> Option<u32> {
        let modelled = MODELLED.iter().filter_map(|option| option.flag).fold(0, |all, flag| all | flag);
        let unknown = self.0 & !modelled;
        (unknown != 0).then(|| 1 << unknown.trailing_zeros())
    }
}

impl FromStr for VerifierFlags {
    type Err = String;

    fn from_str(text: &str) -> Result<VerifierFlags, String> {
        let flags = match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => text.parse(),
        };
        let flags = VerifierFlags(flags.map_err(|_| "expected flags as in `verifier /flags`, such as 0x2".to_owned())?);
        match flags.unknown() {
            None => Ok(flags),
            Some(flag) => Err(format!("flag {flag:#x} is not modelled; {} are", known())),
        }
    }
}

fn known() -> String {
    let named = MODELLED.iter().filter_map(|option| Some(format!("{:#x} ({})", option.flag?, option.name)));
    named.collect::<Vec<_>>().join(", ")
}

/// `--faults=CHANCES,MINUTES`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Faults(pub(crate) LowResources);

impl Faults {
    /// As it is written.
    pub(crate) fn text(self) -> String {
        format!("{},{}", self.0.chances, self.0.delay_ns / MINUTE_NS)
    }
}

const MINUTE_NS: u64 = 60 * 1_000_000_000;

impl FromStr for Faults {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Faults, &'static str> {
        const PROBLEM: &str = "expected chances in 10000 and a delay in minutes, as in 600,8";
        let (chances, minutes) = text.split_once(',').ok_or(PROBLEM)?;
        let chances = chances.parse().ok().filter(|chances| *chances <= 10_000).ok_or(PROBLEM)?;
        let minutes: u32 = minutes.parse().map_err(|_| PROBLEM)?;
        Ok(Faults(LowResources { chances, delay_ns: u64::from(minutes) * MINUTE_NS }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R187: flags are those of `verifier /flags`, in any combination; what is not modelled is refused by its number.
    #[test]
    fn r187_flags_of_the_command_line() {
        let flags = |text: &str| VerifierFlags::from_str(text);
        let options = |text: &str| flags(text).map(VerifierFlags::options);
        assert_eq!(options(DEFAULT_FLAGS), Ok(Verifier::ON));
        let alone = Verifier { verified: true, ..Verifier::OFF };
        assert_eq!(options("0"), Ok(alone));
        assert_eq!(options("0x9"), Ok(Verifier { special_pool: true, pool_tracking: true, ..alone }));
        assert_eq!(options("0x2"), Ok(Verifier { force_irql: true, ..alone }));
        assert_eq!(options("0x10"), Ok(Verifier { io: true, ..alone }));
        assert_eq!(options("0x20000"), Ok(Verifier { ddi_compliance: true, ..alone }));
        assert_eq!(options("0x2000000"), Ok(Verifier { code_integrity: true, ..alone }));
        assert_eq!(flags("131078").map(VerifierFlags::text), Ok("0x20006".to_owned()));
        for (refused, flag) in [("0x21", "0x20"), ("0x1000000", "0x1000000"), ("0x2002a", "0x20"), ("0x20c0", "0x40")] {
            let problem = flags(refused).expect_err("it is not modelled");
            assert!(
                problem.starts_with(&format!(
                    "flag {flag} is not modelled; 0x1 (Special pool), 0x2 (Force IRQL checking)"
                )),
                "{problem}"
            );
        }
        assert!(["", "x", "-1", "0x100000000"].iter().all(|text| flags(text).is_err()));
    }

    /// R188: 0x4 lets 6 % of the allocations fail after 8 minutes, unless `--faults` says otherwise.
    #[test]
    fn r188_defaults_of_low_resources_simulation() {
        let low = VerifierFlags(0x4).low_resources().expect("it is on");
        assert_eq!(Faults(low).text(), "600,8");
        assert_eq!(VerifierFlags(0x20002).low_resources(), None);
        assert_eq!(
            Faults::from_str("10000,0").map(|faults| faults.0),
            Ok(LowResources { chances: 10_000, delay_ns: 0 })
        );
        assert!(["", "600", "10001,0", "1,-1"].iter().all(|text| Faults::from_str(text).is_err()));
    }
}
