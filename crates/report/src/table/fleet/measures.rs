//! Sums over many drivers.

use std::collections::BTreeMap;

use super::{Driver, End, Fleet};

/// Sums over many drivers.
#[derive(Clone, PartialEq, Debug)]
pub struct Measures {
    /// Drivers a second of the host's time.
    pub drivers_a_second: f64,
    /// Milliseconds of the host's time a driver.
    pub time_ms: Spread,
    /// The most 4 KiB frames a driver had in use.
    pub frames: Spread,
    /// Of the drivers that NT would load.
    pub all: Shares,
    /// Of those that import from the kernel's images alone.
    pub kernel_only: Shares,
    /// How many ended how.
    pub ends: BTreeMap<&'static str, usize>,
}

/// How far drivers came.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Shares {
    /// So many.
    pub drivers: usize,
    /// Those whose DriverEntry returned a status.
    pub with_status: usize,
    /// Those whose DriverEntry succeeded.
    pub started: usize,
    /// Of these, those that came to the end of the scenario.
    pub whole_life: usize,
}

/// Three points of a distribution.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Spread {
    /// Half of the values are no larger.
    pub median: u64,
    /// 95 of 100 are no larger.
    pub p95: u64,
    /// None is larger.
    pub worst: u64,
}

impl Measures {
    /// The sums of a fleet.
    pub fn of(fleet: &Fleet) -> Measures {
        let drivers = &fleet.drivers;
        let mut ends = BTreeMap::new();
        for driver in drivers {
            *ends.entry(driver.end.word()).or_default() += 1;
        }
        let seconds = fleet.elapsed.as_secs_f64();
        Measures {
            drivers_a_second: if seconds > 0.0 { drivers.len() as f64 / seconds } else { 0.0 },
            time_ms: Spread::of(drivers.iter().map(|driver| driver.time.as_millis() as u64)),
            frames: Spread::of(drivers.iter().map(|driver| driver.frames.into())),
            all: Shares::of(drivers.iter().filter(|driver| !matches!(driver.end, End::NotLoadable(_)))),
            kernel_only: Shares::of(drivers.iter().filter(|driver| driver.is_kernel_only())),
            ends,
        }
    }
}

impl Shares {
    fn of<'a>(drivers: impl Iterator<Item = &'a Driver>) -> Shares {
        let mut shares = Shares::default();
        for driver in drivers {
            let started = driver.entry.is_some_and(|status| status.is_success());
            shares.drivers += 1;
            shares.with_status += usize::from(driver.entry.is_some());
            shares.started += usize::from(started);
            shares.whole_life += usize::from(started && driver.end == End::Finished);
        }
        shares
    }
}

impl Spread {
    fn of(values: impl Iterator<Item = u64>) -> Spread {
        let mut values: Vec<u64> = values.collect();
        values.sort_unstable();
        // The smallest value that so many of a hundred do not exceed.
        let at = |percent: usize| {
            let rank = (values.len() * percent).div_ceil(100).max(1);
            values.get(rank - 1).copied().unwrap_or(0)
        };
        Spread { median: at(50), p95: at(95), worst: at(100) }
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn points_of_a_distribution() {
        assert_eq!(Spread::of(1..=100), Spread { median: 50, p95: 95, worst: 100 });
        assert_eq!(Spread::of([7].into_iter()), Spread { median: 7, p95: 7, worst: 7 });
        assert_eq!(Spread::of([].into_iter()), Spread::default());
    }
}
