//! The default exercise: what a program and a machine do with a driver in its life.

use kernel::{Action, Answer};
use nt_types::{NtStatus, Va, constants as c};

use super::{Reply, Session, SessionError, ioctl_codes};
use driver_image::Image;

/// What the exercise writes, and expects back from a looped device.
const GREETING: &[u8] = b"nonpaged";
/// Virtual time that a request may take before the exercise cancels it: 2 s.
const PATIENCE_NS: u64 = 2_000_000_000;
/// Virtual time after unload, in which a timer or a work item that was left behind shows itself: 20 ms.
pub(crate) const AFTERMATH_NS: u64 = 20_000_000;
/// Bytes passed with each device control request, both ways.
const IOCTL_BYTES: u32 = 64;
/// Device control codes tried at most.
const MAX_IOCTLS: usize = 64;

/// One step of the exercise and how it went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StepResult {
    /// What was done.
    pub name: String,
    /// The status; `None` where the request had to be cancelled and still did not end.
    pub status: Option<NtStatus>,
    /// `IoStatus.Information`.
    pub information: u64,
    /// Bytes returned.
    pub output: Vec<u8>,
}

impl Session {
    /// Takes a loaded driver through its life; `after` is called after each step.
    pub fn exercise(
        &mut self,
        base: Va,
        image: &Image,
        mut after: impl FnMut(&mut Session, &StepResult),
    ) -> Result<(), SessionError> {
        let status = self.initialize(base)?;
        after(self, &plain("DriverEntry", status));
        if !status.is_success() {
            return Ok(());
        }
        let (status, device) = self.start_device(base)?;
        if device.is_some() {
            after(self, &plain("start device", status));
        }
        for name in self.machine.openable_names(base) {
            self.use_device(&name, image, &mut after)?;
        }
        self.spurious_interrupts(&mut after)?;
        if let Some(device) = device {
            self.remove_device(device, &mut after)?;
        }
        let reply = self.unload(base)?;
        after(self, &result("unload", &reply));
        self.pass(AFTERMATH_NS)
    }

    /// Offers the serial port to a driver that wants devices, and starts it: the last status, and the physical device
    /// object where the driver took it.
    pub(crate) fn start_device(&mut self, base: Va) -> Result<(NtStatus, Option<Va>), SessionError> {
        let has_add_device = self.machine.add_device_routine(base).map_err(|trap| self.stopped(trap))?.is_some();
        if !has_add_device {
            return Ok((NtStatus::SUCCESS, None));
        }
        let serial = self.serial_port();
        let (status, device) = self.add_device(base, serial)?;
        if !status.is_success() {
            return Ok((status, None));
        }
        let resources = self.machine.resource_list(serial).map_err(|trap| self.stopped(trap))?;
        let minor = c::IRP_MN_START_DEVICE as u8;
        let reply = self.act("start device", Action::Pnp { device, minor, resources }, Some(PATIENCE_NS))?;
        Ok((result("start device", &reply).status.unwrap_or(NtStatus::PENDING), Some(device)))
    }

    pub(crate) fn remove_device(
        &mut self,
        device: Va,
        after: &mut dyn FnMut(&mut Session, &StepResult),
    ) -> Result<(), SessionError> {
        for (name, minor) in
            [("query remove", c::IRP_MN_QUERY_REMOVE_DEVICE), ("remove device", c::IRP_MN_REMOVE_DEVICE)]
        {
            let action = Action::Pnp { device, minor: minor as u8, resources: Va::NULL };
            let reply = self.act(name, action, Some(PATIENCE_NS))?;
            after(self, &result(name, &reply));
        }
        Ok(())
    }

    fn use_device(
        &mut self,
        name: &str,
        image: &Image,
        after: &mut impl FnMut(&mut Session, &StepResult),
    ) -> Result<(), SessionError> {
        let title = format!("open {name}");
        let reply = self.act(&title, Action::Open { name: name.to_owned() }, Some(PATIENCE_NS))?;
        after(self, &result(&title, &reply));
        let Reply::Answered(Answer { status, information, .. }) = reply else { return Ok(()) };
        if !status.is_success() {
            return Ok(());
        }
        let file = Va(information);
        self.transfer(file, after)?;
        for code in ioctl_codes(image).into_iter().take(MAX_IOCTLS) {
            let input = vec![0; IOCTL_BYTES as usize];
            let action = Action::Ioctl { file, code, input, output_length: IOCTL_BYTES };
            self.patient(&format!("ioctl {code:#x}"), action, after)?;
        }
        self.cancelled_read(file, after)?;
        let reply = self.act("close", Action::Close { file }, Some(PATIENCE_NS))?;
        after(self, &result("close", &reply));
        Ok(())
    }

    /// Writes, and reads as many bytes back.
    fn transfer(&mut self, file: Va, after: &mut impl FnMut(&mut Session, &StepResult)) -> Result<(), SessionError> {
        self.patient("write", Action::Write { file, data: GREETING.to_vec(), offset: 0 }, after)?;
        self.patient("read", Action::Read { file, length: GREETING.len() as u32, offset: 0 }, after)
    }

    /// A read that nothing answers, cancelled.
    fn cancelled_read(
        &mut self,
        file: Va,
        after: &mut impl FnMut(&mut Session, &StepResult),
    ) -> Result<(), SessionError> {
        let request = self.start("read to be cancelled", Action::Read { file, length: 1, offset: 0 })?;
        if self.machine.answer_of(request).is_none() {
            self.act("cancel", Action::Cancel { request }, Some(PATIENCE_NS))?;
        }
        let reply = self.wait(request, Some(PATIENCE_NS))?;
        after(self, &result("cancelled read", &reply));
        Ok(())
    }

    /// Runs an action; one that does not end is cancelled.
    fn patient(
        &mut self,
        name: &str,
        action: Action,
        after: &mut impl FnMut(&mut Session, &StepResult),
    ) -> Result<(), SessionError> {
        let mut reply = self.act(name, action, Some(PATIENCE_NS))?;
        if let Reply::Outstanding(request) = reply {
            self.act("cancel", Action::Cancel { request }, Some(PATIENCE_NS))?;
            reply = self.wait(request, Some(PATIENCE_NS))?;
        }
        after(self, &result(name, &reply));
        Ok(())
    }

    fn spurious_interrupts(&mut self, after: &mut impl FnMut(&mut Session, &StepResult)) -> Result<(), SessionError> {
        let vectors: Vec<u32> = self.machine.connected_interrupts().iter().map(|connected| connected.vector).collect();
        for vector in vectors {
            self.machine.spurious_interrupt(vector);
            self.settle()?;
            after(self, &plain("spurious interrupt", NtStatus::SUCCESS));
        }
        Ok(())
    }
}

fn plain(name: &str, status: NtStatus) -> StepResult {
    StepResult { name: name.to_owned(), status: Some(status), information: 0, output: Vec::new() }
}

fn result(name: &str, reply: &Reply) -> StepResult {
    match reply {
        Reply::Answered(answer) => StepResult {
            name: name.to_owned(),
            status: Some(answer.status),
            information: answer.information,
            output: answer.output.clone(),
        },
        Reply::Outstanding(_) => StepResult { name: name.to_owned(), status: None, information: 0, output: Vec::new() },
    }
}
