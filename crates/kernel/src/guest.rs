//! Guest memory as exports see it: like an access of the guest, with the same faults.

use engine::Mmu;
use nt_types::Va;

use crate::call::Trap;
use crate::machine::Machine;

/// Longest string or buffer that the modelled kernel copies at once, in bytes.
const MAX_BUFFER: u64 = 64 << 20;

macro_rules! scalar_access {
    ($($read:ident $write:ident $type:ty;)*) => {
        impl Machine {
            $(
                #[doc = concat!("Reads a `", stringify!($type), "`.")]
                pub fn $read(&mut self, address: Va) -> Result<$type, Trap> {
                    match self.memory.load(address.0) {
                        Ok(bytes) => Ok(<$type>::from_le_bytes(bytes)),
                        Err(fault) => {
                            let mut bytes = [0; size_of::<$type>()];
                            self.read_again(address, &mut bytes, fault)?;
                            Ok(<$type>::from_le_bytes(bytes))
                        }
                    }
                }

                #[doc = concat!("Writes a `", stringify!($type), "`.")]
                pub fn $write(&mut self, address: Va, value: $type) -> Result<(), Trap> {
                    Ok(self.memory.store(address.0, value.to_le_bytes())?)
                }
            )*
        }
    };
}

scalar_access! {
    read_u8 write_u8 u8;
    read_u16 write_u16 u16;
    read_u32 write_u32 u32;
    read_u64 write_u64 u64;
}

impl Machine {
    /// Reads a pointer.
    pub fn read_va(&mut self, address: Va) -> Result<Va, Trap> {
        self.read_u64(address).map(Va)
    }

    /// Reads `length` bytes.
    pub fn read_bytes(&mut self, address: Va, length: u64) -> Result<Vec<u8>, Trap> {
        let mut bytes = vec![0; self.bounded(length)?];
        if let Err(fault) = self.memory.read_bytes(address, &mut bytes) {
            self.read_again(address, &mut bytes, fault)?;
        }
        Ok(bytes)
    }

    /// Writes bytes; on a fault nothing was written to the page that refused, and the caller starts over.
    pub fn write_bytes(&mut self, address: Va, bytes: &[u8]) -> Result<(), Trap> {
        Ok(self.memory.write_bytes(address, bytes)?)
    }

    /// Writes `length` equal bytes.
    pub fn fill_bytes(&mut self, address: Va, byte: u8, length: u64) -> Result<(), Trap> {
        let bytes = vec![byte; self.bounded(length)?];
        self.write_bytes(address, &bytes)
    }

    /// Makes sure that a write of `length` bytes would succeed: for exports whose other effects cannot be done twice.
    pub(crate) fn probe_write(&mut self, address: Va, length: u64) -> Result<(), Trap> {
        let length = self.bounded(length)?;
        Ok(self.memory.probe_store(address.0, length)?)
    }

    fn bounded(&mut self, length: u64) -> Result<usize, Trap> {
        if length <= MAX_BUFFER {
            return Ok(length as usize);
        }
        let what = format!("a buffer of {length:#x} bytes, over the limit of {MAX_BUFFER:#x}");
        Err(self.unsupported(crate::stop::Unsupported::Feature(what)).into())
    }
}
