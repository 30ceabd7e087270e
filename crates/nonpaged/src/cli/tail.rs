//! The last lines of a log.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Lines that are kept.
const KEPT: usize = 64;

/// Keeps the last lines of what is written; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Tail(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    whole: VecDeque<String>,
    begun: Vec<u8>,
}

impl Tail {
    /// The lines, oldest first.
    pub(crate) fn text(&self) -> String {
        self.lines().whole.iter().map(|line| format!("{line}\n")).collect()
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Tail {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut lines = self.lines();
        for byte in bytes {
            if *byte != b'\n' {
                lines.begun.push(*byte);
                continue;
            }
            let line = std::mem::take(&mut lines.begun);
            lines.whole.push_back(String::from_utf8_lossy(&line).into_owned());
            if lines.whole.len() > KEPT {
                lines.whole.pop_front();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept() {
        let mut tail = Tail::default();
        (0..100).for_each(|number| writeln!(tail, "{number}").expect("memory takes all"));
        let text = tail.text();
        assert_eq!((text.lines().next(), text.lines().last()), (Some("36"), Some("99")));
    }
}
