//! Driver objects without an image, and loading by name (`IoCreateDriver`; ddi: ZwLoadDriver).

use nt_types::layout::{driver_extension, driver_object};
use nt_types::{NtStatus, Va, constants as c};

use crate::call::{Next, Outcome, Then, Trap};
use crate::export;
use crate::exports::{Export, io};
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoCreateDriver(name: Va, initialize: Va), PASSIVE),
    export!(Ntoskrnl, IoDeleteDriver(driver: Va), PASSIVE),
    export!(Ntoskrnl, ZwLoadDriver(service: Va), PASSIVE),
    export!(Ntoskrnl, ZwUnloadDriver(service: Va), PASSIVE),
];

/// The initialisation routine of a driver object without an image returned.
#[derive(Clone, Copy, Hash, Debug)]
pub struct Created {
    driver: Va,
}

impl Created {
    pub(super) fn run(self, m: &mut Machine, value: u64) -> Outcome {
        let status = NtStatus(value as u32);
        if status.is_success() {
            m.devices_initialized(self.driver)?;
        } else {
            m.io.drivers.retain(|driver| *driver != self.driver);
            m.pool_free(self.driver);
        }
        Ok(Next::status(status))
    }
}

/// The routine is called with the new object and no registry path. Without a name the object gets one of its own.
fn IoCreateDriver(m: &mut Machine, name: Va, initialize: Va) -> Outcome {
    let name = match name.is_null() {
        true => format!("\\Driver\\{:08}", m.io.drivers.len()),
        false => m.read_text(name)?,
    };
    if m.driver_named(&name)?.is_some() {
        return Ok(Next::status(NtStatus::OBJECT_NAME_COLLISION));
    }
    let driver = m.new_bare_driver(&name, initialize)?;
    m.io.drivers.push(driver);
    let then = Then::Io(io::Then::Created(Created { driver }));
    Ok(Next::call(initialize, &[driver.0, 0], then))
}

fn IoDeleteDriver(m: &mut Machine, driver: Va) -> Outcome {
    if !m.io.drivers.contains(&driver) {
        return Err(m.refuse("IoDeleteDriver", format!("`{driver}`, which is not from IoCreateDriver")));
    }
    m.io.drivers.retain(|known| *known != driver);
    m.pool_free(driver);
    Ok(Next::VOID)
}

/// No image file can be reached from inside the machine, so none is found.
fn ZwLoadDriver(m: &mut Machine, service: Va) -> Outcome {
    let path = m.read_text(service)?;
    let stem = path.rsplit('\\').next().unwrap_or_default();
    let loaded = m.driver_named(&format!("\\Driver\\{stem}"))?.is_some();
    Ok(Next::status(if loaded { NtStatus::IMAGE_ALREADY_LOADED } else { NtStatus::OBJECT_NAME_NOT_FOUND }))
}

fn ZwUnloadDriver(m: &mut Machine, service: Va) -> Outcome {
    let path = m.read_text(service)?;
    let stem = path.rsplit('\\').next().unwrap_or_default();
    match m.driver_named(&format!("\\Driver\\{stem}"))? {
        None => Ok(Next::status(NtStatus::OBJECT_NAME_NOT_FOUND)),
        Some(_) => Err(m.refuse("ZwUnloadDriver", format!("`{path}`, which is loaded"))),
    }
}

impl Machine {
    /// A driver object that no image belongs to.
    fn new_bare_driver(&mut self, name: &str, initialize: Va) -> Result<Va, Trap> {
        let size = driver_object::SIZEOF + 0x100;
        let Some(driver) = self.kernel_object(size, *b"Driv") else { return Err(self.no_pool()) };
        let extension = driver + driver_object::SIZEOF;
        let name = self.kernel_string(name).unwrap_or_default();
        let invalid = self.io.invalid_device_request(&self.kernel_images);
        self.write_u16(driver_object::TYPE.at(driver), c::IO_TYPE_DRIVER as u16)?;
        self.write_u16(driver_object::SIZE.at(driver), driver_object::SIZEOF as u16)?;
        self.write_u64(driver_object::DRIVER_EXTENSION.at(driver), extension.0)?;
        self.write_u64(driver_object::DRIVER_INIT.at(driver), initialize.0)?;
        self.write_bytes(driver_object::DRIVER_NAME.at(driver), &name)?;
        self.write_u64(driver_extension::DRIVER_OBJECT.at(extension), driver.0)?;
        for major in 0..=c::IRP_MJ_MAXIMUM_FUNCTION {
            self.write_u64(driver_object::MAJOR_FUNCTION.element(major, 8).at(driver), invalid.0)?;
        }
        Ok(driver)
    }
}
