//! The devices that bus drivers report: what the Plug and Play manager asks about each, and what it does about those that
//! are not reported any more (docs: kernel/adding-a-pnp-device-to-a-running-system, kernel/handling-an-irp-mn-surprise-removal-request).

use nt_types::layout::{device_capabilities, device_relations};
use nt_types::{NtStatus, Va, constants as c};

use super::device::MAX_DEVICES;
use super::relations::Question;
use crate::call::Trap;
use crate::machine::Machine;

/// A device that a bus driver has reported.
#[derive(Clone, Hash, Debug)]
pub(crate) struct Child {
    /// Physical device object of the bus.
    bus: Va,
    /// Its own physical device object.
    pub(super) device: Va,
    /// What IRP_MN_QUERY_ID for BusQueryDeviceID answered.
    device_id: String,
    /// The CM_RESOURCE_LIST that it boots with; NULL for none.
    resources: Va,
    /// It has been started and not removed.
    started: bool,
}

/// What is asked about a device that was not there before, in the documented order.
const ABOUT_NEW: [(u32, u32); 7] = [
    (c::IRP_MN_QUERY_ID, c::BUS_QUERY_DEVICE_ID),
    (c::IRP_MN_QUERY_CAPABILITIES, 0),
    (c::IRP_MN_QUERY_ID, c::BUS_QUERY_INSTANCE_ID),
    (c::IRP_MN_QUERY_ID, c::BUS_QUERY_HARDWARE_IDS),
    (c::IRP_MN_QUERY_ID, c::BUS_QUERY_COMPATIBLE_IDS),
    (c::IRP_MN_QUERY_RESOURCES, 0),
    (c::IRP_MN_QUERY_RESOURCE_REQUIREMENTS, 0),
];

impl Machine {
    /// The physical device object that bears this device identification, in any case.
    pub fn child_device(&self, id: &str) -> Option<Va> {
        let mut children = self.io.pnp.children.iter();
        children.find(|child| child.device_id.eq_ignore_ascii_case(id)).map(|child| child.device)
    }

    /// Device identifications of all devices that bus drivers report.
    pub fn child_ids(&self) -> Vec<&str> {
        self.io.pnp.children.iter().map(|child| child.device_id.as_str()).collect()
    }

    /// True for the physical device object of a device that a bus driver reports.
    pub fn is_child(&self, device: Va) -> bool {
        self.io.pnp.children.iter().any(|child| child.device == device)
    }

    /// The resources that a reported device is started with: NULL for none.
    pub fn child_resources(&self, device: Va) -> Va {
        let child = self.io.pnp.children.iter().find(|child| child.device == device);
        child.map_or(Va::NULL, |child| child.resources)
    }

    /// Takes note that a device was started, or removed: what was reported on it is gone then.
    pub(super) fn note_started(&mut self, device: Va, started: bool) {
        if let Some(child) = self.child_mut(device) {
            child.started = started;
        }
        if !started {
            self.forget_children(|child| child.bus == device);
        }
    }

    /// Forgets devices, and frees the resource lists that came with them.
    fn forget_children(&mut self, which: impl Fn(&Child) -> bool) {
        let lists: Vec<Va> = self.io.pnp.children.iter().filter(|it| which(it)).map(|it| it.resources).collect();
        self.io.pnp.children.retain(|child| !which(child));
        for list in lists {
            self.pool_free(list);
        }
    }

    fn child_mut(&mut self, device: Va) -> Option<&mut Child> {
        self.io.pnp.children.iter_mut().find(|child| child.device == device)
    }

    /// DEVICE_CAPABILITIES as the Plug and Play manager sends them: address and number unknown, nothing else set.
    pub(super) fn blank_capabilities(&mut self) -> Result<Va, Trap> {
        let block = self.kernel_object(device_capabilities::SIZEOF, *b"PnpC");
        let Some(block) = block else { return Err(self.no_pool()) };
        self.write_u16(device_capabilities::SIZE.at(block), device_capabilities::SIZEOF as u16)?;
        self.write_u16(device_capabilities::VERSION.at(block), 1)?;
        self.write_u32(device_capabilities::ADDRESS.at(block), u32::MAX)?;
        self.write_u32(device_capabilities::UI_NUMBER.at(block), u32::MAX)?;
        Ok(block)
    }

