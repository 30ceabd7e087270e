//! Registry files in TOML.

use nt_types::constants as c;
use toml::{Table, Value as Toml};

use super::text::RegistryError;
use super::{Registry, Value, units};

pub(super) fn load(registry: &mut Registry, text: &str) -> Result<(), RegistryError> {
    let file: Table = text.parse().map_err(|error| RegistryError::Toml(Box::new(error)))?;
    for (path, values) in &file {
        let Toml::Table(values) = values else { return Err(RegistryError::Path(path.clone())) };
        let key = registry.key_of_file(path)?;
        for (name, value) in values {
            let wrong = |what| RegistryError::Value { key: path.clone(), value: name.clone(), what };
            let (kind, data) = value_of(value).map_err(wrong)?;
            // TOML has no empty bare key; `"@"` is the default value, as in `.reg` files.
            let name = if name == "@" { String::new() } else { name.clone() };
            if !registry.set_value(key, Value { name, kind, data }) {
                return Err(RegistryError::Full);
            }
        }
    }
    Ok(())
}

fn value_of(value: &Toml) -> Result<(u32, Vec<u8>), &'static str> {
    match value {
        Toml::Integer(number) => number_of(*number),
        Toml::Boolean(flag) => Ok((c::REG_DWORD, u32::from(*flag).to_le_bytes().to_vec())),
        Toml::String(text) => Ok((c::REG_SZ, units(text))),
        Toml::Array(texts) => Ok((c::REG_MULTI_SZ, multi(texts)?)),
        Toml::Table(table) => typed(table),
        _ => Err("a value is an integer, a string, a list of strings, or a table with `type` and `data`"),
    }
}

fn number_of(number: i64) -> Result<(u32, Vec<u8>), &'static str> {
    let narrow = u32::try_from(number).or(i32::try_from(number).map(|number| number as u32));
    Ok(match narrow {
        Ok(narrow) => (c::REG_DWORD, narrow.to_le_bytes().to_vec()),
        Err(_) => (c::REG_QWORD, number.to_le_bytes().to_vec()),
    })
}

fn multi(texts: &[Toml]) -> Result<Vec<u8>, &'static str> {
    let mut data = Vec::new();
    for text in texts {
        data.extend(units(text.as_str().ok_or("a list holds strings")?));
    }
    data.extend([0, 0]);
    Ok(data)
}

fn typed(table: &Table) -> Result<(u32, Vec<u8>), &'static str> {
    let kind = table.get("type").and_then(Toml::as_str).ok_or("`type` is missing")?;
    let data = table.get("data").ok_or("`data` is missing")?;
    let number = || data.as_integer().ok_or("`data` is no integer");
    let text = || data.as_str().ok_or("`data` is no string");
    Ok(match kind {
        "dword" => (c::REG_DWORD, (number()? as u32).to_le_bytes().to_vec()),
        "dword_big_endian" => (c::REG_DWORD_BIG_ENDIAN, (number()? as u32).to_be_bytes().to_vec()),
        "qword" => (c::REG_QWORD, number()?.to_le_bytes().to_vec()),
        "sz" => (c::REG_SZ, units(text()?)),
        "expand_sz" => (c::REG_EXPAND_SZ, units(text()?)),
        "multi_sz" => (c::REG_MULTI_SZ, multi(data.as_array().ok_or("`data` is no list")?)?),
        "binary" => (c::REG_BINARY, bytes(data)?),
        "none" => (c::REG_NONE, bytes(data)?),
        _ => return Err("`type` is none of dword, dword_big_endian, qword, sz, expand_sz, multi_sz, binary and none"),
    })
}

fn bytes(data: &Toml) -> Result<Vec<u8>, &'static str> {
    const WRONG: &str = "`data` is no list of bytes";
    let byte = |item: &Toml| item.as_integer().and_then(|byte| u8::try_from(byte).ok()).ok_or(WRONG);
    data.as_array().ok_or(WRONG)?.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(text: &str) -> Result<Vec<Value>, RegistryError> {
        let mut registry = Registry::empty();
        load(&mut registry, &format!("[\"HKLM\\\\Software\\\\x\"]\n{text}"))?;
        let key = registry.find("\\Registry\\Machine\\Software\\x").unwrap();
        Ok(registry.values(key).to_vec())
    }

    #[test]
    fn each_type_has_its_bytes() {
        let text = r#"
            "@" = "default"
            big = 0x1_0000_0000
            blob = { type = "binary", data = [1, 255] }
            list = ["a", "b"]
            minus = -1
            network = { type = "dword_big_endian", data = 1 }
            number = 7
            path = { type = "expand_sz", data = "%x%" }
        "#;
        let values = loaded(text).unwrap();
        let data = |name: &str| {
            values.iter().find(|value| value.name == name).map(|value| (value.kind, value.data.as_slice()))
        };
        assert_eq!(data("").map(|(kind, data)| (kind, data.len())), Some((c::REG_SZ, 16)));
        assert_eq!(data("big"), Some((c::REG_QWORD, &[0, 0, 0, 0, 1, 0, 0, 0][..])));
        assert_eq!(data("blob"), Some((c::REG_BINARY, &[1, 255][..])));
        assert_eq!(data("list"), Some((c::REG_MULTI_SZ, &[97, 0, 0, 0, 98, 0, 0, 0, 0, 0][..])));
        assert_eq!(data("minus"), Some((c::REG_DWORD, &[255; 4][..])));
        assert_eq!(data("network"), Some((c::REG_DWORD_BIG_ENDIAN, &[0, 0, 0, 1][..])));
        assert_eq!(data("number"), Some((c::REG_DWORD, &[7, 0, 0, 0][..])));
        assert_eq!(data("path"), Some((c::REG_EXPAND_SZ, &[37, 0, 120, 0, 37, 0, 0, 0][..])));
    }

    #[test]
    fn mistakes_name_their_place() {
        let wrong = loaded("a = { type = \"binary\", data = [256] }").unwrap_err();
        assert_eq!(wrong.to_string(), "`a` of registry key `HKLM\\Software\\x`: `data` is no list of bytes");
        assert!(matches!(loaded("a = 1.5"), Err(RegistryError::Value { .. })));
        assert!(matches!(loaded("a = "), Err(RegistryError::Toml(_))));
        assert!(matches!(load(&mut Registry::empty(), "[nowhere]"), Err(RegistryError::Path(_))));
    }
}
