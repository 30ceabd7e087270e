//! Code integrity checks: no memory is both writable and executable (docs: devtest/code-integrity-checking).

use driver_image::{Directory, Image, Section, SectionFlags};
use nt_types::{BugCheck, BugCheckCode, PAGE_SIZE, Va, constants as c};

use super::Broken;
use crate::call::{Call, Trap};
use crate::machine::Machine;
use crate::stop::{Cause, ImageFlaw, StopKind};

const POOL: &str = "pool is not executable: `NonPagedPoolNx`";
const PROTECTION: &str = "memory is mapped and protected without `PAGE_EXECUTE`";
const MDL: &str = "an MDL is mapped with `MdlMappingNoExecute`";

/// `PAGE_EXECUTE*`, `MdlMappingNoExecute`, and the bits of a `POOL_TYPE` that are not about its memory: `PagedPool` and
/// `NonPagedPoolNx` are not executable.
const PAGE_EXECUTE: u64 = 0xF0;
const NO_EXECUTE: u64 = 0x4000_0000;
const PAGED_OR_NX: u64 = 0x201;

/// What an image has that the checks do not allow: the subcode, what about it, and the section.
fn of_image(image: &Image) -> Option<(u64, ImageFlaw, usize)> {
    let executable = |section: &Section| section.flags.has(SectionFlags::EXECUTE);
    let sections = image.sections();
    let find = |broken: &dyn Fn(&Section) -> bool| sections.iter().position(broken);
    let iat = image.headers().directory(Directory::ImportAddressTable);
    let holds_iat = |section: &Section| !iat.is_absent() && executable(section) && section.contains(iat.rva);
    let writable = find(&|section| executable(section) && section.flags.has(SectionFlags::WRITE));
    let unaligned = || find(&|section| u64::from(section.rva.0) % PAGE_SIZE != 0);
    writable
        .map(|index| (0x2003, ImageFlaw::WritableCode, index))
        .or_else(|| unaligned().map(|index| (0x2004, ImageFlaw::Unaligned, index)))
        .or_else(|| find(&holds_iat).map(|index| (0x2005, ImageFlaw::ImportsInCode, index)))
}

impl Machine {
    /// 0xC4/0x2003 to 0x2005: the image of a verified driver is about to run.
    pub(crate) fn check_image_integrity(&mut self, base: Va) -> Result<(), Trap> {
        if !self.options.verifier.code_integrity {
            return Ok(());
        }
        let Some(driver) = self.modules.driver_at(base) else { return Ok(()) };
        let Some((subcode, flaw, index)) = of_image(&driver.image) else { return Ok(()) };
        let (name, entry) = (driver.image.sections()[index].name(), driver.entry);
        let iat = driver.image.headers().directory(Directory::ImportAddressTable).rva;
        let header = driver.image.headers().section_header(index);
        let file: Vec<u8> = driver.name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        let [file, section] = [file, [name.as_bytes(), &[0]].concat()].map(|text| self.verifier_note(&text));
        let place = if subcode == 0x2005 { base + iat } else { base + header };
        let parameters = [subcode, file.0, place.0, section.0];
        let check = BugCheck { code: BugCheckCode::DRIVER_VERIFIER_DETECTED_VIOLATION, parameters };
        let cause = Cause::Integrity { section: name, flaw };
        Err(self.stop_at(entry, StopKind::BugCheck(check, cause)).into())
    }

    /// 0xC4/0x2000 to 0x2002: what a call asks for.
    pub(super) fn broken_integrity_rule(&mut self, routine: &str, call: &Call) -> Result<Option<Broken>, Trap> {
        if !self.options.verifier.code_integrity {
            return Ok(None);
        }
        let place = call.return_address.0;
        let broken = |subcode: u64, p3: u64, p4: u64, rule| Some(Broken { parameters: [subcode, place, p3, p4], rule });
        let first = call.raw(self, 0)?;
        let kind = first & 0xFFFF_FFFF;
        Ok(match routine {
            "ExAllocatePool" if kind & PAGED_OR_NX == 0 => broken(0x2000, kind, 0, POOL),
            "ExAllocatePoolWithTag" | "ExAllocatePoolWithQuotaTag" | "ExAllocatePoolWithTagPriority"
                if kind & PAGED_OR_NX == 0 =>
            {
                broken(0x2000, kind, call.raw(self, 2)? & 0xFFFF_FFFF, POOL)
            }
            "ExAllocatePool2" if first & u64::from(c::POOL_FLAG_NON_PAGED_EXECUTE) != 0 => {
                broken(0x2000, first, call.raw(self, 2)? & 0xFFFF_FFFF, POOL)
            }
            "MmMapLockedPagesSpecifyCache" => {
                let priority = call.raw(self, 5)? & 0xFFFF_FFFF;
                if priority & NO_EXECUTE == 0 { broken(0x2002, priority, 0, MDL) } else { None }
            }
            "MmProtectMdlSystemAddress" | "MmMapIoSpaceEx" => {
                let argument = if routine == "MmMapIoSpaceEx" { 2 } else { 1 };
                let protection = call.raw(self, argument)? & 0xFFFF_FFFF;
                if protection & PAGE_EXECUTE != 0 { broken(0x2001, protection, 0, PROTECTION) } else { None }
            }
            _ => None,
        })
    }
}
