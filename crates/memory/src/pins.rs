//! Pages that MDLs keep in memory.

use engine::{Access, Fault};
use nt_types::Va;

use crate::Memory;
use crate::error::NotPinned;
use crate::mmu::pieces;
use crate::pfn::Use;
use crate::types::Frame;

impl Memory {
    /// Pins the pages of `length` bytes at `va` and returns their frames, like MmProbeAndLockPages. Pins count.
    ///
    /// # Errors
    /// The fault of the first page that is not resident or refuses `access`, and nothing is pinned: bring it in and start
    /// over. [`Fault::Device`] for device memory.
    pub fn pin(&mut self, va: Va, length: usize, access: Access) -> Result<Vec<Frame>, Fault> {
        let frame = |(at, _)| self.check(at, access).map(|(_, frame)| Frame(frame));
        let frames: Vec<Frame> = pieces(va.0, length).map(frame).collect::<Result<_, _>>()?;
        frames.iter().for_each(|frame| self.add_pin(frame.0));
        Ok(frames)
    }

    /// Takes back one pin of each frame.
    ///
    /// # Errors
    /// A frame is not pinned, or not as often as it is named; nothing has changed.
    pub fn unpin(&mut self, frames: &[Frame]) -> Result<(), NotPinned> {
        for (done, &frame) in frames.iter().enumerate() {
            if self.pfn(frame.0).pins == 0 {
                frames[..done].iter().for_each(|frame| self.pfns.get_mut(frame.0).pins += 1);
                return Err(NotPinned(frame));
            }
            self.pfns.get_mut(frame.0).pins -= 1;
        }
        frames.iter().for_each(|frame| self.pin_removed(frame.0));
        Ok(())
    }

    pub(crate) fn add_pin(&mut self, frame: u32) {
        self.pfns.get_mut(frame).pins += 1;
        self.reconsider(frame);
    }

    fn pin_removed(&mut self, frame: u32) {
        let pfn = self.pfn(frame);
        if pfn.used != Use::Free && pfn.pins == 0 && pfn.mappings == 0 {
            self.destroy(frame);
        } else {
            self.reconsider(frame);
            self.eligibility_changed();
        }
    }
}
