//! Accesses of the modelled kernel, checked like those of guest code. A fault is handled as one of the driver's would be:
//! bring the page in, or stop; then start over.

use engine::{Fault, Mmu};
use nt_types::Va;

use crate::Memory;

impl Memory {
    /// One byte.
    pub fn read_u8(&mut self, va: Va) -> Result<u8, Fault> {
        self.load(va.0).map(u8::from_le_bytes)
    }

    /// Two bytes, little-endian.
    pub fn read_u16(&mut self, va: Va) -> Result<u16, Fault> {
        self.load(va.0).map(u16::from_le_bytes)
    }

    /// Four bytes, little-endian.
    pub fn read_u32(&mut self, va: Va) -> Result<u32, Fault> {
        self.load(va.0).map(u32::from_le_bytes)
    }

    /// Eight bytes, little-endian.
    pub fn read_u64(&mut self, va: Va) -> Result<u64, Fault> {
        self.load(va.0).map(u64::from_le_bytes)
    }

    /// An address.
    pub fn read_va(&mut self, va: Va) -> Result<Va, Fault> {
        self.read_u64(va).map(Va)
    }

    /// Fills `buffer`; on a fault its content is undefined.
    pub fn read_bytes(&mut self, va: Va, buffer: &mut [u8]) -> Result<(), Fault> {
        self.read_range(va.0, buffer)
    }

    /// `units` UTF-16 units.
    pub fn read_utf16(&mut self, va: Va, units: u16) -> Result<Vec<u16>, Fault> {
        let mut bytes = vec![0; usize::from(units) * 2];
        self.read_range(va.0, &mut bytes)?;
        let (units, _) = bytes.as_chunks();
        Ok(units.iter().map(|unit| u16::from_le_bytes(*unit)).collect())
    }

    /// Bytes up to a NUL, which is not included, at most `limit`. Touches no byte beyond the NUL.
    pub fn read_c_string(&mut self, va: Va, limit: usize) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        while bytes.len() < limit {
            match self.read_u8(va + bytes.len() as u64)? {
                0 => break,
                byte => bytes.push(byte),
            }
        }
        Ok(bytes)
    }

    /// One byte.
    pub fn write_u8(&mut self, va: Va, value: u8) -> Result<(), Fault> {
        self.store(va.0, value.to_le_bytes())
    }

    /// Two bytes, little-endian.
    pub fn write_u16(&mut self, va: Va, value: u16) -> Result<(), Fault> {
        self.store(va.0, value.to_le_bytes())
    }

    /// Four bytes, little-endian.
    pub fn write_u32(&mut self, va: Va, value: u32) -> Result<(), Fault> {
        self.store(va.0, value.to_le_bytes())
    }

    /// Eight bytes, little-endian.
    pub fn write_u64(&mut self, va: Va, value: u64) -> Result<(), Fault> {
        self.store(va.0, value.to_le_bytes())
    }

    /// All of `bytes` or, on a fault, none.
    pub fn write_bytes(&mut self, va: Va, bytes: &[u8]) -> Result<(), Fault> {
        self.write_range(va.0, bytes)
    }
}
