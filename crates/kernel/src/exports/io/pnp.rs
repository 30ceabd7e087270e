//! Plug and Play as a bus driver of the machine plays it: physical device objects, AddDevice, resources.

use devices::DeviceId;
use nt_types::layout::{
    cm_full_resource_descriptor as full, cm_partial_resource_descriptor as partial, cm_partial_resource_list as list,
    cm_resource_list, driver_extension, driver_object, io_stack_location, irp, kdpc,
};
use nt_types::{NtStatus, Va, constants as c};

use super::device::NewDevice;
use super::enumeration::Child;
use super::irp::SL_PENDING_RETURNED;
use crate::call::{Next, Outcome, Then, Trap};
use crate::event::EventKind;
use crate::export;
use crate::exports::ke::dpc::QueuedBy;
use crate::exports::{Export, io};
use crate::machine::Machine;
use crate::request::{Answer, RequestId};
use crate::routine::Routine;
use crate::turn::Turn;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IopBusDispatch(device: Va, request: Va), DISPATCH),
    export!(Ntoskrnl, IopBusComplete(device: Va, request: Va), PASSIVE),
    export!(Ntoskrnl, IopBusAnswer(device: Va, request: Va), PASSIVE),
    export!(Ntoskrnl, IopBusDpc(dpc: Va, context: Va, request: Va, unused: Va), DISPATCH),
];

/// What the modelled bus driver remembers.
#[derive(Clone, Default, Hash, Debug)]
pub(crate) struct Pnp {
    /// Its driver object.
    driver: Option<Va>,
    /// Physical device objects, and what they stand for.
    pub(crate) devices: Vec<(Va, DeviceId)>,
    /// What drivers of buses have reported.
    pub(super) children: Vec<Child>,
}

/// Continuations of Plug and Play.
#[derive(Clone, Hash, Debug)]
pub enum Step {
    /// Call AddDevice.
    Add {
        /// The request.
        id: RequestId,
        /// AddDevice.
        routine: Va,
        /// Driver object.
        driver: Va,
        /// Physical device object.
        device: Va,
    },
    /// It returned.
    Added {
        /// The request.
        id: RequestId,
        /// AddDevice.
        routine: Va,
        /// Physical device object.
        device: Va,
    },
}

impl Step {
    pub(super) fn run(self, m: &mut Machine, value: u64) -> Outcome {
        match self {
            Step::Add { id, routine, driver, device } => {
                m.record_at(routine, EventKind::Entered { what: Routine::AddDevice, routine });
                let then = Then::Io(io::Then::Pnp(Step::Added { id, routine, device }));
                Ok(Next::call(routine, &[driver.0, device.0], then))
            }
            Step::Added { id, routine, device } => {
                m.record_at(routine, EventKind::Left { what: Routine::AddDevice, routine, result: value });
                let status = NtStatus(value as u32);
                if status.is_success() {
                    m.check_power_flags(routine, device)?;
                }
                m.answer(id, Answer { status, information: device.0, output: Vec::new() });
                Ok(Next::VOID)
            }
        }
    }
}

/// The name of a physical device object of the bus.
pub(super) fn device_name(number: usize) -> String {
    format!("\\Device\\{number:08}")
}

/// The IRQL of an interrupt line: device levels are 3 to 11 on x64.
pub(crate) fn line_irql(line: u32) -> u32 {
    3 + line % 9
}

impl Machine {
    /// The AddDevice routine of a driver, if it has one.
    pub fn add_device_routine(&mut self, base: Va) -> Result<Option<Va>, Trap> {
        let object = self.modules.driver_at(base).map_or(Va::NULL, |driver| driver.driver_object);
        let extension = self.read_va(driver_object::DRIVER_EXTENSION.at(object))?;
        let routine = self.read_va(driver_extension::ADD_DEVICE.at(extension))?;
        Ok((!routine.is_null()).then_some(routine))
    }

