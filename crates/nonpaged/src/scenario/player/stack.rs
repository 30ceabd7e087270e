//! Devices that bus drivers report, and the drivers on top of them.

use kernel::{Action as Request, Machine};
use nt_types::{Va, constants as c};

use super::steps::impossible;
use super::{Named, PATIENCE_NS, PlayError, Player, Task, stopped};
use crate::scenario::{DeviceName, PnpRequest, Step};

impl Player {
    /// The physical device object of a device.
    pub(super) fn device(&self, m: &Machine, step: &Step, name: &DeviceName) -> Result<Va, PlayError> {
        match name {
            None => self.device.ok_or_else(|| impossible(step, "no device was started")),
            Some(id) => m.child_device(id).ok_or_else(|| {
                let known = m.child_ids().iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
                let known = if known.is_empty() { "none".to_owned() } else { known };
                impossible(step, &format!("no bus driver reports the device `{id}`; reported are: {known}"))
            }),
        }
    }

    /// Calls AddDevice of a driver; the outcome is its status.
    pub(super) fn attach(
        &mut self,
        m: &mut Machine,
        step: &Step,
        driver: Option<&str>,
        device: &DeviceName,
    ) -> Result<(), PlayError> {
        let base = match driver {
            None => self.base,
            Some(name) => self.others.get(name).copied().ok_or_else(|| {
                let problem = format!("`{name}` is not loaded");
                impossible(step, &problem)
            })?,
        };
        let device = self.device(m, step, device)?;
        if m.add_device_routine(base).map_err(|trap| stopped(m, trap))?.is_none() {
            return Err(impossible(step, "the driver has no AddDevice routine"));
        }
        let id = m.offer_device(base, device).map_err(|trap| stopped(m, trap))?;
        self.before([Task::Wait(id, None), Task::Outcome(Named { id, handle: None })]);
        Ok(())
    }

    pub(super) fn request_pnp(
        &mut self,
        m: &mut Machine,
        step: &Step,
        device: &DeviceName,
        request: PnpRequest,
    ) -> Result<(), PlayError> {
        let device = self.device(m, step, device)?;
        match request {
            PnpRequest::StartDevice if !self.stacks.contains(&device) => self.stacks.push(device),
            PnpRequest::RemoveDevice => self.stacks.retain(|started| *started != device),
            _ => {}
        }
        let resources = m.child_resources(device);
        let id = self.act(m, request.name(), Request::Pnp { device, minor: request.minor(), resources })?;
        self.before([Task::Wait(id, Some(PATIENCE_NS)), Task::Outcome(Named { id, handle: None })]);
        Ok(())
    }

    pub(super) fn power(
        &mut self,
        m: &mut Machine,
        step: &Step,
        device: &DeviceName,
        state: u8,
    ) -> Result<(), PlayError> {
        let device = self.device(m, step, device)?;
        let (minor, state) = (c::IRP_MN_SET_POWER as u8, c::POWER_DEVICE_D0 + u32::from(state));
        let id = self.act(m, "power", Request::Power { device, minor, kind: c::DEVICE_POWER_STATE, state })?;
        self.before([Task::Wait(id, Some(PATIENCE_NS)), Task::Outcome(Named { id, handle: None })]);
        Ok(())
    }

    /// Removes the stacks on devices that bus drivers report, the youngest first, before what they stand on.
    pub(super) fn remove_stacks(&mut self, m: &Machine) {
        while let Some(device) = self.stacks.pop() {
            if m.is_child(device) {
                let pnp = |request: PnpRequest| Task::Pnp { device, minor: request.minor(), title: request.name() };
                let query = pnp(PnpRequest::QueryRemoveDevice);
                return self.before([query, pnp(PnpRequest::RemoveDevice), Task::RemoveStacks]);
            }
        }
    }
}
