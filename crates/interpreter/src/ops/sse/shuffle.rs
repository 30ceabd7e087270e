//! Shuffles, unpacking, packing, extension, insertion and extraction.

use super::access::{Aligned, Memory, Source, Xmm, by_source, number, write};
use super::integer::{binary, both, is_xmm, shifted};
use super::lanes::{Lane, build, interleave, map, narrow, replace, widen};
use crate::context::Context;
use crate::op::{Flow, Handler, Op, Outcome};
use crate::operand::{self, InMemory, InRegister, Kind, kind};
use crate::width::Width;
use engine::Mmu;
use iced_x86::{Instruction, Mnemonic};

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    if !is_xmm(instruction) {
        return None;
    }
    unpack(instruction)
        .or_else(|| shuffle(instruction))
        .or_else(|| extend(instruction))
        .or_else(|| blend(instruction))
        .or_else(|| element(instruction))
}

fn unpack<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    use Mnemonic as N;
    Some(match instruction.mnemonic() {
        N::Punpcklbw => both!(instruction, |a, b| interleave::<u8>(a, b, 0)),
        N::Punpckhbw => both!(instruction, |a, b| interleave::<u8>(a, b, 8)),
        N::Punpcklwd => both!(instruction, |a, b| interleave::<u16>(a, b, 0)),
        N::Punpckhwd => both!(instruction, |a, b| interleave::<u16>(a, b, 4)),
        N::Punpckldq | N::Unpcklps => both!(instruction, |a, b| interleave::<u32>(a, b, 0)),
        N::Punpckhdq | N::Unpckhps => both!(instruction, |a, b| interleave::<u32>(a, b, 2)),
        N::Punpcklqdq | N::Unpcklpd => both!(instruction, |a, b| interleave::<u64>(a, b, 0)),
        N::Punpckhqdq | N::Unpckhpd => both!(instruction, |a, b| interleave::<u64>(a, b, 1)),
        N::Packsswb => both!(instruction, |a, b| narrow(a, b, |w: i16| w.clamp(-0x80, 0x7f) as u8)),
        N::Packuswb => both!(instruction, |a, b| narrow(a, b, |w: i16| w.clamp(0, 0xff) as u8)),
        N::Packssdw => both!(instruction, |a, b| narrow(a, b, |w: i32| w.clamp(-0x8000, 0x7fff) as u16)),
        N::Packusdw => both!(instruction, |a, b| narrow(a, b, |w: i32| w.clamp(0, 0xffff) as u16)),
        _ => return None,
    })
}

fn shuffle<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    use Mnemonic as N;
    Some(match instruction.mnemonic() {
        N::Pshufb => both!(instruction, |a, b| map(b, |place: u8| chosen_byte(a, place))),
        N::Pshufd => by_source!(instruction, Aligned, with_immediate(|_, b, order| shuffle_doublewords(b, b, order))),
        N::Shufps => by_source!(instruction, Aligned, with_immediate(shuffle_doublewords)),
        N::Shufpd => by_source!(instruction, Aligned, with_immediate(shuffle_quadwords)),
        N::Pshuflw => by_source!(instruction, Aligned, with_immediate(|_, b, order| shuffle_words(b, order, 0))),
        N::Pshufhw => by_source!(instruction, Aligned, with_immediate(|_, b, order| shuffle_words(b, order, 4))),
        N::Palignr => by_source!(instruction, Aligned, with_immediate(align_right)),
        N::Movddup => by_source!(instruction, Memory<8>, binary(|_, b| interleave::<u64>(b, b, 0))),
        N::Movsldup => both!(instruction, |_, b| build(|index| u32::of(b, index & !1))),
        N::Movshdup => both!(instruction, |_, b| build(|index| u32::of(b, index | 1))),
        _ => return None,
    })
}

/// The first operand becomes `f(first, second, immediate)`.
fn with_immediate<M: Mmu, S: Source>(
    context: &mut Context<'_, M>,
    op: &Op<M>,
    f: impl Fn(u128, u128, u8) -> u128,
) -> Outcome {
    binary::<M, S>(context, op, |first, second| f(first, second, op.immediate as u8))
}