    /// Creates a physical device object for a device on the bus and offers it to the driver; the answer's information is
    /// the physical device object.
    pub fn add_device(&mut self, base: Va, device: DeviceId) -> Result<RequestId, Trap> {
        let physical = self.new_physical_device(device)?;
        self.offer_device(base, physical)
    }

    /// Calls the driver's AddDevice with a physical device object.
    pub fn offer_device(&mut self, base: Va, physical: Va) -> Result<RequestId, Trap> {
        let routine = self.add_device_routine(base)?.unwrap_or(Va::NULL);
        let driver = self.modules.driver_at(base).map_or(Va::NULL, |driver| driver.driver_object);
        self.record(EventKind::Action { text: "add device".to_owned() });
        self.submit("AddDevice", "add device", routine, |id| {
            Then::Io(io::Then::Pnp(Step::Add { id, routine, driver, device: physical }))
        })
    }

    fn new_physical_device(&mut self, device: DeviceId) -> Result<Va, Trap> {
        let driver = self.bus_driver()?;
        let kind = c::FILE_DEVICE_UNKNOWN;
        let new = NewDevice { driver, extension_size: 0, kind, characteristics: 0, flags: 0 };
        let Some(object) = self.new_device(&new)? else { return Err(self.no_pool()) };
        let number = self.io.pnp.devices.len();
        self.io.names.add_device(&device_name(number), object);
        self.io.pnp.devices.push((object, device));
        self.install_device(number);
        Ok(object)
    }

    /// The driver object of the modelled bus.
    pub(super) fn bus_driver(&mut self) -> Result<Va, Trap> {
        match self.io.pnp.driver {
            Some(driver) => Ok(driver),
            None => self.new_bus_driver(),
        }
    }

    fn new_bus_driver(&mut self) -> Result<Va, Trap> {
        let Some(driver) = self.kernel_object(driver_object::SIZEOF, *b"Driv") else { return Err(self.no_pool()) };
        let dispatch = self.kernel_images.export("ntoskrnl.exe", "IopBusDispatch").unwrap_or(Va::NULL);
        for major in 0..28 {
            self.write_u64(driver_object::MAJOR_FUNCTION.element(major, 8).at(driver), dispatch.0)?;
        }
        self.io.pnp.driver = Some(driver);
        Ok(driver)
    }

    pub(crate) fn no_pool(&mut self) -> Trap {
        self.limit_stop(crate::stop::Limit::Resource("frames for a kernel object"))
    }

    /// The CM_RESOURCE_LIST of a device, raw and translated alike.
    pub fn resource_list(&mut self, device: DeviceId) -> Result<Va, Trap> {
        let bytes = self.resource_list_bytes(device);
        let Some(address) = self.kernel_object(bytes.len() as u64, *b"CmRl") else { return Err(self.no_pool()) };
        self.write_bytes(address, &bytes)?;
        Ok(address)
    }

    /// The bytes of the list for the device with this number on the bus.
    pub(super) fn resource_bytes(&self, number: usize) -> Vec<u8> {
        self.io.pnp.devices.get(number).map_or(Vec::new(), |(_, device)| self.resource_list_bytes(*device))
    }

    fn resource_list_bytes(&self, device: DeviceId) -> Vec<u8> {
        let resources = self.bus.resources(device);
        let mut descriptors = Vec::new();
        // As the base address registers of a PCI function mostly come: memory first.
        for range in &resources.memory {
            descriptors.push(range_descriptor(c::CM_RESOURCE_TYPE_MEMORY as u8, range.base, range.length));
        }
        for range in &resources.ports {
            descriptors.push(range_descriptor(c::CM_RESOURCE_TYPE_PORT as u8, range.base, range.length));
        }
        for (line, trigger) in &resources.lines {
            descriptors.push(interrupt_descriptor(*line, *trigger));
        }
        let header = cm_resource_list::LIST.offset + full::PARTIAL_RESOURCE_LIST.offset;
        let mut bytes = vec![0; header as usize + list::PARTIAL_DESCRIPTORS.offset as usize];
        bytes[0] = 1;
        bytes[cm_resource_list::LIST.offset as usize] = self.identity_of(device).interface as u8;
        bytes[header as usize] = 1;
        bytes[header as usize + 2] = 1;
        bytes[(header + list::COUNT.offset) as usize] = descriptors.len() as u8;
        bytes.extend(descriptors.concat());
        bytes
    }
}

