//! The kernel is an image too: `ntoskrnl.exe`, `hal.dll` and `wmilib.sys`, generated at start.
//!
//! Every routine in the export tables gets a stub of 16 bytes: `vmcall`, which leaves the engine, and `ret`, which only
//! disassemblers see. Exported variables are real memory. Where a stub lies follows from its name, so that the addresses
//! in a report stay what they are when further exports are modelled.

use std::collections::HashMap;
use std::sync::Arc;

use driver_image::ExportTarget;
use driver_image::Image;
use driver_image::builder::{CODE, PeBuilder, VARIABLES};
use nt_types::{Rva, Va};

use crate::exports::{DATA_EXPORTS, EXPORTS, Module};

/// Bytes of a stub.
const STUB_SIZE: u32 = 16;
/// `vmcall; ret`, filled with breakpoints.
const STUB: [u8; STUB_SIZE as usize] =
    [0x0f, 0x01, 0xc1, 0xc3, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc];
/// Room between stubs, and a place that no export has.
const NO_STUB: [u8; STUB_SIZE as usize] = [0xcc; STUB_SIZE as usize];
/// Places for stubs in an image: many more than exports, so that few names compete for one.
const fn place_count(module: Module) -> usize {
    match module {
        Module::Ntoskrnl | Module::Hal => 8192,
        Module::Wmilib => 256,
    }
}

/// Stubs of `ntoskrnl.exe` that are no exports, in order: names for stack traces.
const OWN_STUBS: [&str; 4] = ["KiReturnFromRoutine", "KiThreadExit", "KiInterruptDispatch", "KiExceptionDispatch"];

/// What a stub stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stub {
    /// Row of the export table.
    Export(usize),
    /// A guest routine returns to the kernel.
    Return,
    /// The first routine of a thread returned.
    ThreadExit,
}

/// One generated image.
#[derive(Clone, Debug)]
pub struct KernelImage {
    /// Which.
    pub module: Module,
    /// First byte.
    pub base: Va,
    /// The file.
    pub image: Arc<Image>,
    /// Row of the export table of each stub, in stub order; `None` for the kernel's own.
    rows: Vec<Option<usize>>,
    /// Where the stubs begin.
    stubs: Rva,
    /// Addresses of the exports.
    by_name: HashMap<String, Va>,
}

/// The generated images.
#[derive(Clone, Debug)]
pub struct KernelImages {
    /// In the order of [`Module::ALL`].
    pub images: Vec<KernelImage>,
    /// Where guest routines return to.
    pub return_stub: Va,
    /// Where the first routine of a thread returns to.
    pub thread_exit_stub: Va,
    /// The address that stands for interrupt dispatch in stack traces.
    pub interrupt_entry: Va,
    /// The same for exception dispatch.
    pub exception_entry: Va,
}

impl KernelImage {
    /// Bytes of the image.
    pub fn size(&self) -> u64 {
        u64::from(self.image.headers().size_of_image)
    }

    fn stub_index(&self, address: Va) -> Option<usize> {
        let offset = (address - self.base).checked_sub(u64::from(self.stubs.0))?;
        let index = usize::try_from(offset / u64::from(STUB_SIZE)).ok()?;
        (index < self.rows.len()).then_some(index)
    }
}

impl KernelImages {
    /// Builds the images for the given bases; the caller maps them.
    pub(crate) fn generate(bases: [Va; 3]) -> Result<KernelImages, driver_image::ImageError> {
        let images = Module::ALL.into_iter().zip(bases);
        let images = images.map(|(module, base)| generate(module, base)).collect::<Result<Vec<_>, _>>()?;
        let own = |index: u32| bases[0] + images[0].stubs + u64::from(index * STUB_SIZE);
        let [return_stub, thread_exit_stub, interrupt_entry, exception_entry] = [0, 1, 2, 3].map(own);
        Ok(KernelImages { images, return_stub, thread_exit_stub, interrupt_entry, exception_entry })
    }

    /// True for an address in one of the images: the kernel range of BEHAVIOUR.md.
    pub fn holds(&self, address: Va) -> bool {
        self.image_at(address).is_some()
    }

    /// The image that holds an address.
    pub fn image_at(&self, address: Va) -> Option<&KernelImage> {
        self.images.iter().find(|image| address - image.base < image.size())
    }

    /// What the stub at this address stands for.
    pub(crate) fn stub(&self, address: Va) -> Option<Stub> {
        let image = self.image_at(address)?;
        match image.rows[image.stub_index(address)?] {
            Some(row) => Some(Stub::Export(row)),
            None if address == self.return_stub => Some(Stub::Return),
            None if address == self.thread_exit_stub => Some(Stub::ThreadExit),
            None => None,
        }
    }

