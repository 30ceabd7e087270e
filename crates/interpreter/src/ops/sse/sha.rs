//! The SHA-256 extension.

use super::access::{Aligned, Source, by_source, number, write};
use super::integer::{binary, both};
use super::lanes::{Lane, build};
use crate::context::Context;
use crate::op::{Handler, Op, Outcome};
use engine::Mmu;
use iced_x86::{Instruction, Mnemonic};

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    Some(match instruction.mnemonic() {
        Mnemonic::Sha256msg1 => both!(instruction, first_schedule),
        Mnemonic::Sha256msg2 => both!(instruction, second_schedule),
        Mnemonic::Sha256rnds2 => by_source!(instruction, Aligned, two_rounds()),
        _ => return None,
    })
}

fn small_sigma0(word: u32) -> u32 {
    word.rotate_right(7) ^ word.rotate_right(18) ^ (word >> 3)
}

fn small_sigma1(word: u32) -> u32 {
    word.rotate_right(17) ^ word.rotate_right(19) ^ (word >> 10)
}

/// Words 0 to 3 of the schedule in `a`, word 4 in `b`: adds to each of the four the sigma of its successor.
fn first_schedule(a: u128, b: u128) -> u128 {
    let word = |index| if index < 4 { u32::of(a, index) } else { u32::of(b, 0) };
    build(|index| word(index).wrapping_add(small_sigma0(word(index + 1))))
}

/// The four sums in `a`, words 12 to 15 of the schedule in `b`: the next four words.
fn second_schedule(a: u128, b: u128) -> u128 {
    let mut words = [u32::of(b, 2), u32::of(b, 3), 0, 0, 0, 0];
    for index in 0..4 {
        words[index + 2] = u32::of(a, index as u32).wrapping_add(small_sigma1(words[index]));
    }
    build(|index| words[index as usize + 2])
}

/// SHA256RNDS2: the first operand holds C, D, G, H, the second A, B, E, F, XMM0 two words with their constants added.
fn two_rounds<M: Mmu, S: Source>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let abef = S::read(context, op)?;
    let (cdgh, keys) = (context.cpu.xmm[number(op, 0)], context.cpu.xmm[0]);
    let [a, b, e, f] = [3, 2, 1, 0].map(|index| u32::of(abef, index));
    let [c, d, g, h] = [3, 2, 1, 0].map(|index| u32::of(cdgh, index));
    let state = (0..2).fold([a, b, c, d, e, f, g, h], |state, index| round(state, u32::of(keys, index)));
    let words = [state[5], state[4], state[1], state[0]];
    write(context, op, build(|index| words[index as usize]))
}

fn round([a, b, c, d, e, f, g, h]: [u32; 8], key: u32) -> [u32; 8] {
    let sigma1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
    let choice = (e & f) ^ (!e & g);
    let sigma0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
    let majority = (a & b) ^ (a & c) ^ (b & c);
    let first = h.wrapping_add(sigma1).wrapping_add(choice).wrapping_add(key);
    [first.wrapping_add(sigma0).wrapping_add(majority), a, b, c, d.wrapping_add(first), e, f, g]
}
