//! The drivers as comma-separated values.

use super::{Driver, Fleet};

const HEADER: [&str; 10] =
    ["path", "end", "exit_code", "driver_entry", "detail", "missing", "findings", "steps", "frames", "time_ms"];

impl Fleet {
    /// A header, and a record a driver.
    pub fn csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        // Records of equal length in memory: nothing can fail.
        let _ = writer.write_record(HEADER);
        for driver in &self.drivers {
            let _ = writer.write_record(driver.record());
        }
        String::from_utf8_lossy(&writer.into_inner().unwrap_or_default()).into_owned()
    }
}

impl Driver {
    fn record(&self) -> [String; 10] {
        [
            self.path.display().to_string(),
            self.end.word().to_owned(),
            self.end.exit_code().number().to_string(),
            self.entry.map(|status| format!("{:#010x}", status.0)).unwrap_or_default(),
            self.end.detail().to_owned(),
            self.missing.join(" "),
            self.findings.to_string(),
            self.steps.to_string(),
            self.frames.to_string(),
            self.time.as_millis().to_string(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::super::{Driver, End, Fleet};

    #[test]
    fn a_record_a_driver() {
        let mut driver = Driver::new(Path::new("a,b.sys"));
        driver.end = End::Limit("1 \"step\"".into());
        let fleet = Fleet { drivers: vec![driver], wanted: Vec::new(), jobs: 1, elapsed: Duration::ZERO };
        assert_eq!(fleet.csv().lines().nth(1), Some("\"a,b.sys\",limit,30,,\"1 \"\"step\"\"\",,0,0,0,0"));
    }
}
