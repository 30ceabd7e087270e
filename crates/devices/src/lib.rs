//! Hardware models behind ports, device memory and interrupt lines.
//!
//! A [`Device`] is plain data in virtual time: no host clock, no host I/O, no threads. The [`Bus`] routes accesses to it
//! and watches its interrupt line. What comes from and goes to the host travels through a [`SerialLine`], whose input is
//! given to it and whose output is taken from it between runs ([`host`]).
#![forbid(unsafe_code)]

mod bus;
mod device;
pub mod host;
mod interrupt_line;
mod mishap;
pub mod pci;
mod ranges;
mod serial_line;
mod uart16550;

pub use bus::{Bus, BusError, DeviceId, Resources};
pub use device::Device;
pub use interrupt_line::Trigger;
pub use mishap::Mishap;
pub use pci::PciFunction;
pub use ranges::AddressRange;
pub use serial_line::{FlowControl, ModemInputs, ModemOutputs, SerialLine, Signal, Transmitted};
pub use uart16550::{PORT_COUNT, Uart16550};
