//! Limits, configured and physical.

/// A limit that was reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Limit {
    /// `--steps`.
    Steps {
        /// The limit.
        steps: u64,
    },
    /// `--frames`: everything left is pinned or nonpaged.
    Frames {
        /// The budget, in pages.
        frames: u64,
        /// Pages that cannot leave.
        fixed: u64,
    },
    /// Every thread waits and nothing can wake one.
    Deadlock {
        /// Threads that wait.
        threads: u32,
    },
    /// The paging file could not grow.
    PagingFile {
        /// Its path.
        path: String,
        /// What the host said.
        error: String,
    },
    /// An output file could not be written.
    Output {
        /// Its path.
        path: String,
        /// What the host said.
        error: String,
    },
}