    /// Uses the answer to a question, and frees what came with it; what is to be asked because of it.
    pub(super) fn take_answer(
        &mut self,
        question: Question,
        status: NtStatus,
        information: u64,
    ) -> Result<Vec<Question>, Trap> {
        let device = question.device;
        match question.minor {
            c::IRP_MN_REMOVE_DEVICE => {
                self.forget_children(|child| child.device == device);
                return Ok(Vec::new());
            }
            _ if !status.is_success() => return Ok(Vec::new()),
            c::IRP_MN_QUERY_PNP_DEVICE_STATE => return self.take_state(device, information as u32),
            c::IRP_MN_QUERY_DEVICE_RELATIONS => return self.take_relations(device, Va(information)),
            c::IRP_MN_QUERY_ID => {
                let text = self.read_wide_text(Va(information))?;
                if let Some(child) = self.child_mut(device).filter(|_| question.kind == c::BUS_QUERY_DEVICE_ID) {
                    child.device_id = text;
                }
                self.pool_free(Va(information));
            }
            c::IRP_MN_QUERY_RESOURCES => {
                if let Some(child) = self.child_mut(device) {
                    child.resources = Va(information);
                }
            }
            c::IRP_MN_QUERY_RESOURCE_REQUIREMENTS if information != 0 => {
                if self.child_resources(device).is_null() {
                    let what = "requirements of a device that has no resources to boot with: nothing is arbitrated";
                    return Err(self.refuse("IRP_MN_QUERY_RESOURCE_REQUIREMENTS", what));
                }
                self.pool_free(Va(information));
            }
            _ => {}
        }
        Ok(Vec::new())
    }

    /// A device that failed or is gone is removed by surprise (docs: kernel/handling-an-irp-mn-surprise-removal-request); its
    /// IRP_MN_REMOVE_DEVICE comes when nobody has it open, with the end of the machine's use of it.
    fn take_state(&mut self, device: Va, state: u32) -> Result<Vec<Question>, Trap> {
        if state & c::PNP_DEVICE_DISABLED != 0 {
            return Err(self.refuse("IoInvalidateDeviceState", format!("a device in state {state:#x}")));
        }
        let is_lost = state & (c::PNP_DEVICE_FAILED | c::PNP_DEVICE_REMOVED) != 0;
        let question = Question { device, minor: c::IRP_MN_SURPRISE_REMOVAL, kind: 0 };
        Ok(is_lost.then_some(question).into_iter().collect())
    }

    /// A list of all devices on a bus: those that are new are asked about, those that are missing removed.
    fn take_relations(&mut self, bus: Va, list: Va) -> Result<Vec<Question>, Trap> {
        if list.is_null() {
            return Ok(Vec::new());
        }
        let count = self.read_u32(device_relations::COUNT.at(list))?.min(MAX_DEVICES as u32);
        let entry = |index| device_relations::OBJECTS.element(index, 8).at(list);
        let reported: Vec<Va> = (0..count).map(|index| self.read_va(entry(index))).collect::<Result<_, _>>()?;
        let mut questions = Vec::new();
        let known = self.io.pnp.children.clone();
        for child in known.iter().filter(|child| child.bus == bus && !reported.contains(&child.device)) {
            questions.extend(self.removal(child)?);
        }
        for device in reported {
            if device.is_null() || self.is_child(device) {
                continue;
            }
            self.io.pnp.children.push(Child {
                bus,
                device,
                device_id: String::new(),
                resources: Va::NULL,
                started: false,
            });
            questions.extend(ABOUT_NEW.map(|(minor, kind)| Question { device, minor, kind }));
        }
        self.pool_free(list);
        Ok(questions)
    }

    /// A started device that is not there any more was removed by surprise. The removal that follows would wait for open
    /// handles.
    fn removal(&mut self, child: &Child) -> Result<Vec<Question>, Trap> {
        let device = child.device;
        for member in self.stack_from(device)? {
            if self.io.files.values().any(|device| *device == member) {
                return Err(self.refuse("IRP_MN_SURPRISE_REMOVAL", "a device that is open: it is removed at once"));
            }
        }
        let surprise = child.started.then_some(c::IRP_MN_SURPRISE_REMOVAL);
        let minors = surprise.into_iter().chain([c::IRP_MN_REMOVE_DEVICE]);
        Ok(minors.map(|minor| Question { device, minor, kind: 0 }).collect())
    }
}
