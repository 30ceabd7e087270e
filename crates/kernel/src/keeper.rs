//! Where a driver keeps an address: for reports about what was kept for too long.

use driver_image::SectionFlags;
use nt_types::layout::{Field, device_object, driver_extension, driver_object};
use nt_types::{Va, constants as c};

use crate::machine::Machine;
use crate::modules::LoadedDriver;

/// A place of a driver's data that holds an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keeper {
    /// A variable of its image.
    Variable(Va),
    /// The entry of its driver object for this major function.
    Dispatch(u8),
    /// This member of its driver object.
    Member(&'static str),
    /// A device object of it, or the extension.
    Device(Va),
    /// A block of pool that it allocated.
    Pool(Va),
}

/// Members of the driver object, and of its extension, that a driver sets itself.
const MEMBERS: [(&str, Field); 2] =
    [("DriverStartIo", driver_object::DRIVER_START_IO), ("DriverUnload", driver_object::DRIVER_UNLOAD)];

/// Devices of one driver that are looked at.
const MAX_DEVICES: usize = 0x1000;

impl Machine {
    /// The first place where the driver whose image holds this address keeps it, other than in code; `None` where it does
    /// not. Nothing is accessed: pages that are out are read from the paging file.
    pub fn keeper_of(&self, address: Va) -> Option<Keeper> {
        let driver = self.modules.driver_at(address)?;
        let dispatch = || self.kept_in_driver_object(driver, address);
        let variable = || self.kept_in_image(driver, address);
        let device = || self.kept_in_devices(driver, address);
        dispatch().or_else(variable).or_else(device).or_else(|| self.kept_in_pool(driver, address))
    }

    fn kept_in_driver_object(&self, driver: &LoadedDriver, address: Va) -> Option<Keeper> {
        let holds = |at: Va| self.peek_va(at) == Some(address);
        let object = driver.driver_object;
        let majors = 0..=c::IRP_MJ_MAXIMUM_FUNCTION as u8;
        let entry = |major: &u8| holds(driver_object::MAJOR_FUNCTION.element(u32::from(*major), 8).at(object));
        let member = || MEMBERS.into_iter().find(|(_, field)| holds(field.at(object))).map(|(name, _)| name);
        let add_device = || {
            let extension = self.peek_va(driver_object::DRIVER_EXTENSION.at(object))?;
            holds(driver_extension::ADD_DEVICE.at(extension)).then_some("AddDevice")
        };
        let found = majors.into_iter().find(entry).map(Keeper::Dispatch);
        found.or_else(|| member().or_else(add_device).map(Keeper::Member))
    }

    fn kept_in_image(&self, driver: &LoadedDriver, address: Va) -> Option<Keeper> {
        let data = driver.image.sections().iter().filter(|section| !section.flags.has(SectionFlags::EXECUTE));
        let mut places = data.map(|section| (driver.base + section.rva, u64::from(section.span())));
        places.find_map(|(start, bytes)| self.kept_within(start, bytes, address)).map(Keeper::Variable)
    }

    fn kept_in_devices(&self, driver: &LoadedDriver, address: Va) -> Option<Keeper> {
        let first = self.peek_va(driver_object::DEVICE_OBJECT.at(driver.driver_object));
        let next = |device: &Va| self.peek_va(device_object::NEXT_DEVICE.at(*device));
        let devices = std::iter::successors(first, next).take_while(|device| !device.is_null()).take(MAX_DEVICES);
        let mut blocks = devices.filter_map(|device| Some((device, self.mm.pool.block(device)?.bytes)));
        blocks.find_map(|(device, bytes)| self.kept_within(device, bytes, address)).map(Keeper::Device)
    }

    fn kept_in_pool(&self, driver: &LoadedDriver, address: Va) -> Option<Keeper> {
        let mut blocks = self.mm.pool.blocks().filter(|(_, block)| block.site - driver.base < driver.size);
        blocks.find_map(|(start, block)| self.kept_within(start, block.bytes, address)).map(Keeper::Pool)
    }

    /// Where the address stands in these bytes, at a place that is aligned as compilers align pointers.
    fn kept_within(&self, start: Va, bytes: u64, address: Va) -> Option<Va> {
        let mut content = vec![0; usize::try_from(bytes).ok()?];
        self.memory.peek(start, &mut content).ok()?;
        let wanted = address.0.to_le_bytes();
        let words = content.chunks_exact(wanted.len());
        words.zip(0..).find(|(word, _)| *word == wanted).map(|(_, index)| start + index * wanted.len() as u64)
    }

    fn peek_va(&self, at: Va) -> Option<Va> {
        let mut bytes = [0; 8];
        self.memory.peek(at, &mut bytes).ok()?;
        Some(Va(u64::from_le_bytes(bytes)))
    }
}
