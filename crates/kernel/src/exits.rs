//! What each way out of the engine means to the machine.

use devices::DeviceId;
use engine::{Device, DeviceAccess, Exception, Exit, Fault, Privileged, Run};
use nt_types::{Irql, Va};

use crate::choice::ChoicePoints;
use crate::deed::Deed;
use crate::machine::Machine;
use crate::stop::{StopKind, Unsupported};

const MSR_GS_BASE: u32 = 0xC000_0101;
const MSR_KERNEL_GS_BASE: u32 = 0xC000_0102;

impl Machine {
    pub(crate) fn handle_exit(&mut self, run: Run) {
        let instruction = Va(run.instruction);
        match run.exit {
            Exit::Budget => {}
            Exit::PageFault(fault) => self.access_refused(Fault::Page(fault), instruction),
            Exit::Device(access) => self.device_access(access),
            Exit::Hypercall => self.hypercall(instruction),
            Exit::IrqlChanged { old } => self.irql_written(Irql::new(old), instruction),
            Exit::InterruptsEnabled => self.attention = true,
            Exit::Halt => self.forbidden("`hlt`, which stops the processor until an interrupt", instruction),
            Exit::Privileged(what) => self.privileged(what, instruction),
            Exit::Exception(exception) => {
                self.check_poison(exception.vector, instruction);
                self.processor_exception(exception, instruction);
            }
            Exit::Unsupported(what) => {
                let bytes = what.bytes[..usize::from(what.length).min(15)].to_vec();
                let stop = self.stop_at(instruction, StopKind::Unsupported(Unsupported::Instruction(bytes)));
                self.halt(stop);
            }
        }
    }

    /// A port or device-memory access: the bus answers, the instruction starts over and finds the answer.
    fn device_access(&mut self, access: DeviceAccess) {
        let now = self.now_ns();
        if let Device::Memory(address) = access.device
            && self.memory.is_ram(address)
        {
            return self.page_table_access(address, access);
        }
        let Some(deed) = self.choose_answer(access) else { return };
        if let (Some(Deed::Befall(mishap)), Some(device)) = (deed, self.device_at(access.device)) {
            self.bus.befall(device, mishap, now);
        }
        let answer = match (access.device, access.write) {
            (_, None) if deed == Some(Deed::Absent) => u64::MAX,
            (Device::Port(port), None) => self.bus.port_read(port, access.width, now),
            (Device::Memory(address), None) => self.bus.memory_read(address, access.width, now),
            (Device::Port(port), Some(value)) => {
                self.bus.port_write(port, access.width, value, now);
                0
            }
            (Device::Memory(address), Some(value)) => {
                self.bus.memory_write(address, access.width, value, now);
                0
            }
        };
        self.cpu().answers.push(answer);
        self.attention = true;
    }

    /// Asks whether the device that is read is there, and what happens to it first; `None` while that is undecided.
    fn choose_answer(&mut self, access: DeviceAccess) -> Option<Option<Deed>> {
        if access.write.is_some() || !self.options.choices.has(ChoicePoints::DEVICE) {
            return Some(None);
        }
        self.choose(|m| {
            let mishaps = m.device_at(access.device).map_or(&[][..], |device| m.bus.mishaps(device));
            [Deed::Absent].into_iter().chain(mishaps.iter().copied().map(Deed::Befall)).collect()
        })
    }

    fn device_at(&self, device: Device) -> Option<DeviceId> {
        match device {
            Device::Port(port) => self.bus.port_owner(port),
            Device::Memory(address) => self.bus.memory_owner(address),
        }
    }

    /// The only RAM that is mapped as devices are holds page tables: a driver reads or edits its own.
    fn page_table_access(&mut self, address: u64, access: DeviceAccess) {
        let width = usize::from(access.width.min(8));
        let mut bytes = [0; 8];
        let done = match access.write {
            None => {
                self.memory.read_physical(address, &mut bytes[..width]);
                Ok(())
            }
            Some(value) => self.memory.write_page_table(address, &value.to_le_bytes()[..width]),
        };
        if let Err(error) = done {
            let what = Unsupported::Feature(format!("a change of a page table at `{address:#x}`: {error}"));
            let here = self.here();
            let stop = self.stop_at(here, StopKind::Unsupported(what));
            return self.halt(stop);
        }
        self.cpu().answers.push(if access.write.is_some() { 0 } else { u64::from_le_bytes(bytes) });
        self.attention = true;
    }

    fn privileged(&mut self, what: Privileged, instruction: Va) {
        match what {
            Privileged::ReadMsr(index) => match self.ke.read_msr(index) {
                Some(value) => self.cpu().answers.push(value),
                None => self.unsupported_msr(index, None, instruction),
            },
            Privileged::WriteMsr(index @ (MSR_GS_BASE | MSR_KERNEL_GS_BASE), value) => {
                self.unsupported_msr(index, Some(value), instruction);
            }
            Privileged::SwapGs => {
                self.forbidden("`swapgs`, after which the kernel does not find its processor", instruction);
            }
            Privileged::LoadTable { interrupts, table } => {
                let name = if interrupts { "lidt" } else { "lgdt" };
                let what = format!("`{name}`: a table of the driver's own at `{:#x}`", table.base);
                self.forbidden(&what, instruction);
            }
            Privileged::WriteMsr(index, value) => match self.ke.write_msr(index, value) {
                true => self.cpu().answers.push(0),
                false => self.unsupported_msr(index, Some(value), instruction),
            },
            // Memory has the page tables that it made, and no others.
            Privileged::WriteControl(3, value) => {
                let what = Unsupported::Feature(format!("page tables of the driver's own: CR3 is `{value:#x}`"));
                let stop = self.stop_at(instruction, StopKind::Unsupported(what));
                self.halt(stop);
            }
            // The engine keeps the value. Clearing CR0.WP does not open read-only pages: memory always honours them.
            Privileged::WriteControl(..) | Privileged::FlushCaches | Privileged::InvalidatePage(_) => {
                self.cpu().answers.push(0);
            }
        }
    }

    /// A privileged instruction by which a driver takes the processor from the system.
    fn forbidden(&mut self, what: &str, instruction: Va) {
        let what = Unsupported::Feature(format!("privileged instruction {what}"));
        let stop = self.stop_at(instruction, StopKind::Unsupported(what));
        self.halt(stop);
    }

    fn unsupported_msr(&mut self, register: u32, write: Option<u64>, instruction: Va) {
        let stop = self.stop_at(instruction, StopKind::Unsupported(Unsupported::Msr { register, write }));
        self.halt(stop);
    }

    /// `vmcall` outside the kernel images.
    pub(crate) fn invalid_opcode(&mut self, instruction: Va) {
        self.processor_exception(Exception { vector: 6, error: None, software: false }, instruction);
    }
}
