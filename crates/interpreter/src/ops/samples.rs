//! One instruction of each kind, to see which are implemented.

use super::{select_chain, select_handler};
use engine::flat::FlatMmu;
use iced_x86::{Code, Decoder, Instruction};
use std::collections::{BTreeMap, BTreeSet};

/// RAX and RCX, or the first two vectors: a gather must not have its mask as the vector of offsets.
const SIB: u8 = 0x08;

/// One instruction of each code in the opcode tables and of its VEX forms.
pub(super) fn samples() -> BTreeMap<Code, Instruction> {
    let legacy = [&[][..], &[0x0f], &[0x0f, 0x38], &[0x0f, 0x3a]].into_iter().flat_map(|table| {
        [&[][..], &[0x66], &[0xf3], &[0xf2]]
            .into_iter()
            .flat_map(move |prefix| [&[][..], &[0x48]].map(|rex| [prefix, rex, table].concat()))
    });
    let vex =
        [0xe1, 0xe2, 0xe3].into_iter().flat_map(|table| (0..16).map(move |bits| vec![0xc4, table, vex_bits(bits)]));
    let mut found = BTreeMap::new();
    for start in legacy.chain(vex) {
        for (opcode, modrm) in (0..=255).flat_map(|opcode| (0..=255).map(move |modrm| (opcode, modrm))) {
            let bytes = [&start[..], &[opcode, modrm, SIB, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
            let instruction = Decoder::new(64, &bytes, 0).decode();
            found.entry(instruction.code()).or_insert(instruction);
        }
    }
    found
}

/// The last byte of a VEX prefix: operand size, vector length and the implied prefix.
fn vex_bits(bits: u8) -> u8 {
    (bits & 8) << 4 | 0x78 | bits & 7
}

/// True where an instruction has a handler.
pub(super) fn is_implemented(instruction: &Instruction) -> bool {
    select_chain::<FlatMmu>(instruction).is_some() || select_handler::<FlatMmu>(instruction).is_some()
}

/// The most frequent forms in real drivers, those among them that cannot be compared with the host.
#[test]
fn every_ranked_form_is_implemented() {
    const RANKED: &str = include_str!("../../tests/host/session/forms.csv");
    let names: BTreeSet<&str> = RANKED.lines().skip(1).filter_map(|line| line.split(',').nth(1)).collect();
    let samples = samples().into_iter().map(|(code, instruction)| (format!("{code:?}").to_uppercase(), instruction));
    let ranked: Vec<_> = samples.filter(|(name, _)| names.contains(name.as_str())).collect();
    let missing: Vec<_> = ranked.iter().filter(|(_, instruction)| !is_implemented(instruction)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let sampled: BTreeSet<&str> = ranked.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.difference(&sampled).collect::<Vec<_>>(), Vec::<&&str>::new(), "forms without a sample");
}
