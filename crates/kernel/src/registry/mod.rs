//! The registry: keys and typed values in memory, loaded from TOML or `.reg` text, changed by drivers.
//!
//! Names compare without case and keep their spelling. Sub-keys are in order of their upper-case names, values in order
//! of creation, as drivers see them when they enumerate. Nothing a driver does makes it grow without bound.

mod reg_text;
mod text;
mod toml_text;

use std::collections::BTreeMap;
use std::sync::Arc;

use nt_types::constants;

pub use text::RegistryError;

/// Number of a key; never used again after the key is deleted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyId(u32);

/// A value.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Value {
    /// Its name; empty for the default value of a key.
    pub name: String,
    /// `REG_*`.
    pub kind: u32,
    /// Its data.
    pub data: Vec<u8>,
}

#[derive(Clone, Hash, Debug)]
struct Key {
    name: String,
    parent: Option<KeyId>,
    children: BTreeMap<String, KeyId>,
    values: Vec<Value>,
    deleted: bool,
}

/// Keys and values. A clone shares everything until one of the two changes.
#[derive(Clone, Hash, Debug)]
pub struct Registry {
    keys: Arc<Vec<Key>>,
    /// Bytes of names and data in use.
    bytes: usize,
}

/// Most keys, and most bytes of names and data: more than any driver has reason to make.
const MAX_KEYS: usize = 1 << 16;
const MAX_BYTES: usize = 16 << 20;
/// Longest name of a key and of a value, in characters (docs: Registry element size limits).
const MAX_KEY_NAME: usize = 255;
const MAX_VALUE_NAME: usize = 16_383;

/// Keys that every machine has.
const STANDARD_KEYS: [&str; 9] = [
    "\\Registry\\Machine\\HARDWARE\\DEVICEMAP",
    "\\Registry\\Machine\\HARDWARE\\DESCRIPTION\\System",
    "\\Registry\\Machine\\HARDWARE\\RESOURCEMAP",
    "\\Registry\\Machine\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion",
    "\\Registry\\Machine\\SYSTEM\\CurrentControlSet\\Control\\Class",
    "\\Registry\\Machine\\SYSTEM\\CurrentControlSet\\Control\\DeviceClasses",
    "\\Registry\\Machine\\SYSTEM\\CurrentControlSet\\Enum",
    "\\Registry\\Machine\\SYSTEM\\CurrentControlSet\\Services",
    "\\Registry\\User\\.Default",
];

impl Default for Registry {
    fn default() -> Registry {
        let mut registry = Registry::empty();
        for path in STANDARD_KEYS {
            registry.create(path);
        }
        registry
    }
}

fn fold(name: &str) -> String {
    name.chars().flat_map(char::to_uppercase).collect()
}

fn components(path: &str) -> impl Iterator<Item = &str> {
    path.split('\\').filter(|part| !part.is_empty())
}

impl Registry {
    /// The key `\Registry` and nothing in it.
    pub fn empty() -> Registry {
        let root = Key {
            name: "Registry".to_owned(),
            parent: None,
            children: BTreeMap::new(),
            values: Vec::new(),
            deleted: false,
        };
        Registry { keys: Arc::new(vec![root]), bytes: 0 }
    }

    fn key(&self, id: KeyId) -> &Key {
        &self.keys[id.0 as usize]
    }

    fn key_mut(&mut self, id: KeyId) -> &mut Key {
        &mut Arc::make_mut(&mut self.keys)[id.0 as usize]
    }

    /// The key at an absolute path: `\Registry\Machine\...`.
    pub fn find(&self, path: &str) -> Option<KeyId> {
        self.find_below(KeyId(0), below_root(path)?)
    }

    /// The key at a path relative to another key; that key itself for an empty path.
    pub fn find_below(&self, key: KeyId, path: &str) -> Option<KeyId> {
        if self.key(key).deleted {
            return None;
        }
        components(path).try_fold(key, |key, part| self.key(key).children.get(&fold(part)).copied())
    }

