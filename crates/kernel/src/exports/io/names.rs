//! The part of the object name space that drivers make: devices and symbolic links.

use std::collections::BTreeMap;

use nt_types::{NtStatus, Va};

use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoCreateSymbolicLink(link: Va, target: Va), PASSIVE),
    export!(Ntoskrnl, IoCreateUnprotectedSymbolicLink = IoCreateSymbolicLink(link: Va, target: Va), PASSIVE),
    export!(Ntoskrnl, IoVolumeDeviceToDosName(volume: Va, name: Va), PASSIVE),
    export!(Ntoskrnl, RtlVolumeDeviceToDosName = IoVolumeDeviceToDosName(volume: Va, name: Va), PASSIVE),
    export!(Ntoskrnl, IoDeleteSymbolicLink(link: Va), PASSIVE),
];

/// What a name stands for.
#[derive(Clone, Hash, Debug)]
enum Named {
    Device { device: Va, shown: String },
    Object(Va),
    Link { target: String, shown: String },
}

/// Names, folded to lower case.
#[derive(Clone, Default, Hash, Debug)]
pub(crate) struct Names {
    entries: BTreeMap<String, Named>,
}

/// Links followed before a name counts as a loop.
const MAX_LINKS: usize = 16;

/// `\DosDevices`, `\??` and `\GLOBAL??` are one directory.
fn canonical(name: &str) -> String {
    let name = name.to_lowercase();
    for prefix in ["\\dosdevices\\global\\", "\\??\\global\\", "\\dosdevices\\", "\\global??\\"] {
        if let Some(rest) = name.strip_prefix(prefix) {
            return format!("\\??\\{rest}");
        }
    }
    name
}

impl Names {
    /// The device that a name leads to, with what remains of the name after it.
    pub(crate) fn resolve(&self, name: &str) -> Option<(Va, String)> {
        let mut name = canonical(name);
        for _ in 0..MAX_LINKS {
            let (head, rest) = self.longest_known(&name)?;
            match &self.entries[head] {
                Named::Device { device, .. } => return Some((*device, rest.to_owned())),
                Named::Object(_) => return None,
                Named::Link { target, .. } => name = canonical(&format!("{target}{rest}")),
            }
        }
        None
    }

    /// The longest prefix of a name, ending at a backslash or at its end, that is an entry.
    fn longest_known<'a>(&'a self, name: &'a str) -> Option<(&'a str, &'a str)> {
        let ends = name.match_indices('\\').map(|(index, _)| index).skip(1).chain([name.len()]);
        ends.filter(|end| self.entries.contains_key(&name[..*end])).last().map(|end| name.split_at(end))
    }

    pub(crate) fn add_device(&mut self, name: &str, device: Va) -> bool {
        self.add(name, Named::Device { device, shown: name.to_owned() })
    }

    fn add(&mut self, name: &str, named: Named) -> bool {
        let key = canonical(name);
        let free = !self.entries.contains_key(&key);
        if free {
            self.entries.insert(key, named);
        }
        free
    }

    pub(crate) fn remove_device(&mut self, device: Va) {
        self.entries.retain(|_, named| !matches!(named, Named::Device { device: other, .. } if *other == device));
    }

    /// Adds a symbolic link; false where the name is taken.
    pub(crate) fn add_link(&mut self, name: &str, target: &str) -> bool {
        self.add(name, Named::Link { target: target.to_owned(), shown: name.to_owned() })
    }

    /// Removes a symbolic link; false where there is none.
    pub(crate) fn remove_link(&mut self, name: &str) -> bool {
        let name = canonical(name);
        let known = matches!(self.entries.get(&name), Some(Named::Link { .. }));
        if known {
            self.entries.remove(&name);
        }
        known
    }

    /// Where a symbolic link leads.
    pub(crate) fn target_of(&self, link: &str) -> Option<String> {
        match self.entries.get(&canonical(link))? {
            Named::Link { target, .. } => Some(target.clone()),
            _ => None,
        }
    }

    /// An object that is no device: an event.
    pub(crate) fn object(&self, name: &str) -> Option<Va> {
        match self.entries.get(&canonical(name))? {
            Named::Object(body) => Some(*body),
            _ => None,
        }
    }

    pub(crate) fn add_object(&mut self, name: &str, body: Va) -> bool {
        self.add(name, Named::Object(body))
    }

    pub(crate) fn remove_object(&mut self, body: Va) {
        self.entries.retain(|_, named| !matches!(named, Named::Object(other) if *other == body));
    }

    /// Names of devices, as their drivers spelled them.
    pub(crate) fn devices(&self) -> impl Iterator<Item = (Va, &str)> {
        self.entries.values().filter_map(|named| match named {
            Named::Device { device, shown } => Some((*device, shown.as_str())),
            Named::Link { .. } | Named::Object(_) => None,
        })
    }

    /// Symbolic links, as their drivers spelled them.
    pub(crate) fn links(&self) -> impl Iterator<Item = &str> {
        self.entries.values().filter_map(|named| match named {
            Named::Link { shown, .. } => Some(shown.as_str()),
            Named::Device { .. } | Named::Object(_) => None,
        })
    }
}

