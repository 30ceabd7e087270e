//! Where unwinding reads the function table, unwind information, code and the stack from.

use driver_image::{DataDirectory, Directory, ImageError, ReadImage};
use engine::Fault;
use memory::Memory;
use nt_types::{Rva, Va};

use crate::modules::LoadedDriver;

/// Why a frame could not be left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// Unwind information, or what follows from it, makes no sense.
    Malformed,
    /// Nothing is at this address of the stack, or it is not where a stack can be.
    Stack(Va),
    /// A page of the image refuses; it may only have to be brought in.
    Fault(Fault),
}

impl From<ImageError> for Failure {
    fn from(_: ImageError) -> Failure {
        Failure::Malformed
    }
}

/// Whether reading the image counts as the access that Windows makes there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reading {
    /// As dispatching does: through guest memory, where pages may be out.
    Touch,
    /// As a debugger does: from the file, without an effect.
    Look,
}

/// One driver image, and the stack.
pub(crate) struct Source<'a> {
    pub(crate) memory: &'a mut Memory,
    pub(crate) driver: &'a LoadedDriver,
    pub(crate) reading: Reading,
}

impl Source<'_> {
    pub(crate) fn function_table(&self) -> DataDirectory {
        self.driver.image.headers().directory(Directory::Exception)
    }

    /// Eight bytes of the stack. Stacks are resident, so looking is enough.
    pub(crate) fn stack_u64(&self, address: u64) -> Result<u64, Failure> {
        self.stack(address).map(u64::from_le_bytes)
    }

    /// `N` bytes of the stack.
    pub(crate) fn stack<const N: usize>(&self, address: u64) -> Result<[u8; N], Failure> {
        stack(self.memory, address)
    }
}

/// `N` bytes of the stack.
pub(crate) fn stack<const N: usize>(memory: &Memory, address: u64) -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    memory.peek(Va(address), &mut bytes).map_err(|_| Failure::Stack(Va(address)))?;
    Ok(bytes)
}

impl ReadImage for Source<'_> {
    type Error = Failure;

    fn read(&mut self, rva: Rva, out: &mut [u8]) -> Result<(), Failure> {
        if self.reading == Reading::Look {
            return Ok(self.driver.image.as_ref().clone().read(rva, out)?);
        }
        if u64::from(rva.0) + out.len() as u64 > self.driver.size {
            return Err(Failure::Malformed);
        }
        self.memory.read_bytes(self.driver.base + rva, out).map_err(Failure::Fault)
    }
}