    /// The key at an absolute path, made with all keys above it where they are missing; `None` where the path does not
    /// begin at the root, has a name that is too long, or the registry is full.
    pub fn create(&mut self, path: &str) -> Option<KeyId> {
        let path = below_root(path)?;
        components(path).try_fold(KeyId(0), |key, part| self.create_child(key, part))
    }

    /// The child of a key with this name, made where it is missing.
    pub fn create_child(&mut self, parent: KeyId, name: &str) -> Option<KeyId> {
        let folded = fold(name);
        if let Some(known) = self.key(parent).children.get(&folded) {
            return Some(*known);
        }
        let fits = self.keys.len() < MAX_KEYS && self.bytes + name.len() <= MAX_BYTES;
        if !fits || name.chars().count() > MAX_KEY_NAME || self.key(parent).deleted {
            return None;
        }
        let id = KeyId(self.keys.len() as u32);
        let (parent, name) = (Some(parent), name.to_owned());
        self.bytes += name.len();
        let key = Key { name, parent, children: BTreeMap::new(), values: Vec::new(), deleted: false };
        Arc::make_mut(&mut self.keys).push(key);
        self.key_mut(parent.unwrap_or(KeyId(0))).children.insert(folded, id);
        Some(id)
    }

    /// A DWORD value; `None` where the key or the value is missing or of another type.
    pub fn dword(&self, key: &str, value: &str) -> Option<u32> {
        let value = self.value(self.find(key)?, value).filter(|value| value.kind == constants::REG_DWORD)?;
        value.data.as_slice().try_into().map(u32::from_le_bytes).ok()
    }

    /// True where the key is gone.
    pub fn is_deleted(&self, key: KeyId) -> bool {
        self.key(key).deleted
    }

    /// Deletes a key with its values; false, and nothing done, for a key with sub-keys and for the root.
    pub fn delete(&mut self, id: KeyId) -> bool {
        let key = self.key(id);
        let Some(parent) = key.parent.filter(|_| key.children.is_empty()) else { return false };
        let (folded, freed) = (fold(&key.name), key.name.len() + key.values.iter().map(size_of_value).sum::<usize>());
        self.bytes = self.bytes.saturating_sub(freed);
        self.key_mut(parent).children.remove(&folded);
        let key = self.key_mut(id);
        (key.deleted, key.values) = (true, Vec::new());
        true
    }

    /// The full path of a key.
    pub fn path(&self, id: KeyId) -> String {
        let parents = std::iter::successors(Some(id), |id| self.key(*id).parent);
        let names: Vec<&str> = parents.map(|id| self.key(id).name.as_str()).collect();
        names.iter().rev().flat_map(|name| ["\\", name]).collect()
    }

    /// The name of a key.
    pub fn name(&self, id: KeyId) -> &str {
        &self.key(id).name
    }

    /// The keys directly below a key.
    pub fn children(&self, id: KeyId) -> impl ExactSizeIterator<Item = KeyId> {
        self.key(id).children.values().copied()
    }

    /// The values of a key.
    pub fn values(&self, id: KeyId) -> &[Value] {
        &self.key(id).values
    }

    /// The value with this name.
    pub fn value(&self, id: KeyId, name: &str) -> Option<&Value> {
        let folded = fold(name);
        self.key(id).values.iter().find(|value| fold(&value.name) == folded)
    }

    /// Sets a value; false, and nothing done, where the registry is full or the name too long.
    pub fn set_value(&mut self, id: KeyId, value: Value) -> bool {
        let folded = fold(&value.name);
        let old = self.key(id).values.iter().position(|other| fold(&other.name) == folded);
        let freed = old.map_or(0, |index| size_of_value(&self.key(id).values[index]));
        let bytes = self.bytes - freed + size_of_value(&value);
        if bytes > MAX_BYTES || value.name.chars().count() > MAX_VALUE_NAME || self.key(id).deleted {
            return false;
        }
        self.bytes = bytes;
        let values = &mut self.key_mut(id).values;
        match old {
            Some(index) => (values[index].kind, values[index].data) = (value.kind, value.data),
            None => values.push(value),
        }
        true
    }

