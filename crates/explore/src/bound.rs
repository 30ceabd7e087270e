//! What a search has shown: no more than it ran.

use std::fmt;

/// What can be said of all schedules, and not only of those that chance chose.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Proven {
    /// All schedules with at most this many deeds were run; `None` where not even the one without any ended as it should.
    pub deeds: Option<u32>,
    /// How many those are.
    pub schedules: u64,
    /// How many of the next round were run, and how many of its beginnings there are.
    pub next_round: (u64, u64),
    /// Schedules that ended at a limit or at something not modelled: of these nothing is known.
    pub unknown: u64,
    /// How many schedules failed.
    pub failed: u64,
    /// Only one part of several was searched.
    pub shard: Option<(u64, u64)>,
}

impl fmt::Display for Proven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.deeds {
            None => return f.write_str("nothing is shown: no round of the search came to its end"),
            Some(0) => "the schedule without a deed".to_owned(),
            Some(1) => format!("all {} schedules with at most 1 deed", self.schedules),
            Some(deeds) => format!("all {} schedules with at most {deeds} deeds", self.schedules),
        };
        write!(f, "{what}")?;
        if let Some((index, count)) = self.shard {
            write!(f, " in part {index} of {count}")?;
        }
        match self.failed {
            0 => f.write_str(": no failure")?,
            1 => f.write_str(": 1 fails")?,
            failed => write!(f, ": {failed} fail")?,
        }
        if self.unknown > 0 {
            write!(f, "; {} ended at a limit or at something not modelled, and say nothing", self.unknown)?;
        }
        let (done, of) = self.next_round;
        if done > 0 && done < of {
            let next = match self.deeds.unwrap_or_default() + 1 {
                1 => "1 deed".to_owned(),
                deeds => format!("{deeds} deeds"),
            };
            write!(f, "; of those with {next}, {done} of {of} beginnings were searched")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_no_more_than_was_run() {
        let proven = Proven { deeds: Some(1), schedules: 812, ..Proven::default() };
        assert_eq!(proven.to_string(), "all 812 schedules with at most 1 deed: no failure");
        let proven = Proven { unknown: 3, next_round: (5, 811), ..proven };
        let expected = "all 812 schedules with at most 1 deed: no failure; 3 ended at a limit or at something not \
                        modelled, and say nothing; of those with 2 deeds, 5 of 811 beginnings were searched";
        assert_eq!(proven.to_string(), expected);
        assert_eq!(Proven::default().to_string(), "nothing is shown: no round of the search came to its end");
        let part = Proven { deeds: Some(0), schedules: 1, failed: 1, shard: Some((1, 4)), ..Proven::default() };
        assert_eq!(part.to_string(), "the schedule without a deed in part 1 of 4: 1 fails");
    }
}
