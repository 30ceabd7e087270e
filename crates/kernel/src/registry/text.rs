//! Registry files: which format they are in, and what can be wrong with them.

use super::{KeyId, Registry, reg_text, toml_text};

/// Why a registry file was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The bytes are neither UTF-8 nor UTF-16 with a byte order mark.
    #[error("the registry file is neither UTF-8 nor UTF-16 text")]
    NotText,
    /// The file is not TOML.
    #[error(transparent)]
    Toml(#[from] Box<toml::de::Error>),
    /// Something in a `.reg` file.
    #[error("line {line} of the registry file: {what}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Something in a TOML file.
    #[error("`{value}` of registry key `{key}`: {what}")]
    Value {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A key whose path is not one.
    #[error("`{0}` is no registry path: it begins with `HKEY_LOCAL_MACHINE`, `HKEY_USERS` or `\\Registry`")]
    Path(String),
    /// Too many keys or too much data.
    #[error("the registry file holds more keys or data than the registry takes")]
    Full,
}

impl Registry {
    /// Adds what a file says: `.reg` text by its first line, else TOML.
    ///
    /// TOML holds a table for each key, its path quoted:
    ///
    /// ```toml
    /// ["HKLM\\System\\CurrentControlSet\\Services\\serial\\Parameters"]
    /// ForceFifoEnable = 1                                   # REG_DWORD; REG_QWORD above 32 bits
    /// Port = "COM1"                                         # REG_SZ
    /// Names = ["a", "b"]                                    # REG_MULTI_SZ
    /// Image = { type = "expand_sz", data = "%SystemRoot%\\x" }
    /// Blob = { type = "binary", data = [1, 2, 255] }
    /// ```
    ///
    /// # Errors
    /// The first thing that is wrong; what came before it stays.
    pub fn load(&mut self, file: &[u8]) -> Result<(), RegistryError> {
        let text = decode(file)?;
        match reg_text::is_reg(&text) {
            true => reg_text::load(self, &text),
            false => toml_text::load(self, &text),
        }
    }

    /// The key that a file names, made where it is missing.
    pub(super) fn key_of_file(&mut self, name: &str) -> Result<KeyId, RegistryError> {
        let path = nt_path(name).ok_or_else(|| RegistryError::Path(name.to_owned()))?;
        self.create(&path).ok_or(RegistryError::Full)
    }
}

/// The native path of a key that is named as registry editors do.
pub(super) fn nt_path(name: &str) -> Option<String> {
    const ROOTS: [(&str, &str); 4] = [
        ("HKEY_LOCAL_MACHINE", "\\Registry\\Machine"),
        ("HKLM", "\\Registry\\Machine"),
        ("HKEY_USERS", "\\Registry\\User"),
        ("HKU", "\\Registry\\User"),
    ];
    if name.starts_with('\\') {
        return super::below_root(name).map(|_| name.to_owned());
    }
    let (root, rest) = name.split_at(name.find('\\').unwrap_or(name.len()));
    let (_, native) = ROOTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(root))?;
    Some(format!("{native}{rest}"))
}

fn decode(file: &[u8]) -> Result<String, RegistryError> {
    let text = match file {
        [0xff, 0xfe, rest @ ..] if rest.len() % 2 == 0 => {
            let (units, _) = rest.as_chunks::<2>();
            String::from_utf16(&units.iter().map(|unit| u16::from_le_bytes(*unit)).collect::<Vec<u16>>()).ok()
        }
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        _ => String::from_utf8(file.to_vec()).ok(),
    };
    text.ok_or(RegistryError::NotText)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_registry_editors_become_native() {
        assert_eq!(nt_path("HKEY_LOCAL_MACHINE\\SYSTEM").as_deref(), Some("\\Registry\\Machine\\SYSTEM"));
        assert_eq!(nt_path("hklm").as_deref(), Some("\\Registry\\Machine"));
        assert_eq!(nt_path("\\Registry\\Machine\\x").as_deref(), Some("\\Registry\\Machine\\x"));
        assert_eq!((nt_path("HKCU\\x"), nt_path("\\Device\\x"), nt_path("")), (None, None, None));
    }

    #[test]
    fn files_are_utf8_or_utf16() {
        let text = "REGEDIT4\r\n[HKLM\\Software\\n\u{fc}]\r\n";
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for file in [
            text.as_bytes().to_vec(),
            [&[0xef, 0xbb, 0xbf], text.as_bytes()].concat(),
            [&[0xff, 0xfe], &wide[..]].concat(),
        ] {
            let mut registry = Registry::empty();
            registry.load(&file).unwrap();
            assert!(registry.find("\\Registry\\Machine\\Software\\N\u{dc}").is_some());
        }
        for bad in [&[0xff, 0xfe, 0x00][..], &[0xff, 0xfe, 0x00, 0xd8], &[0xc3, 0x28]] {
            assert!(matches!(Registry::empty().load(bad), Err(RegistryError::NotText)));
        }
    }
}
