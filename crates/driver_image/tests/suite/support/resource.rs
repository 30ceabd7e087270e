//! A version resource.

use nt_types::Rva;

use super::words;

/// A resource directory with a version resource in it, to lie at `start`.
pub(crate) fn version_resource(start: Rva) -> Vec<u8> {
    let directory = |id: u32, target: u32| words(&[0, 0, 0, 1 << 16, id, target]);
    let levels = [directory(16, 24 | 1 << 31), directory(1, 48 | 1 << 31), directory(0x409, 72)].concat();
    let version = version();
    let entry = words(&[start.0 + 88, version.len() as u32, 0, 0]);
    [levels, entry, version].concat()
}

fn version() -> Vec<u8> {
    let fixed =
        words(&[0xFEEF_04BD, 0x1_0000, 0x000a_0001, 0x0002_0003, 0x0004_0005, 0x0006_0007, 0, 0, 0, 0, 0, 0, 0]);
    let strings = [("CompanyName", "Sample Ltd."), ("OriginalFilename", "full.sys")];
    let strings: Vec<u8> = strings.iter().flat_map(|(key, value)| text_block(key, value)).collect();
    let table = block("040904b0", 0, 1, &[], &strings);
    let group = block("StringFileInfo", 0, 1, &[], &table);
    let translation = block("VarFileInfo", 0, 1, &[], &block("Translation", 4, 0, &words(&[0x04b0_0409]), &[]));
    block("VS_VERSION_INFO", fixed.len() as u16, 0, &fixed, &[group, translation].concat())
}

fn text_block(key: &str, value: &str) -> Vec<u8> {
    let text = utf16(value);
    block(key, (text.len() / 2) as u16, 1, &text, &[])
}

/// One block, padded to four bytes; its length does not count the padding.
fn block(key: &str, value_length: u16, kind: u16, value: &[u8], children: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = [0, value_length, kind].into_iter().flat_map(u16::to_le_bytes).collect();
    for piece in [&utf16(key)[..], value, children] {
        bytes.resize(bytes.len().next_multiple_of(4) - if bytes.len() == 6 { 2 } else { 0 }, 0);
        bytes.extend(piece);
    }
    let length = bytes.len() as u16;
    bytes[..2].copy_from_slice(&length.to_le_bytes());
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}
