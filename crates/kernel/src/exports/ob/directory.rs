//! Directories of the name space (ddi: ZwCreateDirectoryObject). Names are kept whole, so a directory is a prefix.

use nt_types::{NtStatus, Va};

use super::{Object, ObjectType};
use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, ZwCreateDirectoryObject(handle: Va, access: u32, attributes: Va), PASSIVE),
    export!(Ntoskrnl, ZwOpenDirectoryObject(handle: Va, access: u32, attributes: Va), PASSIVE),
];

/// Those that the system makes.
const SYSTEM_DIRECTORIES: [&str; 8] =
    ["\\", "\\??", "\\basenamedobjects", "\\callback", "\\device", "\\dosdevices", "\\driver", "\\global??"];

fn ZwCreateDirectoryObject(m: &mut Machine, handle: Va, _access: u32, attributes: Va) -> Outcome {
    m.probe_write(handle, 8)?;
    let attributes = m.read_attributes(attributes)?;
    let name = attributes.name.to_lowercase();
    let known = m.directory(&name)?;
    if known.is_some() && !attributes.open_if() {
        return Ok(Next::status(NtStatus::OBJECT_NAME_COLLISION));
    }
    let body = match known {
        Some(body) => body,
        None => m.new_directory(&name)?,
    };
    let status = m.open_directory(handle, body, attributes.kernel())?;
    let existed = known.is_some() && status.is_success();
    Ok(Next::status(if existed { NtStatus::OBJECT_NAME_EXISTS } else { status }))
}

fn ZwOpenDirectoryObject(m: &mut Machine, handle: Va, _access: u32, attributes: Va) -> Outcome {
    m.probe_write(handle, 8)?;
    let attributes = m.read_attributes(attributes)?;
    match m.directory(&attributes.name.to_lowercase())? {
        Some(body) => Ok(Next::status(m.open_directory(handle, body, attributes.kernel())?)),
        None => Ok(Next::status(NtStatus::OBJECT_NAME_NOT_FOUND)),
    }
}

impl Machine {
    /// The body of a directory. Those of the system get theirs when somebody asks.
    fn directory(&mut self, name: &str) -> Result<Option<Va>, Trap> {
        if let Some((_, body)) = self.ob.directories.iter().find(|(known, _)| known == name) {
            return Ok(Some(*body));
        }
        match SYSTEM_DIRECTORIES.contains(&name) {
            true => self.new_directory(name).map(Some),
            false => Ok(None),
        }
    }

    /// A directory stays: whoever opened it does not keep it.
    fn new_directory(&mut self, name: &str) -> Result<Va, Trap> {
        const DIRECTORY_BYTES: u64 = 0x20;
        let Some(body) = self.kernel_object(DIRECTORY_BYTES, *b"Dire") else { return Err(self.no_pool()) };
        self.ob.counted.add(body, ObjectType::Directory);
        self.ob.directories.push((name.to_owned(), body));
        Ok(body)
    }

    fn open_directory(&mut self, handle: Va, body: Va, kernel: bool) -> Result<NtStatus, Trap> {
        self.ob.counted.reference(body);
        self.give_handle(handle, Object::Body(ObjectType::Directory, body), kernel)
    }
}
