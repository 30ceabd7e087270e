//! Reading an image by offset, wherever its bytes are.

use nt_types::Rva;
use object::pod::{self, Pod};

use crate::{Directory, ImageError};

/// The bytes of an image, addressed by offset from its base.
///
/// Implemented by [`Image`](crate::Image) (the file) and [`MappedImage`] (a slice). A kernel implements it over guest memory: its error
/// type then holds page faults too, and a decoding that met one can simply be repeated.
pub trait ReadImage {
    /// Why a read fails. Decoding adds its own errors.
    type Error: From<ImageError>;

    /// Fills `out` with the bytes at `rva`, or reads nothing.
    fn read(&mut self, rva: Rva, out: &mut [u8]) -> Result<(), Self::Error>;
}

/// An image as it lies in memory.
#[derive(Clone, Copy, Debug)]
pub struct MappedImage<'a>(pub &'a [u8]);

impl ReadImage for MappedImage<'_> {
    type Error = ImageError;

    fn read(&mut self, rva: Rva, out: &mut [u8]) -> Result<(), ImageError> {
        let outside = ImageError::Outside { rva, length: out.len() };
        let from = self.0.get(rva.0 as usize..).ok_or(outside)?;
        out.copy_from_slice(from.get(..out.len()).ok_or(outside)?);
        Ok(())
    }
}

/// Longest name read from an image, in bytes. Those of drivers stay far below.
pub(crate) const MAX_NAME: usize = 512;

/// Most bytes of names read in one table, so that many entries cannot share one long name.
const MAX_NAMES: usize = 1 << 20;

/// Reads of single things, in the name of one table.
pub(crate) struct TableReader<'a, R> {
    reader: &'a mut R,
    directory: Directory,
    names_left: usize,
}

impl<'a, R: ReadImage> TableReader<'a, R> {
    pub(crate) fn new(reader: &'a mut R, directory: Directory) -> Self {
        TableReader { reader, directory, names_left: MAX_NAMES }
    }

    /// `rva` plus `offset`, unless that passes 4 GiB.
    pub(crate) fn offset(&self, rva: Rva, offset: u64) -> Result<Rva, R::Error> {
        let sum = u64::from(rva.0).checked_add(offset).and_then(|sum| u32::try_from(sum).ok());
        sum.map(Rva).ok_or_else(|| self.malformed(rva, "an offset passes 4 GiB"))
    }

    pub(crate) fn bytes(&mut self, rva: Rva, out: &mut [u8]) -> Result<(), R::Error> {
        self.reader.read(rva, out)
    }

    pub(crate) fn array<const N: usize>(&mut self, rva: Rva) -> Result<[u8; N], R::Error> {
        let mut out = [0; N];
        self.bytes(rva, &mut out)?;
        Ok(out)
    }

    pub(crate) fn u16(&mut self, rva: Rva) -> Result<u16, R::Error> {
        self.array(rva).map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self, rva: Rva) -> Result<u32, R::Error> {
        self.array(rva).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, rva: Rva) -> Result<u64, R::Error> {
        self.array(rva).map(u64::from_le_bytes)
    }

    pub(crate) fn pod<T: Pod>(&mut self, rva: Rva) -> Result<T, R::Error> {
        let mut buffer = [0u8; 64];
        let bytes = &mut buffer[..size_of::<T>()];
        self.bytes(rva, bytes)?;
        let (value, _) = pod::from_bytes::<T>(bytes).expect("the buffer has the size of T, and T needs no alignment");
        Ok(*value)
    }

    /// A string up to its zero byte. Names are ASCII.
    pub(crate) fn name(&mut self, rva: Rva) -> Result<String, R::Error> {
        let mut name = String::new();
        for offset in 0..MAX_NAME.min(self.names_left) as u64 {
            self.names_left -= 1;
            let at = self.offset(rva, offset)?;
            match self.array::<1>(at)? {
                [0] => return Ok(name),
                [byte @ 0x20..0x7f] => name.push(char::from(byte)),
                _ => return Err(self.malformed(at, "a name holds a byte that is not printable ASCII")),
            }
        }
        Err(self.malformed(rva, "a name does not end, or names are too long in all"))
    }

    pub(crate) fn malformed(&self, rva: Rva, reason: &'static str) -> R::Error {
        ImageError::Malformed { directory: self.directory, rva, reason }.into()
    }

    pub(crate) fn too_many(&self, limit: usize) -> R::Error {
        ImageError::TooMany { directory: self.directory, limit }.into()
    }
}