    /// Name of the routine whose stub holds this address.
    pub fn routine_name(&self, address: Va) -> Option<&'static str> {
        let image = self.image_at(address)?;
        let index = image.stub_index(address)?;
        match image.rows[index] {
            Some(row) => Some(EXPORTS[row].name),
            None => OWN_STUBS.get(index).copied(),
        }
    }

    /// Address of an export. Drivers import some names from either image, so the other one is searched too.
    pub fn export(&self, module: &str, name: &str) -> Option<Va> {
        let exports = searched(module).iter().filter_map(|module| self.images.get(*module as usize));
        exports.filter_map(|image| image.by_name.get(name)).next().copied()
    }

    /// True where one of the images answers for this file name.
    pub(crate) fn has_image(module: &str) -> bool {
        !searched(module).is_empty()
    }

    /// Address of a kernel variable that the machine itself keeps up to date.
    pub(crate) fn variable(&self, name: &str) -> Option<Va> {
        self.export(Module::Ntoskrnl.name(), name)
    }
}

/// The images that have the exports of the one with this file name.
fn searched(module: &str) -> &'static [Module] {
    let is_one_of = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(module));
    if is_one_of(&["ntoskrnl.exe", "ntoskrnl", "ntkrnlpa.exe", "ntkrnlmp.exe"]) {
        &[Module::Ntoskrnl, Module::Hal]
    } else if is_one_of(&["hal.dll", "hal"]) {
        &[Module::Hal, Module::Ntoskrnl]
    } else if is_one_of(&["wmilib.sys"]) {
        &[Module::Wmilib]
    } else {
        &[]
    }
}

fn generate(module: Module, base: Va) -> Result<KernelImage, driver_image::ImageError> {
    let rows = places(module);
    let mut builder = PeBuilder::new();
    builder.base(base);
    let own = if module == Module::Ntoskrnl { OWN_STUBS.len() } else { 0 };
    let code = rows.iter().enumerate();
    let code: Vec<u8> =
        code.flat_map(|(index, row)| if row.is_some() || index < own { STUB } else { NO_STUB }).collect();
    let stubs = builder.section(".text", CODE, &code);
    let (data, offsets) = variables(module);
    let variables = builder.section(".data", VARIABLES, &data);
    let routines = rows
        .iter()
        .enumerate()
        .filter_map(|(stub, row)| row.map(|row| (EXPORTS[row].name, Rva(stubs.0 + stub as u32 * STUB_SIZE))));
    let data = offsets.into_iter().map(|(name, offset)| (name, Rva(variables.0 + offset)));
    let exports: Vec<(&str, Rva)> = routines.chain(data).collect();
    builder.exports(module.name(), &exports);
    let image = Arc::new(Image::parse(builder.build())?);
    let address = |target: &ExportTarget| match target {
        ExportTarget::Rva(rva) => Some(base + *rva),
        _ => None,
    };
    let exports = image.exports()?;
    let by_name = exports.named().filter_map(|(name, target)| Some((name.to_owned(), address(target)?))).collect();
    Ok(KernelImage { module, base, image, rows, stubs, by_name })
}

/// Which export has its stub where. The first places are the kernel's own.
fn places(module: Module) -> Vec<Option<usize>> {
    let count = place_count(module);
    let mut rows = vec![None; count];
    let open = count - OWN_STUBS.len();
    for (row, export) in EXPORTS.iter().enumerate().filter(|(_, export)| export.module == module) {
        let first = hash(export.name) as usize % open;
        let order = (first..first + open).map(|index| OWN_STUBS.len() + index % open);
        if let Some(place) = order.into_iter().find(|place| rows[*place].is_none()) {
            rows[place] = Some(row);
        }
    }
    rows
}

/// FNV-1a, which is the same on every host.
fn hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The `.data` section: each exported variable on a 16-byte boundary, and where.
fn variables(module: Module) -> (Vec<u8>, Vec<(&'static str, u32)>) {
    let mut data = vec![0; 16];
    let mut offsets = Vec::new();
    for variable in DATA_EXPORTS.iter().filter(|variable| variable.module == module) {
        offsets.push((variable.name, data.len() as u32));
        data.extend_from_slice(variable.initial);
        data.resize((data.len() + variable.zeros).next_multiple_of(16), 0);
    }
    (data, offsets)
}

#[cfg(test)]
mod tests {
    use nt_types::Va;

    use super::{KernelImages, Module, hash};
    use crate::exports::EXPORTS;

    const BASES: [Va; 3] = [Va(0xFFFF_F800_0000_0000), Va(0xFFFF_F800_0100_0000), Va(0xFFFF_F800_0200_0000)];

    #[test]
    fn every_export_has_a_stub_of_its_own() {
        let images = KernelImages::generate(BASES).expect("the images are well formed");
        for export in EXPORTS.iter() {
            let address = images.export(export.module.name(), export.name).expect("it is exported");
            assert_eq!(images.routine_name(address), Some(export.name));
        }
    }

    #[test]
    fn places_follow_from_names() {
        let images = KernelImages::generate(BASES).expect("the images are well formed");
        let lock = images.export(Module::Ntoskrnl.name(), "MmLockPagableDataSection").expect("it is exported");
        let expected = 4 + hash("MmLockPagableDataSection") % 8188;
        assert_eq!((lock.0 & 0xF_FFFF).checked_sub(0x1000), Some(16 * expected));
    }
}
