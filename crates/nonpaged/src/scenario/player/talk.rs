//! A conversation over the serial line: a program that reads byte by byte and writes each one back.

use kernel::{Action as Request, Machine, RequestId};
use nt_types::Va;

use super::{PATIENCE_NS, PlayError, Player, Task};

/// Virtual time between two looks at the other end of the line: 10 ms.
const SLICE_NS: u64 = 10_000_000;

/// A conversation in progress.
#[derive(Clone, Copy, Hash, Debug)]
pub(super) struct Talk {
    file: Va,
    until: u8,
    idle_ns: u64,
    /// Since the last byte.
    quiet_ns: u64,
}

impl Talk {
    pub(super) fn new(file: Va, until: u8, idle_ns: u64) -> Talk {
        Talk { file, until, idle_ns, quiet_ns: 0 }
    }
}

impl Player {
    /// Begins to read the next byte.
    pub(super) fn talk(&mut self, m: &mut Machine, talk: Talk) -> Result<(), PlayError> {
        let id = self.act(m, "talk", Request::Read { file: talk.file, length: 1, offset: 0 })?;
        self.before([Task::Wait(id, Some(SLICE_NS)), Task::Listen(talk, id)]);
        Ok(())
    }

    /// Writes back what came; where nothing did, whoever runs the machine may ask the other end for more.
    pub(super) fn listen(&mut self, m: &mut Machine, talk: Talk, id: RequestId) -> Result<(), PlayError> {
        let Some(answer) = m.answer_of(id).cloned() else {
            let quiet_ns = talk.quiet_ns.saturating_add(SLICE_NS);
            if quiet_ns >= talk.idle_ns {
                self.before([Task::Cancel(id), Task::Wait(id, Some(PATIENCE_NS))]);
            } else {
                let (phase, wait) = (Task::Phase("talk".to_owned()), Task::Wait(id, Some(SLICE_NS)));
                self.before([phase, wait, Task::Listen(Talk { quiet_ns, ..talk }, id)]);
            }
            return Ok(());
        };
        if answer.status.is_success() && !answer.output.contains(&talk.until) {
            let id = self.act(m, "talk", Request::Write { file: talk.file, data: answer.output, offset: 0 })?;
            self.before([Task::Wait(id, Some(PATIENCE_NS)), Task::Talk(Talk { quiet_ns: 0, ..talk })]);
        }
        Ok(())
    }
}
