//! Options of Driver Verifier, as its own command line spells them (R187, R188).

use std::str::FromStr;

use kernel::LowResources;
use nt_types::verifier::{DDI_COMPLIANCE_CHECKING, FORCE_IRQL_CHECKING, LOW_RESOURCES_SIMULATION, VerifierOption};

/// What `--verifier` alone stands for.
pub(crate) const DEFAULT_FLAGS: &str = "0x20002";

/// `--verifier=FLAGS`. Force IRQL checking and DDI compliance checking are modelled together only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct VerifierFlags(u32);

const fn bit(option: VerifierOption) -> u32 {
    match option.flag {
        Some(flag) => flag,
        None => 0,
    }
}

const TOGETHER: u32 = bit(FORCE_IRQL_CHECKING) | bit(DDI_COMPLIANCE_CHECKING);
const MODELLED: u32 = TOGETHER | bit(LOW_RESOURCES_SIMULATION);

impl VerifierFlags {
    /// The flags as they are written.
    pub(crate) fn text(self) -> String {
        format!("{:#x}", self.0)
    }

    /// What low resources simulation is on with, if `--faults` says nothing else.
    pub(crate) fn low_resources(self) -> Option<LowResources> {
        (self.0 & bit(LOW_RESOURCES_SIMULATION) != 0).then(LowResources::default)
    }
}

impl FromStr for VerifierFlags {
    type Err = String;

    fn from_str(text: &str) -> Result<VerifierFlags, String> {
        let flags = match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => text.parse(),
        };
        match flags {
            Ok(flags) if flags & !MODELLED == 0 && flags & TOGETHER == TOGETHER => Ok(VerifierFlags(flags)),
            _ => {
                Err("0x20002 is modelled (0x2 Force IRQL checking with 0x20000 DDI compliance checking), and 0x4 (low \
                      resources simulation) with it"
                    .to_owned())
            }
        }
    }
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

    /// R187: flags are those of `verifier /flags`; what is not modelled is refused.
    #[test]
    fn r187_flags_of_the_command_line() {
        let flags = |text: &str| VerifierFlags::from_str(text).map(VerifierFlags::text).ok();
        assert_eq!(flags(DEFAULT_FLAGS).as_deref(), Some("0x20002"));
        assert_eq!(flags("131078").as_deref(), Some("0x20006"));
        for refused in ["0x2", "0x20000", "0x2000000", "0x20003", "", "x", "-1"] {
            assert_eq!(flags(refused), None, "{refused}");
        }
    }

    /// R188: 0x4 lets 6 % of the allocations fail after 8 minutes, unless `--faults` says otherwise.
    #[test]
    fn r188_defaults_of_low_resources_simulation() {
        let low = VerifierFlags(0x20006).low_resources().expect("it is on");
        assert_eq!(Faults(low).text(), "600,8");
        assert_eq!(VerifierFlags(0x20002).low_resources(), None);
        assert_eq!(
            Faults::from_str("10000,0").map(|faults| faults.0),
            Ok(LowResources { chances: 10_000, delay_ns: 0 })
        );
        assert!(["", "600", "10001,0", "1,-1"].iter().all(|text| Faults::from_str(text).is_err()));
    }
}
