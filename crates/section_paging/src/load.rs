//! Load, discard and unload.

use alloc::vec::Vec;
use core::fmt;

use nt_types::Va;

use crate::finding::Finding;
use crate::id::{Handle, ImageId};
use crate::image::{Image, NewImage};
use crate::pages::PageRun;
use crate::paging::Paging;
use crate::step::{Answer, Loaded, UnloadStep};
use crate::table::UnloadedImage;

/// Why an image cannot be loaded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LoadError {
    /// The base is not a page boundary.
    Misaligned(Va),
    /// The image has no bytes.
    Empty,
    /// The image passes the end of the address space.
    Wraps,
    /// Addresses of the image are reserved for handles ([`Handle::RANGE`]).
    InHandleRange,
    /// The image shares a page with a loaded one.
    Overlaps(ImageId),
    /// More sections than a PE header can count.
    TooManySections(usize),
    /// Every load serial has been used.
    SerialsExhausted,
    /// A run of the load map leaves the image.
    LoadMapOutsideImage(PageRun),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Misaligned(base) => write!(f, "base `{base}` is not a page boundary"),
            LoadError::Empty => f.write_str("the image has no bytes"),
            LoadError::Wraps => f.write_str("the image passes the end of the address space"),
            LoadError::InHandleRange => f.write_str("the image uses addresses that are reserved for handles"),
            LoadError::Overlaps(image) => write!(f, "the image shares a page with {image:?}"),
            LoadError::TooManySections(count) => write!(f, "{count} sections are more than a PE header can count"),
            LoadError::SerialsExhausted => f.write_str("every load serial has been used"),
            LoadError::LoadMapOutsideImage(run) => write!(f, "load map run `{run:?}` leaves the image"),
        }
    }
}

impl core::error::Error for LoadError {}

impl Paging {
    /// Loads an image. Its load map becomes eligible at once (D1), unless paging is disabled (R61).
    ///
    /// # Errors
    /// The layout is refused for the reason given, and nothing has changed.
    pub fn load(&mut self, new: &NewImage<'_>) -> Result<Loaded, LoadError> {
        let id = self.admit(new)?;
        let load_map = if self.config.paging { new.load_map } else { &[] };
        let image = Image::new(id, &NewImage { load_map, ..*new });
        let newly_eligible = image.eligible(image.run());
        self.table.insert(image);
        Ok(Loaded { image: id, newly_eligible })
    }

    fn admit(&self, new: &NewImage<'_>) -> Result<ImageId, LoadError> {
        let end = new.base.0.checked_add(u64::from(new.size_bytes)).ok_or(LoadError::Wraps)?;
        if new.base.page_offset() != 0 {
            return Err(LoadError::Misaligned(new.base));
        }
        if new.size_bytes == 0 {
            return Err(LoadError::Empty);
        }
        if new.base.0 < Handle::RANGE.end && end > Handle::RANGE.start {
            return Err(LoadError::InHandleRange);
        }
        if new.sections.len() > usize::from(u16::MAX) {
            return Err(LoadError::TooManySections(new.sections.len()));
        }
        let outside = |run: &&PageRun| !run.is_empty() && run.intersection(new.run()) != **run;
        if let Some(run) = new.load_map.iter().find(outside) {
            return Err(LoadError::LoadMapOutsideImage(*run));
        }
        if let Some(other) = self.table.overlapping(new.run()) {
            return Err(LoadError::Overlaps(other));
        }
        self.table.next_id().ok_or(LoadError::SerialsExhausted)
    }

    /// Discards sections and frees pages, computed by the caller from the headers (D9). Sections count as discarded also
    /// where a page of theirs is kept (D11); a locked one is discarded anyway, its count stays, and K25 is returned (D13).
    /// A first lock in progress fails when it ends. Nothing happens for an image that is not loaded.
    pub fn discard(&mut self, image: ImageId, sections: &[u16], pages: &[PageRun]) -> Vec<Finding> {
        let Some(image) = self.table.get_mut(image) else { return Vec::new() };
        let before = image.locked(|section| !section.discarded);
        for index in sections {
            if let Some(section) = image.sections.get_mut(usize::from(*index)) {
                section.discarded = true;
            }
        }
        for run in pages {
            image.pages_mut(*run).iter_mut().for_each(|page| page.discarded = true);
        }
        let locked: Vec<_> = before.into_iter().filter(|locked| sections.contains(&locked.section.index)).collect();
        if locked.is_empty() { Vec::new() } else { alloc::vec![Finding::LockOfDiscarded { locked }] }
    }

    /// Unloads an image, also one whose `DriverEntry` failed. `None` if it is not loaded.
    ///
    /// From the first call on the image is gone for every call that starts later; those inside go on, and unload waits
    /// for them (D29, K20). Locked sections never fail the unload: their pages leak, and K05 is returned (D28).
    pub fn unload(&mut self, image: ImageId) -> Option<Answer<UnloadStep>> {
        let image = self.table.get_mut(image)?;
        let first = !core::mem::replace(&mut image.closing, true);
        if image.calls == 0 {
            let id = image.id;
            return Some(self.remove(id));
        }
        let finding = Finding::UnloadDuringCall { image: image.id, calls: image.calls };
        let findings = first.then_some(finding).into_iter().collect();
        Some(Answer { step: UnloadStep::Wait { calls: image.calls }, findings })
    }

    fn remove(&mut self, id: ImageId) -> Answer<UnloadStep> {
        let image = self.inside(id);
        let leaked = image.select(image.run(), |page| page.pins > 0 && !page.discarded);
        let locked = image.locked(|_| true);
        let memory = UnloadedImage {
            image: id,
            name: image.name.clone(),
            base: image.base,
            size_bytes: image.size_bytes,
            issued: image.issued(),
        };
        self.table.remove(id, memory);
        let finding = (!locked.is_empty()).then_some(Finding::UnloadWithLocks { image: id, locked });
        Answer { step: UnloadStep::Unloaded { leaked }, findings: finding.into_iter().collect::<Vec<_>>() }
    }
}
