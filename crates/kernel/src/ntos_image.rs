//! The kernel is an image too: `ntoskrnl.exe` and `hal.dll`, generated at start.
//!
//! Every routine in the export tables gets a stub of 16 bytes: `vmcall`, which leaves the engine, and `ret`, which only
//! disassemblers see. Exported variables are real memory.

use std::collections::BTreeMap;
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
}

/// Both generated images.
#[derive(Clone, Debug)]
pub struct KernelImages {
    /// `ntoskrnl.exe`, `hal.dll`.
    pub images: Vec<KernelImage>,
    by_name: Arc<BTreeMap<String, Va>>,
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
    /// Builds both images for the given bases; the caller maps them.
    pub(crate) fn generate(bases: [Va; 2]) -> Result<KernelImages, driver_image::ImageError> {
        let mut images = Vec::new();
        let mut by_name = BTreeMap::new();
        for (module, base) in [Module::Ntoskrnl, Module::Hal].into_iter().zip(bases) {
            let image = generate(module, base)?;
            for (name, target) in image.image.exports()?.named() {
                if let ExportTarget::Rva(rva) = target {
                    by_name.insert(format!("{}!{name}", module.name()), base + *rva);
                }
            }
            images.push(image);
        }
        let own = |index: u32| bases[0] + images[0].stubs + u64::from(index * STUB_SIZE);
        let [return_stub, thread_exit_stub, interrupt_entry, exception_entry] = [0, 1, 2, 3].map(own);
        let by_name = Arc::new(by_name);
        Ok(KernelImages { images, by_name, return_stub, thread_exit_stub, interrupt_entry, exception_entry })
    }

    /// True for an address in either image: the kernel range of BEHAVIOUR.md.
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
        let module = module.to_ascii_lowercase();
        let order = match module.as_str() {
            "hal.dll" | "hal" => [Module::Hal, Module::Ntoskrnl],
            "ntoskrnl.exe" | "ntoskrnl" | "ntkrnlpa.exe" | "ntkrnlmp.exe" => [Module::Ntoskrnl, Module::Hal],
            _ => return None,
        };
        order.iter().find_map(|module| self.by_name.get(&format!("{}!{name}", module.name())).copied())
    }

    /// Address of a kernel variable that the machine itself keeps up to date.
    pub(crate) fn variable(&self, name: &str) -> Option<Va> {
        self.export(Module::Ntoskrnl.name(), name)
    }
}

fn generate(module: Module, base: Va) -> Result<KernelImage, driver_image::ImageError> {
    let mut rows: Vec<Option<usize>> = Vec::new();
    if module == Module::Ntoskrnl {
        rows.extend(OWN_STUBS.map(|_| None));
    }
    rows.extend(EXPORTS.iter().enumerate().filter(|(_, export)| export.module == module).map(|(row, _)| Some(row)));
    let mut builder = PeBuilder::new();
    builder.base(base);
    let code: Vec<u8> = rows.iter().flat_map(|_| STUB).collect();
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
    Ok(KernelImage { module, base, image, rows, stubs })
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
