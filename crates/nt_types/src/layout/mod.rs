//! x64 layouts of the structures that drivers touch, one module a structure, named as in C but in lower case.
//!
//! The numbers come from the public headers: `cargo xtask layouts` compiles `layout/*.c` and writes the family files
//! beside this one; `cargo xtask layouts --check` compares. A member keeps its C path in upper case, so that
//! `Tail.Overlay.ListEntry` of `IRP` is [`irp::TAIL_OVERLAY_LIST_ENTRY`]; `SIZEOF` is the size of the whole.
//!
//! Where the mingw-w64 headers and the current WDK name things differently, offsets and sizes still agree for all that
//! is listed, with these remarks: `KDPC.DpcListEntry` is a single link followed by `ProcessorHistory`; `KTIMER.Processor`
//! is two halves, `Processor` and `TimerType`; `DMA_OPERATIONS` has grown at its end; `KUSER_SHARED_DATA` has grown at
//! its end, so its `SIZEOF` is a lower bound (the page is mapped whole).

mod ex;
mod io;
mod ke;
mod mm;
mod pnp;
mod rtl;
mod seh;
mod wmi;

pub use ex::*;
pub use io::*;
pub use ke::*;
pub use mm::*;
pub use pnp::*;
pub use rtl::*;
pub use seh::*;
pub use wmi::*;

use crate::Va;

/// A member of a structure: where it lies and how large it is, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// Bytes from the start of the structure.
    pub offset: u32,
    /// Bytes that it takes; for an array all elements together.
    pub size: u32,
}

impl Field {
    /// A member of `size` bytes at `offset`.
    pub const fn new(offset: u32, size: u32) -> Field {
        Field { offset, size }
    }

    /// Its address in the structure at `base`.
    pub const fn at(self, base: Va) -> Va {
        base.offset(self.offset as u64)
    }

    /// The base of the structure whose member lies at `address` (`CONTAINING_RECORD`).
    pub const fn base_of(self, address: Va) -> Va {
        Va(address.0.wrapping_sub(self.offset as u64))
    }

    /// The member `inner` of the structure that this member is.
    pub const fn then(self, inner: Field) -> Field {
        Field { offset: self.offset + inner.offset, size: inner.size }
    }

    /// Element `index` of an array whose elements have `size` bytes each.
    pub const fn element(self, index: u32, size: u32) -> Field {
        Field { offset: self.offset + index * size, size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes that `!analyze` users know by heart, independent of the headers that the numbers were generated from.
    #[test]
    fn known_sizes() {
        let sizes = [
            (irp::SIZEOF, 0xd0),
            (io_stack_location::SIZEOF, 0x48),
            (device_object::SIZEOF, 0x150),
            (driver_object::SIZEOF, 0x150),
            (file_object::SIZEOF, 0xd8),
            (mdl::SIZEOF, 0x30),
            (kdpc::SIZEOF, 0x40),
            (kevent::SIZEOF, 0x18),
            (ktimer::SIZEOF, 0x40),
            (kmutant::SIZEOF, 0x38),
            (ksemaphore::SIZEOF, 0x20),
            (kapc::SIZEOF, 0x58),
            (kwait_block::SIZEOF, 0x30),
            (fast_mutex::SIZEOF, 0x38),
            (eresource::SIZEOF, 0x68),
            (npaged_lookaside_list::SIZEOF, 0x80),
            (lookaside_list_ex::SIZEOF, 0x60),
            (context::SIZEOF, 0x4d0),
            (exception_record::SIZEOF, 0x98),
            (dispatcher_context::SIZEOF, 0x50),
        ];
        for (index, (ours, known)) in sizes.into_iter().enumerate() {
            assert_eq!(ours, known, "entry {index}");
        }
    }

    #[test]
    fn known_offsets() {
        assert_eq!(irp::IO_STATUS_STATUS, Field::new(0x30, 4));
        assert_eq!(irp::TAIL_OVERLAY_CURRENT_STACK_LOCATION, Field::new(0xb8, 8));
        assert_eq!(io_stack_location::PARAMETERS_DEVICE_IO_CONTROL_IO_CONTROL_CODE, Field::new(0x18, 4));
        assert_eq!(device_object::DEVICE_EXTENSION, Field::new(0x40, 8));
        assert_eq!(driver_object::MAJOR_FUNCTION, Field::new(0x70, 28 * 8));
        assert_eq!(kpcr::CURRENT_THREAD, Field::new(0x188, 8));
        assert_eq!(kuser_shared_data::SYSTEM_TIME, Field::new(0x14, 12));
        assert_eq!(kuser_shared_data::NT_MAJOR_VERSION, Field::new(0x26c, 4));
        assert_eq!(kuser_shared_data::TICK_COUNT.offset, 0x320);
        assert_eq!(kuser_shared_data::INTERRUPT_TIME_BIAS.offset, 0x3b0);
        assert_eq!(context::RIP.offset, 0xf8);
        assert_eq!(context::XMM0.offset, 0x1a0);
    }

    #[test]
    fn members_of_members() {
        let status = irp::IO_STATUS.then(io_status_block::STATUS);
        assert_eq!(status, irp::IO_STATUS_STATUS);
        let entry = irp::TAIL_OVERLAY_LIST_ENTRY.at(Va(0x1000));
        assert_eq!(irp::TAIL_OVERLAY_LIST_ENTRY.base_of(entry), Va(0x1000));
        assert_eq!(driver_object::MAJOR_FUNCTION.element(3, 8), Field::new(0x88, 8));
    }
}
