//! Registry files as registry editors write them (Windows support: How to add, modify, or delete registry subkeys and
//! values by using a .reg file).

use nt_types::constants as c;

use super::text::{RegistryError, nt_path};
use super::{KeyId, Registry, Value, units};

const HEADERS: [&str; 2] = ["Windows Registry Editor Version 5.00", "REGEDIT4"];

pub(super) fn is_reg(text: &str) -> bool {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    first.is_some_and(|line| HEADERS.contains(&line))
}

pub(super) fn load(registry: &mut Registry, text: &str) -> Result<(), RegistryError> {
    let mut current: Option<KeyId> = None;
    for (line, text) in logical_lines(text) {
        let text = text.as_str();
        if text.is_empty() || text.starts_with(';') || HEADERS.contains(&text) {
            continue;
        }
        let wrong = |what| RegistryError::Line { line, what };
        if let Some(path) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            current = key(registry, path)?;
        } else {
            let (name, data) = split(text).ok_or(wrong("neither a key in brackets nor `\"name\"=data`"))?;
            let Some(key) = current else { return Err(wrong("a value without a key above it")) };
            set(registry, key, &name, data).map_err(wrong)?;
        }
    }
    Ok(())
}

/// Lines with their numbers; one that ends in a backslash goes on in the next.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut continued = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        // Only lists of bytes are continued; elsewhere a backslash at the end is part of a path.
        let (line, goes_on) = match line.strip_suffix('\\') {
            Some(rest) if continued || line.contains("=hex") => (rest, true),
            _ => (line, false),
        };
        match lines.last_mut() {
            Some((_, last)) if continued => last.push_str(line),
            _ => lines.push((index + 1, line.to_owned())),
        }
        continued = goes_on;
    }
    lines
}

/// `[path]` makes a key, `[-path]` deletes one with all that is below it.
fn key(registry: &mut Registry, path: &str) -> Result<Option<KeyId>, RegistryError> {
    let Some(path) = path.strip_prefix('-') else { return registry.key_of_file(path).map(Some) };
    let path = nt_path(path).ok_or_else(|| RegistryError::Path(path.to_owned()))?;
    if let Some(key) = registry.find(&path) {
        delete_tree(registry, key);
    }
    Ok(None)
}

fn delete_tree(registry: &mut Registry, key: KeyId) {
    let mut keys = vec![key];
    let mut next = 0;
    while next < keys.len() {
        let children: Vec<KeyId> = registry.children(keys[next]).collect();
        keys.extend(children);
        next += 1;
    }
    for key in keys.into_iter().rev() {
        registry.delete(key);
    }
}

/// Name and data of a line.
fn split(line: &str) -> Option<(String, &str)> {
    if let Some(rest) = line.strip_prefix('@') {
        return Some((String::new(), rest.trim_start().strip_prefix('=')?.trim_start()));
    }
    let (name, rest) = quoted(line)?;
    Some((name, rest.trim_start().strip_prefix('=')?.trim_start()))
}

/// A quoted string at the start of `text`, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut result = String::new();
    let mut rest = text.strip_prefix('"')?.chars();
    loop {
        match rest.next()? {
            '"' => return Some((result, rest.as_str())),
            '\\' => result.push(rest.next()?),
            other => result.push(other),
        }
    }
}

fn set(registry: &mut Registry, key: KeyId, name: &str, data: &str) -> Result<(), &'static str> {
    if data == "-" {
        registry.delete_value(key, name);
        return Ok(());
    }
    let (kind, data) = data_of(data)?;
    let set = registry.set_value(key, Value { name: name.to_owned(), kind, data });
    if set { Ok(()) } else { Err("the registry is full") }
}

fn data_of(data: &str) -> Result<(u32, Vec<u8>), &'static str> {
    if data.starts_with('"') {
        let (text, rest) = quoted(data).ok_or("the string does not end")?;
        return if rest.is_empty() { Ok((c::REG_SZ, units(&text))) } else { Err("something follows the string") };
    }
    if let Some(digits) = data.strip_prefix("dword:") {
        let number = u32::from_str_radix(digits, 16).map_err(|_| "`dword:` takes eight hexadecimal digits")?;
        return Ok((c::REG_DWORD, number.to_le_bytes().to_vec()));
    }
    let rest = data.strip_prefix("hex").ok_or("data is a string, `dword:`, `hex:`, `hex(type):` or `-`")?;
    let (kind, digits) = rest.split_once(':').ok_or("`hex` without a colon")?;
    let kind = match kind {
        "" => c::REG_BINARY,
        _ => {
            let inner = kind.strip_prefix('(').and_then(|kind| kind.strip_suffix(')'));
            inner.and_then(|digits| u32::from_str_radix(digits, 16).ok()).ok_or("`hex(type)` without a type")?
        }
    };
    Ok((kind, bytes(digits)?))
}

fn bytes(digits: &str) -> Result<Vec<u8>, &'static str> {
    let items = digits.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(|item| u8::from_str_radix(item, 16).map_err(|_| "bytes are two hexadecimal digits each")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"Windows Registry Editor Version 5.00

; what a serial port has
[HKEY_LOCAL_MACHINE\SYSTEM\Serial]
@="default"
"Path\\x"="say \"hi\""
"Start"=dword:0000000a
"Blob"=hex:01,02,\
  ff
"Expand"=hex(2):25,00,00,00
"Gone"="x"
"Gone"=-

[HKEY_LOCAL_MACHINE\SYSTEM\Serial\Sub\Key]
[-HKEY_LOCAL_MACHINE\SYSTEM\Serial\Sub]
"#;

    #[test]
    fn what_editors_write_is_read() {
        let mut registry = Registry::empty();
        assert!(is_reg(FILE));
        load(&mut registry, FILE).unwrap();
        let key = registry.find("\\Registry\\Machine\\System\\Serial").unwrap();
        assert_eq!(
            registry.values(key),
            [
                Value::string("", "default"),
                Value::string("Path\\x", "say \"hi\""),
                Value::dword("Start", 10),
                Value { name: "Blob".into(), kind: c::REG_BINARY, data: vec![1, 2, 255] },
                Value { name: "Expand".into(), kind: c::REG_EXPAND_SZ, data: vec![0x25, 0, 0, 0] },
            ]
        );
        assert_eq!(registry.children(key).len(), 0);
    }

    #[test]
    fn mistakes_name_their_line() {
        let message = |text: &str| load(&mut Registry::empty(), text).unwrap_err().to_string();
        assert_eq!(message("REGEDIT4\n\"a\"=dword:1"), "line 2 of the registry file: a value without a key above it");
        let in_key = |line: &str| message(&format!("REGEDIT4\n[HKLM\\x]\n{line}"));
        for (line, what) in [
            ("a=1", "neither a key in brackets nor `\"name\"=data`"),
            ("\"a\"=dword:xyz", "`dword:` takes eight hexadecimal digits"),
            ("\"a\"=\"b", "the string does not end"),
            ("\"a\"=\"b\"c", "something follows the string"),
            ("\"a\"=hex:100", "bytes are two hexadecimal digits each"),
            ("\"a\"=hex(z):00", "`hex(type)` without a type"),
            ("\"a\"=1", "data is a string, `dword:`, `hex:`, `hex(type):` or `-`"),
        ] {
            assert_eq!(in_key(line), format!("line 3 of the registry file: {what}"));
        }
    }
}
