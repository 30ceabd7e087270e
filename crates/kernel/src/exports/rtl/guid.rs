//! GUIDs (ddi: RtlStringFromGUID, RtlGUIDFromString, ExUuidCreate).

use nt_types::layout::{guid, unicode_string};
use nt_types::{NtStatus, Va};

use crate::call::{Call, Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::exports::mm::pool::{Block, PoolKind};
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, ExUuidCreate(uuid: Va), PASSIVE),
    export!(Ntoskrnl, RtlGUIDFromString(string: Va, guid: Va), PASSIVE),
    export!(Ntoskrnl, RtlStringFromGUID(guid: Va, string: Va; ..), PASSIVE),
];

/// Where hyphens stand in `{01234567-0123-0123-0123-0123456789ab}`.
const HYPHENS: [usize; 4] = [9, 14, 19, 24];
const LENGTH: usize = 38;
/// The order of bytes in memory, by the order of digits in text: the first three fields are little-endian.
const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

fn RtlStringFromGUID(m: &mut Machine, call: &Call, guid: Va, string: Va) -> Outcome {
    m.probe_write(string, unicode_string::SIZEOF)?;
    let text = m.read_guid_text(guid)?;
    let bytes = 2 * (LENGTH as u64 + 1);
    let block = Block { bytes, kind: PoolKind::Paged, tag: *b"grtS", site: call.return_address };
    let Some(buffer) = m.pool_allocate_resident(block)? else { return Ok(Next::status(NtStatus::NO_MEMORY)) };
    m.write_text_with_buffer(string, buffer, &text)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

fn RtlGUIDFromString(m: &mut Machine, string: Va, guid: Va) -> Outcome {
    let text = m.read_text(string)?;
    match parse(&text) {
        Some(bytes) => m.write_bytes(guid, &bytes).map(|()| Next::status(NtStatus::SUCCESS)),
        None => Ok(Next::status(NtStatus::INVALID_PARAMETER)),
    }
}

/// Version 4 identifiers from the seed of the run: the same in every run.
fn ExUuidCreate(m: &mut Machine, uuid: Va) -> Outcome {
    m.probe_write(uuid, guid::SIZEOF)?;
    let mut bytes = [0; 16];
    for half in bytes.chunks_exact_mut(8) {
        half.copy_from_slice(&m.rtl.random.next().to_le_bytes());
    }
    bytes[7] = bytes[7] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    m.write_bytes(uuid, &bytes)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

impl Machine {
    /// A GUID as text, in braces.
    pub(crate) fn read_guid_text(&mut self, guid: Va) -> Result<String, Trap> {
        let bytes = self.read_bytes(guid, guid::SIZEOF)?;
        Ok(text(&bytes))
    }
}

fn text(bytes: &[u8]) -> String {
    let digits = ORDER.iter().filter_map(|index| bytes.get(*index)).map(|byte| format!("{byte:02X}"));
    let mut text: String = std::iter::once("{".to_owned()).chain(digits).collect();
    for at in HYPHENS {
        text.insert(at, '-');
    }
    text.push('}');
    text
}

fn parse(text: &str) -> Option<[u8; 16]> {
    let form = text.len() == LENGTH && text.is_ascii() && text.starts_with('{') && text.ends_with('}');
    if !form || HYPHENS.iter().any(|at| text.as_bytes()[*at] != b'-') {
        return None;
    }
    let digits: String = text[1..LENGTH - 1].chars().filter(|letter| *letter != '-').collect();
    let mut bytes = [0; 16];
    for (pair, index) in ORDER.iter().enumerate() {
        bytes[*index] = u8::from_str_radix(digits.get(2 * pair..2 * pair + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{parse, text};

    #[test]
    fn text_and_bytes_agree() {
        let known = "{4D36E978-E325-11CE-BFC1-08002BE10318}";
        let bytes = parse(known).unwrap();
        assert_eq!(bytes[..8], [0x78, 0xE9, 0x36, 0x4D, 0x25, 0xE3, 0xCE, 0x11]);
        assert_eq!(text(&bytes), known);
        assert_eq!(parse("{4D36E978-E325-11CE-BFC1-08002BE1031}"), None);
        assert_eq!(parse("{4D36E978xE325-11CE-BFC1-08002BE10318}"), None);
        assert_eq!(parse("{4D36E97+-E325-11CE-BFC1-08002BE10318}"), None);
    }
}