/// The byte at `place`, or zero where its top bit is set.
pub(super) fn chosen_byte(vector: u128, place: u8) -> u8 {
    if place & 0x80 != 0 { 0 } else { u8::of(vector, u32::from(place & 15)) }
}

/// Number `index` of the two-bit fields of `order`.
fn field(order: u8, index: u32) -> u32 {
    u32::from(order >> (2 * index)) & 3
}

/// Two doublewords of `a`, then two of `b`.
pub(super) fn shuffle_doublewords(a: u128, b: u128, order: u8) -> u128 {
    build(|index| u32::of(if index < 2 { a } else { b }, field(order, index)))
}

/// A quadword of `a`, then one of `b`.
fn shuffle_quadwords(a: u128, b: u128, order: u8) -> u128 {
    build(|index| u64::of(if index == 0 { a } else { b }, u32::from(order >> index) & 1))
}

/// The four words from number `first` on in another order, the others unchanged.
fn shuffle_words(vector: u128, order: u8, first: u32) -> u128 {
    build(|index| {
        let moved = index & 4 == first;
        u16::of(vector, if moved { first + field(order, index & 3) } else { index })
    })
}

/// `b` and above it `a`, shifted right by bytes.
fn align_right(a: u128, b: u128, count: u8) -> u128 {
    let count = u64::from(count);
    let low = shifted(count, 16, |count| b >> (8 * count));
    let high = match count {
        0 => 0,
        1..16 => a << (128 - 8 * count),
        _ => shifted(count - 16, 16, |count| a >> (8 * count)),
    };
    low | high
}

fn extend<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    use Mnemonic as N;
    Some(match instruction.mnemonic() {
        N::Pmovzxbw => by_source!(instruction, Memory<8>, binary(|_, b| widen(b, |lane: u8| u16::from(lane)))),
        N::Pmovzxbd => by_source!(instruction, Memory<4>, binary(|_, b| widen(b, |lane: u8| u32::from(lane)))),
        N::Pmovzxbq => by_source!(instruction, Memory<2>, binary(|_, b| widen(b, |lane: u8| u64::from(lane)))),
        N::Pmovzxwd => by_source!(instruction, Memory<8>, binary(|_, b| widen(b, |lane: u16| u32::from(lane)))),
        N::Pmovzxwq => by_source!(instruction, Memory<4>, binary(|_, b| widen(b, |lane: u16| u64::from(lane)))),
        N::Pmovzxdq => by_source!(instruction, Memory<8>, binary(|_, b| widen(b, |lane: u32| u64::from(lane)))),
        N::Pmovsxbw => by_source!(instruction, Memory<8>, binary(|_, b| widen(b, |lane: i8| i16::from(lane)))),
        N::Pmovsxbd => by_source!(instruction, Memory<4>, binary(|_, b| widen(b, |lane: i8| i32::from(lane)))),
        N::Pmovsxbq => by_source!(instruction, Memory<2>, binary(|_, b| widen(b, |lane: i8| i64::from(lane)))),
        N::Pmovsxwd => by_source!(instruction, Memory<8>, binary(|_, b| widen(b, |lane: i16| i32::from(lane)))),
        N::Pmovsxwq => by_source!(instruction, Memory<4>, binary(|_, b| widen(b, |lane: i16| i64::from(lane)))),
        N::Pmovsxdq => by_source!(instruction, Memory<8>, binary(|_, b| widen(b, |lane: i32| i64::from(lane)))),
        _ => return None,
    })
}

fn blend<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    use Mnemonic as N;
    Some(match instruction.mnemonic() {
        N::Pblendw => by_source!(instruction, Aligned, with_immediate(blend_fixed::<u16>)),
        N::Blendps => by_source!(instruction, Aligned, with_immediate(blend_fixed::<u32>)),
        N::Blendpd => by_source!(instruction, Aligned, with_immediate(blend_fixed::<u64>)),
        N::Pblendvb => by_source!(instruction, Aligned, blend_variable(blend_by::<i8>)),
        N::Blendvps => by_source!(instruction, Aligned, blend_variable(blend_by::<i32>)),
        N::Blendvpd => by_source!(instruction, Aligned, blend_variable(blend_by::<i64>)),
        _ => return None,
    })
}