fn range_descriptor(kind: u8, base: u64, length: u64) -> Vec<u8> {
    let mut bytes = vec![0; partial::SIZEOF as usize];
    bytes[0] = kind;
    bytes[1] = c::CM_RESOURCE_SHARE_DEVICE_EXCLUSIVE as u8;
    // CM_RESOURCE_PORT_IO; for memory CM_RESOURCE_MEMORY_READ_WRITE is 0.
    bytes[2] = u8::from(kind == c::CM_RESOURCE_TYPE_PORT as u8);
    bytes[4..12].copy_from_slice(&base.to_le_bytes());
    bytes[12..16].copy_from_slice(&(length as u32).to_le_bytes());
    bytes
}

fn interrupt_descriptor(line: u32, trigger: devices::Trigger) -> Vec<u8> {
    let mut bytes = vec![0; partial::SIZEOF as usize];
    bytes[0] = c::CM_RESOURCE_TYPE_INTERRUPT as u8;
    bytes[1] = c::CM_RESOURCE_SHARE_SHARED as u8;
    bytes[2] = u8::from(trigger == devices::Trigger::Edge);
    bytes[4..8].copy_from_slice(&line_irql(line).to_le_bytes());
    bytes[8..12].copy_from_slice(&line.to_le_bytes());
    bytes[12..20].copy_from_slice(&1_u64.to_le_bytes());
    bytes
}

/// The bus driver's dispatch routine: it completes the request at once, unless it is chosen that a thread of its own does, or
/// a DPC.
fn IopBusDispatch(m: &mut Machine, device: Va, request: Va) -> Outcome {
    let stack = m.stack_location(request)?;
    let (major, minor) = functions(m, stack)?;
    // Those above do not wait for the removal: they are gone before it ends (docs: kernel/removing-a-device-in-a-function-driver).
    if (major, minor) == (c::IRP_MJ_PNP, c::IRP_MN_REMOVE_DEVICE) {
        return IopBusComplete(m, device, request);
    }
    let turn = m.choose_completion(request).ok_or(Trap::Undecided)?;
    let thread = match turn {
        Some(Turn::CompletionInDpc(_)) => "IopBusAnswer",
        Some(_) => "IopBusComplete",
        None => return IopBusComplete(m, device, request),
    };
    let control = io_stack_location::CONTROL.at(stack);
    let marked = m.read_u8(control)? | SL_PENDING_RETURNED;
    m.write_u8(control, marked)?;
    let service = m.kernel_images.export("ntoskrnl.exe", thread).unwrap_or(Va::NULL);
    m.start_work("bus", service, vec![device.0, request.0])?;
    Ok(Next::status(NtStatus::PENDING))
}

/// Major and minor function.
fn functions(m: &mut Machine, stack: Va) -> Result<(u32, u32), Trap> {
    Ok((m.read_u8(stack)?.into(), m.read_u8(io_stack_location::MINOR_FUNCTION.at(stack))?.into()))
}

fn IopBusComplete(m: &mut Machine, device: Va, request: Va) -> Outcome {
    let status = carry_out(m, device, request)?;
    m.complete_request(request, status)
}

/// A thread of the bus driver's own does what is to be done at `PASSIVE_LEVEL`, and leaves the completion to a DPC.
fn IopBusAnswer(m: &mut Machine, device: Va, request: Va) -> Outcome {
    let Some(dpc) = m.kernel_object(kdpc::SIZEOF, *b"BusD") else { return Err(m.no_pool()) };
    carry_out(m, device, request)?;
    let routine = m.kernel_images.export("ntoskrnl.exe", "IopBusDpc").unwrap_or(Va::NULL);
    m.initialize_dpc(dpc, routine, device.0)?;
    m.queue_dpc(dpc, [request.0, 0], QueuedBy::Driver)?;
    Ok(Next::VOID)
}