fn IoCreateSymbolicLink(m: &mut Machine, link: Va, target: Va) -> Outcome {
    let (link, target) = (m.read_text(link)?, m.read_text(target)?);
    Ok(Next::status(match m.io.names.add_link(&link, &target) {
        true => NtStatus::SUCCESS,
        false => NtStatus::OBJECT_NAME_COLLISION,
    }))
}

/// There is no mount manager, which would know the letters of volumes.
fn IoVolumeDeviceToDosName(_m: &mut Machine, _volume: Va, _name: Va) -> Outcome {
    Ok(Next::status(NtStatus::OBJECT_NAME_NOT_FOUND))
}

fn IoDeleteSymbolicLink(m: &mut Machine, link: Va) -> Outcome {
    let link = m.read_text(link)?;
    let known = m.io.names.remove_link(&link);
    Ok(Next::status(if known { NtStatus::SUCCESS } else { NtStatus::OBJECT_NAME_NOT_FOUND }))
}

impl Machine {
    /// The names under which a program can open devices of this driver: symbolic links first.
    pub fn openable_names(&mut self, base: Va) -> Vec<String> {
        let driver = self.modules.driver_at(base).map_or(Va::NULL, |driver| driver.driver_object);
        let mut own = self.devices_of(driver).unwrap_or_default();
        // Names of a device below open the stack that this driver's device is on.
        let below: Vec<Va> = own.iter().filter_map(|device| self.io.attached_to.get(device).copied()).collect();
        own.extend(below);
        let is_own = |name: &str| self.io.names.resolve(name).is_some_and(|(device, _)| own.contains(&device));
        let links = self.io.names.links().filter(|name| is_own(name)).map(str::to_owned);
        let devices = self.io.names.devices().filter(|(device, _)| own.contains(device));
        let mut names: Vec<String> = links.collect();
        if names.is_empty() {
            names.extend(devices.map(|(_, name)| name.to_owned()));
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::{Named, Names};
    use nt_types::Va;

    #[test]
    fn links_lead_to_devices() {
        let mut names = Names::default();
        assert!(names.add_device("\\Device\\Serial0", Va(0x1000)));
        let link = Named::Link { target: "\\Device\\Serial0".into(), shown: "\\DosDevices\\COM1".into() };
        assert!(names.add("\\DosDevices\\COM1", link));
        assert_eq!(names.resolve("\\??\\com1"), Some((Va(0x1000), String::new())));
        assert_eq!(names.resolve("\\DosDevices\\COM1\\sub"), Some((Va(0x1000), "\\sub".into())));
        assert_eq!(names.resolve("\\??\\COM2"), None);
    }

    #[test]
    fn a_loop_of_links_leads_nowhere() {
        let mut names = Names::default();
        for (from, to) in [("\\a", "\\b"), ("\\b", "\\a")] {
            names.add(from, Named::Link { target: to.into(), shown: from.into() });
        }
        assert_eq!(names.resolve("\\a"), None);
    }
}