/// The lanes of `b` whose bit is set in `which`, else those of `a`.
fn blend_fixed<L: Lane>(a: u128, b: u128, which: u8) -> u128 {
    build(|index| L::of(if which >> index & 1 == 1 { b } else { a }, index))
}

/// The mask is in XMM0.
fn blend_variable<M: Mmu, S: Source>(
    context: &mut Context<'_, M>,
    op: &Op<M>,
    f: impl Fn(u128, u128, u128) -> u128,
) -> Outcome {
    let mask = context.cpu.xmm[0];
    binary::<M, S>(context, op, |first, second| f(first, second, mask))
}

/// The lanes of `b` where the top bit of the mask's lane is set, else those of `a`.
fn blend_by<L: Lane>(a: u128, b: u128, mask: u128) -> u128 {
    build(|index| {
        let chosen = mask >> ((index + 1) * L::BITS - 1) & 1 == 1;
        L::of(if chosen { b } else { a }, index)
    })
}

fn element<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    use Mnemonic as N;
    let in_memory = |operand| kind(instruction, operand) == Kind::Memory;
    Some(match instruction.mnemonic() {
        N::Pextrb if in_memory(0) => extract_to_memory::<M, u8>,
        N::Pextrb => extract::<M, u8>,
        N::Pextrw if in_memory(0) => extract_to_memory::<M, u16>,
        N::Pextrw => extract::<M, u16>,
        N::Pextrd | N::Extractps if in_memory(0) => extract_to_memory::<M, u32>,
        N::Pextrd | N::Extractps => extract::<M, u32>,
        N::Pextrq if in_memory(0) => extract_to_memory::<M, u64>,
        N::Pextrq => extract::<M, u64>,
        N::Pinsrb if in_memory(1) => insert::<M, u8, InMemory>,
        N::Pinsrb => insert::<M, u8, InRegister<1>>,
        N::Pinsrw if in_memory(1) => insert::<M, u16, InMemory>,
        N::Pinsrw => insert::<M, u16, InRegister<1>>,
        N::Pinsrd if in_memory(1) => insert::<M, u32, InMemory>,
        N::Pinsrd => insert::<M, u32, InRegister<1>>,
        N::Pinsrq if in_memory(1) => insert::<M, u64, InMemory>,
        N::Pinsrq => insert::<M, u64, InRegister<1>>,
        N::Insertps if in_memory(1) => |context, op| insert_single::<M, Memory<4>>(context, op, 0),
        N::Insertps => |context, op| insert_single::<M, Xmm<1>>(context, op, op.immediate as u32 >> 6 & 3),
        _ => return None,
    })
}

/// The lane that the immediate chooses: its bits above the number of lanes do not count.
fn lane_number<M, L: Lane>(op: &Op<M>) -> u32 {
    op.immediate as u32 % (128 / L::BITS)
}

/// A lane to a general register, zero-extended.
fn extract<M: Mmu, L: Lane>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let lane = L::of(context.cpu.xmm[number(op, 1)], lane_number::<M, L>(op));
    context.registers.set(op.registers[0], lane.bits() as u64);
    Ok(Flow::Next)
}

fn extract_to_memory<M: Mmu, L: Lane + Width>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let lane = <L as Lane>::of(context.cpu.xmm[number(op, 1)], lane_number::<M, L>(op));
    let address = context.address(op);
    context.store::<L>(op, address, lane.bits() as u64)
}

/// A lane from a general register or from memory.
fn insert<M: Mmu, L: Lane + Width, S: operand::Source>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let value = L::truncate(S::read::<M, L>(context, op)?.into());
    let vector = replace(context.cpu.xmm[number(op, 0)], lane_number::<M, L>(op), value);
    write(context, op, vector)
}

/// INSERTPS: lane `from` of the source to the lane in bits 4 and 5 of the immediate, then zeroes where bits 0 to 3 say.
fn insert_single<M: Mmu, S: Source>(context: &mut Context<'_, M>, op: &Op<M>, from: u32) -> Outcome {
    let lane = u32::of(S::read(context, op)?, from);
    let vector = replace(context.cpu.xmm[number(op, 0)], op.immediate as u32 >> 4 & 3, lane);
    write(context, op, blend_fixed::<u32>(vector, 0, op.immediate as u8))
}
