//! What a program's end and the removal of its device do.

use kernel::{Action as Request, Machine};
use nt_types::{Va, constants as c};

use super::{AFTERMATH_NS, Named, PATIENCE_NS, PlayError, Player, Task};
use crate::session::SessionError;

impl Player {
    /// Requests are cancelled, handles closed, the device removed, the drivers unloaded.
    pub(super) fn end(&mut self, m: &Machine) {
        let mut tasks = Vec::new();
        for named in std::mem::take(&mut self.requests).into_values() {
            if m.answer_of(named.id).is_none() {
                let wait = Task::Wait(named.id, Some(PATIENCE_NS));
                tasks.extend([Task::Cancel(named.id), wait, Task::Outcome(named)]);
            }
        }
        tasks.extend([Task::Exercise(super::exercise::Task::CloseAll), Task::ProgramEnds]);
        tasks.push(Task::RemoveStacks);
        tasks.push(Task::Exercise(super::exercise::Task::Remove));
        tasks.push(Task::Exercise(super::exercise::Task::UnloadAll));
        tasks.push(Task::Pass(AFTERMATH_NS));
        tasks.into_iter().rev().for_each(|task| self.tasks.push_front(task));
    }

    pub(super) fn close_all(&mut self, m: &mut Machine) -> Result<(), PlayError> {
        if let Some((_, file)) = self.handles.pop_first() {
            let id = self.act(m, "close", Request::Close { file })?;
            let again = Task::Exercise(super::exercise::Task::CloseAll);
            self.before([Task::Wait(id, Some(PATIENCE_NS)), again]);
        }
        Ok(())
    }

    pub(super) fn remove(&mut self) {
        let Some(device) = self.device.take() else { return };
        let pnp = |title, minor: u32| Task::Pnp { device, minor: minor as u8, title };
        self.before([
            Task::Phase("remove device".to_owned()),
            pnp("query remove", c::IRP_MN_QUERY_REMOVE_DEVICE),
            pnp("remove device", c::IRP_MN_REMOVE_DEVICE),
        ]);
    }

    pub(super) fn unload_all(&mut self, m: &mut Machine) -> Result<(), PlayError> {
        let base = if self.unloaded { self.others.pop_first().map(|(_, base)| base) } else { Some(self.base) };
        self.unloaded = true;
        let Some(base) = base else { return Ok(()) };
        let id = m.unload_driver(base).map_err(SessionError::Load)?;
        self.before([Task::Wait(id, None), Task::Exercise(super::exercise::Task::UnloadAll)]);
        Ok(())
    }

    pub(super) fn unload(&mut self, m: &mut Machine) -> Result<(), PlayError> {
        self.unloaded = true;
        let id = m.unload_driver(self.base).map_err(SessionError::Load)?;
        self.before([Task::Wait(id, None), Task::Outcome(Named { id, handle: None })]);
        Ok(())
    }

    pub(super) fn pnp(&mut self, m: &mut Machine, device: Va, minor: u8, title: &'static str) -> Result<(), PlayError> {
        let id = self.act(m, title, Request::Pnp { device, minor, resources: Va::NULL })?;
        self.before([Task::Wait(id, Some(PATIENCE_NS)), Task::Outcome(Named { id, handle: None })]);
        Ok(())
    }
}