fn IopBusDpc(m: &mut Machine, dpc: Va, _context: Va, request: Va, _unused: Va) -> Outcome {
    let status = NtStatus(m.read_u32(irp::IO_STATUS_STATUS.at(request))?);
    m.pool_free(dpc);
    m.complete_request(request, status)
}

/// The bus driver grants what a bus grants, answers what it knows of its devices, and leaves other requests as they are.
fn carry_out(m: &mut Machine, device: Va, request: Va) -> Result<NtStatus, Trap> {
    let stack = m.stack_location(request)?;
    let (major, minor) = functions(m, stack)?;
    let old = NtStatus(m.read_u32(irp::IO_STATUS_STATUS.at(request))?);
    let status = match major {
        c::IRP_MJ_PNP => answer(m, device, request, minor)?.unwrap_or(old),
        c::IRP_MJ_POWER if matches!(minor, c::IRP_MN_SET_POWER | c::IRP_MN_QUERY_POWER) => NtStatus::SUCCESS,
        c::IRP_MJ_POWER | c::IRP_MJ_SYSTEM_CONTROL => old,
        _ => NtStatus::INVALID_DEVICE_REQUEST,
    };
    m.write_u32(irp::IO_STATUS_STATUS.at(request), status.0)?;
    Ok(status)
}

/// The status of a Plug and Play request that the bus driver answers.
fn answer(m: &mut Machine, device: Va, request: Va, minor: u32) -> Result<Option<NtStatus>, Trap> {
    let stack = m.stack_location(request)?;
    let number = m.bus_device_number(device).unwrap_or_default();
    let kind = m.read_u32(io_stack_location::PARAMETERS_QUERY_ID_ID_TYPE.at(stack))?;
    let information = match minor {
        c::IRP_MN_START_DEVICE
        | c::IRP_MN_QUERY_REMOVE_DEVICE
        | c::IRP_MN_REMOVE_DEVICE
        | c::IRP_MN_CANCEL_REMOVE_DEVICE
        | c::IRP_MN_STOP_DEVICE
        | c::IRP_MN_QUERY_STOP_DEVICE
        | c::IRP_MN_CANCEL_STOP_DEVICE
        | c::IRP_MN_SURPRISE_REMOVAL => return Ok(Some(NtStatus::SUCCESS)),
        c::IRP_MN_QUERY_CAPABILITIES => return capabilities(m, stack).map(Some),
        c::IRP_MN_QUERY_ID => m.bus_query_id(number, kind)?,
        c::IRP_MN_QUERY_DEVICE_TEXT => m.bus_device_text(number, kind)?,
        _ => return super::pci::answer(m, device, request, minor),
    };
    let Some(information) = information else { return Ok(None) };
    m.write_u64(irp::IO_STATUS_INFORMATION.at(request), information.0)?;
    Ok(Some(NtStatus::SUCCESS))
}

/// A device that is at full power while the system works and off otherwise, and that cannot be removed.
fn capabilities(m: &mut Machine, stack: Va) -> Result<NtStatus, Trap> {
    use nt_types::layout::device_capabilities as caps;
    let at = m.read_va(io_stack_location::PARAMETERS_DEVICE_CAPABILITIES_CAPABILITIES.at(stack))?;
    if u64::from(m.read_u16(caps::SIZE.at(at))?) < caps::SIZEOF {
        return Ok(NtStatus::INVALID_PARAMETER);
    }
    for state in 0..c::POWER_SYSTEM_MAXIMUM {
        let device = match state {
            c::POWER_SYSTEM_UNSPECIFIED => c::POWER_DEVICE_UNSPECIFIED,
            c::POWER_SYSTEM_WORKING => c::POWER_DEVICE_D0,
            _ => c::POWER_DEVICE_D3,
        };
        m.write_u32(caps::DEVICE_STATE.element(state, 4).at(at), device)?;
    }
    Ok(NtStatus::SUCCESS)
}