    /// Deletes a value; false where there is none.
    pub fn delete_value(&mut self, id: KeyId, name: &str) -> bool {
        let folded = fold(name);
        let Some(index) = self.key(id).values.iter().position(|value| fold(&value.name) == folded) else {
            return false;
        };
        let value = self.key_mut(id).values.remove(index);
        self.bytes = self.bytes.saturating_sub(size_of_value(&value));
        true
    }
}

fn size_of_value(value: &Value) -> usize {
    value.name.len() + value.data.len()
}

/// What follows `\Registry` in an absolute path.
fn below_root(path: &str) -> Option<&str> {
    const ROOT: &str = "\\Registry";
    let (head, rest) = path.split_at_checked(ROOT.len())?;
    (head.eq_ignore_ascii_case(ROOT) && (rest.is_empty() || rest.starts_with('\\'))).then_some(rest)
}

impl Value {
    /// A `REG_SZ` value.
    pub fn string(name: &str, text: &str) -> Value {
        Value { name: name.to_owned(), kind: constants::REG_SZ, data: units(text) }
    }

    /// A `REG_DWORD` value.
    pub fn dword(name: &str, number: u32) -> Value {
        let data = number.to_le_bytes().to_vec();
        Value { name: name.to_owned(), kind: constants::REG_DWORD, data }
    }
}

/// Text as UTF-16 with its NUL, in bytes.
fn units(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERIAL: &str = "\\Registry\\Machine\\System\\CurrentControlSet\\Services\\serial";

    #[test]
    fn names_compare_without_case_and_keep_their_spelling() {
        let mut registry = Registry::default();
        let key = registry.create(SERIAL).unwrap();
        assert_eq!(registry.find(&SERIAL.to_uppercase()), Some(key));
        assert_eq!(registry.path(key), "\\Registry\\Machine\\SYSTEM\\CurrentControlSet\\Services\\serial");
        registry.set_value(key, Value::dword("Start", 3));
        registry.set_value(key, Value::dword("START", 4));
        assert_eq!(registry.values(key), [Value::dword("Start", 4)]);
    }

    #[test]
    fn only_keys_without_sub_keys_are_deleted_and_their_numbers_die() {
        let mut registry = Registry::default();
        let key = registry.create(SERIAL).unwrap();
        let child = registry.create_child(key, "Parameters").unwrap();
        assert!(!registry.delete(key));
        assert!(registry.delete(child) && registry.delete(key));
        assert!(registry.is_deleted(key) && registry.find(SERIAL).is_none());
        assert_ne!(registry.create(SERIAL), Some(key));
        assert!(registry.create_child(child, "x").is_none() && !registry.set_value(child, Value::dword("v", 1)));
    }

    #[test]
    fn a_clone_does_not_see_later_changes() {
        let mut registry = Registry::default();
        let key = registry.create(SERIAL).unwrap();
        let before = registry.clone();
        registry.set_value(key, Value::string("ImagePath", "serial.sys"));
        assert!(before.values(key).is_empty() && registry.value(key, "imagepath").is_some());
    }

    #[test]
    fn it_does_not_grow_without_bound() {
        let mut registry = Registry::default();
        let key = registry.create(SERIAL).unwrap();
        let big = Value { name: "big".into(), kind: 3, data: vec![0; MAX_BYTES / 2] };
        let other = Value { name: "other".into(), ..big.clone() };
        assert!(
            registry.set_value(key, big.clone()) && registry.set_value(key, big) && !registry.set_value(key, other)
        );
        assert!(registry.delete_value(key, "BIG") && !registry.delete_value(key, "big"));
        assert!(registry.create_child(key, &"n".repeat(256)).is_none());
        assert_eq!(registry.create("\\Registries\\x"), None);
    }
}
