//! Values with a notation of their own.

use core::fmt;

use nt_types::NtStatus;
use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::MAX_BYTES;

/// An NTSTATUS, by name (`"STATUS_SUCCESS"`) or by number (`0xC0000120`).
#[derive(Clone, Copy)]
pub(super) struct Status(pub(super) NtStatus);

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Status, D::Error> {
        deserializer.deserialize_any(StatusVisitor)
    }
}

struct StatusVisitor;

impl Visitor<'_> for StatusVisitor {
    type Value = Status;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an NTSTATUS by name or number")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Status, E> {
        let status = NtStatus::from_name(name);
        status.map(Status).ok_or_else(|| E::custom(format!("unknown status `{name}`; its number will do")))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Status, E> {
        let number = u32::try_from(number).map_err(|_| E::custom("an NTSTATUS has 32 bits"))?;
        Ok(Status(NtStatus(number)))
    }
}

/// Bytes, as one of `text`, `hex` and `zeros`. `None` where none is given.
pub(super) fn bytes(text: Option<&str>, hex: Option<&str>, zeros: Option<u32>) -> Result<Option<Vec<u8>>, String> {
    match (text, hex, zeros) {
        (None, None, None) => Ok(None),
        (Some(text), None, None) => Ok(Some(text.as_bytes().to_vec())),
        (None, Some(hex), None) => hex_bytes(hex).map(Some),
        (None, None, Some(zeros)) if zeros <= MAX_BYTES => Ok(Some(vec![0; zeros as usize])),
        (None, None, Some(zeros)) => Err(format!("{zeros} bytes are more than a request may have ({MAX_BYTES})")),
        _ => Err("bytes are given by one of `text`, `hex` and `zeros`".to_owned()),
    }
}

/// `01 02 ff`, with or without blanks.
fn hex_bytes(hex: &str) -> Result<Vec<u8>, String> {
    let digits: Option<Vec<u8>> = hex
        .chars()
        .filter(|character| !character.is_ascii_whitespace())
        .map(|character| Some(character.to_digit(16)? as u8))
        .collect();
    match digits {
        Some(digits) if digits.len().is_multiple_of(2) => {
            Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
        }
        _ => Err(format!("`{hex}` is not a number of bytes in hexadecimal")),
    }
}
