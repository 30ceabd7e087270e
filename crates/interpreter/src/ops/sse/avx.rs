//! The instructions of AVX and AVX2 that drivers contain. CPUID does not offer them; a driver that checks uses SSE.

use super::access::number;
use super::lanes::{Lane, build, interleave, map, widen, zip};
use super::shuffle::{chosen_byte, shuffle_doublewords};
use crate::context::Context;
use crate::op::{Flow, Handler, Op, Outcome, Stop};
use crate::operand::{Kind, kind};
use engine::Mmu;
use iced_x86::{Code, Instruction, Mnemonic};

/// A YMM register: its low and its high half.
type Wide = [u128; 2];

/// A vector that can be read, zero-extended to 256 bits.
trait Vector {
    fn read<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Result<Wide, Stop>;
}

/// The YMM register that is the operand with this index.
struct Ymm<const OPERAND: usize>;

/// `BYTES` bytes of memory at any address.
struct Memory<const BYTES: usize>;

impl<const OPERAND: usize> Vector for Ymm<OPERAND> {
    fn read<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Result<Wide, Stop> {
        Ok(register(context, number(op, OPERAND)))
    }
}

impl<const BYTES: usize> Vector for Memory<BYTES> {
    fn read<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Result<Wide, Stop> {
        let address = context.address(op);
        let mut bytes = [0; 32];
        bytes[..BYTES].copy_from_slice(&context.load_bytes::<BYTES>(op, address)?);
        let (halves, _) = bytes.as_chunks();
        Ok([u128::from_le_bytes(halves[0]), u128::from_le_bytes(halves[1])])
    }
}

fn register<M>(context: &Context<'_, M>, number: usize) -> Wide {
    [context.cpu.xmm[number], context.cpu.ymm_high[number]]
}

/// Sets the first operand: both halves if `wide`, else the low one, and the high one becomes zero.
fn write<M>(context: &mut Context<'_, M>, op: &Op<M>, value: Wide, wide: bool) -> Outcome {
    let number = number(op, 0);
    context.cpu.xmm[number] = value[0];
    context.cpu.ymm_high[number] = if wide { value[1] } else { 0 };
    Ok(Flow::Next)
}

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    two_operands(instruction)
        .or_else(|| by_immediate(instruction))
        .or_else(|| moves(instruction))
        .or_else(|| others(instruction))
}

/// True where the first register operand is a YMM register.
fn is_wide(instruction: &Instruction) -> bool {
    (0..2).any(|operand| kind(instruction, operand) == Kind::Register && instruction.op_register(operand).is_ymm())
}

/// A handler made of `$body::<M, Vector>(context, op, wide, arguments)`, by what the last vector operand, number
/// `$operand`, is and by the width.
macro_rules! by_vector {
    ($instruction:expr, $operand:literal, $body:ident($($argument:expr),*)) => {{
        let handler: Handler<M> = match (kind($instruction, $operand), is_wide($instruction)) {
            (Kind::Memory, true) => |context, op| $body::<M, Memory<32>>(context, op, true $(, $argument)*),
            (Kind::Memory, false) => |context, op| $body::<M, Memory<16>>(context, op, false $(, $argument)*),
            (_, true) => |context, op| $body::<M, Ymm<$operand>>(context, op, true $(, $argument)*),
            (_, false) => |context, op| $body::<M, Ymm<$operand>>(context, op, false $(, $argument)*),
        };
        handler
    }};
}

/// Operations of two vectors, half by half.
fn two_operands<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    use Mnemonic as N;
    Some(match instruction.mnemonic() {
        N::Vpxor => by_vector!(instruction, 2, halves(|a, b| a ^ b)),
        N::Vpor => by_vector!(instruction, 2, halves(|a, b| a | b)),
        N::Vpand => by_vector!(instruction, 2, halves(|a, b| a & b)),
        N::Vpaddd => by_vector!(instruction, 2, halves(|a, b| zip(a, b, u32::wrapping_add))),
        N::Vpshufb => by_vector!(instruction, 2, halves(|a, b| map(b, |place: u8| chosen_byte(a, place)))),
        N::Vpunpckldq => by_vector!(instruction, 2, halves(|a, b| interleave::<u32>(a, b, 0))),
        N::Vpunpckhdq => by_vector!(instruction, 2, halves(|a, b| interleave::<u32>(a, b, 2))),
        N::Vpunpcklqdq => by_vector!(instruction, 2, halves(|a, b| interleave::<u64>(a, b, 0))),
        N::Vpunpckhqdq => by_vector!(instruction, 2, halves(|a, b| interleave::<u64>(a, b, 1))),
        _ => return None,
    })
}

fn halves<M: Mmu, S: Vector>(
    context: &mut Context<'_, M>,
    op: &Op<M>,
    wide: bool,
    f: impl Fn(u128, u128) -> u128,
) -> Outcome {
    let second = S::read(context, op)?;
    let first = register(context, number(op, 1));
    write(context, op, [f(first[0], second[0]), f(first[1], second[1])], wide)
}

/// Operations of one vector and an immediate, half by half.
fn by_immediate<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    Some(match instruction.code() {
        Code::VEX_Vpsrld_xmm_xmm_imm8 | Code::VEX_Vpsrld_ymm_ymm_imm8 => {
            by_vector!(instruction, 1, each_half(|a, count| map(a, |lane: u32| lane.checked_shr(count).unwrap_or(0))))
        }
        Code::VEX_Vpslld_xmm_xmm_imm8 | Code::VEX_Vpslld_ymm_ymm_imm8 => {
            by_vector!(instruction, 1, each_half(|a, count| map(a, |lane: u32| lane.checked_shl(count).unwrap_or(0))))
        }
        Code::VEX_Vpshufd_xmm_xmmm128_imm8 | Code::VEX_Vpshufd_ymm_ymmm256_imm8 => {
            by_vector!(instruction, 1, each_half(|a, order| shuffle_doublewords(a, a, order as u8)))
        }
        _ => return None,
    })
}

fn each_half<M: Mmu, S: Vector>(
    context: &mut Context<'_, M>,
    op: &Op<M>,
    wide: bool,
    f: impl Fn(u128, u32) -> u128,
) -> Outcome {
    let source = S::read(context, op)?;
    let immediate = u32::from(op.immediate as u8);
    write(context, op, source.map(|half| f(half, immediate)), wide)
}

fn moves<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    use Mnemonic as N;
    let aligned = match instruction.mnemonic() {
        N::Vmovdqu | N::Vmovups | N::Vmovupd => false,
        N::Vmovdqa | N::Vmovaps | N::Vmovapd => true,
        _ => return None,
    };
    Some(match (kind(instruction, 0), aligned, is_wide(instruction)) {
        (Kind::Memory, false, false) => |context, op| store::<M, 16>(context, op, false),
        (Kind::Memory, false, true) => |context, op| store::<M, 32>(context, op, false),
        (Kind::Memory, true, false) => |context, op| store::<M, 16>(context, op, true),
        (Kind::Memory, true, true) => |context, op| store::<M, 32>(context, op, true),
        (_, false, _) => by_vector!(instruction, 1, copy(false)),
        (_, true, _) if kind(instruction, 1) == Kind::Memory => by_vector!(instruction, 1, copy(true)),
        (_, true, _) => by_vector!(instruction, 1, copy(false)),
    })
}

/// The address of a vector of `bytes` bytes; if it must be `aligned` and is not, #GP.
fn vector_address<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>, bytes: u64, aligned: bool) -> Result<u64, Stop> {
    let address = context.address(op);
    if aligned && !address.is_multiple_of(bytes) { Err(context.general_protection()) } else { Ok(address) }
}

fn copy<M: Mmu, S: Vector>(context: &mut Context<'_, M>, op: &Op<M>, wide: bool, aligned: bool) -> Outcome {
    vector_address(context, op, if wide { 32 } else { 16 }, aligned)?;
    let value = S::read(context, op)?;
    write(context, op, value, wide)
}

fn store<M: Mmu, const BYTES: usize>(context: &mut Context<'_, M>, op: &Op<M>, aligned: bool) -> Outcome {
    let address = vector_address(context, op, BYTES as u64, aligned)?;
    let halves = register(context, number(op, 1)).map(u128::to_le_bytes);
    let bytes = halves.as_flattened();
    context.store_bytes::<BYTES>(op, address, std::array::from_fn(|place| bytes[place]))
}

fn others<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    let in_memory = |operand| kind(instruction, operand) == Kind::Memory;
    Some(match instruction.code() {
        Code::VEX_Vzeroupper => |context, _| {
            context.cpu.ymm_high = [0; 16];
            Ok(Flow::Next)
        },
        Code::VEX_Vmovd_xmm_rm32 if in_memory(1) => |context, op| {
            let value = Memory::<4>::read(context, op)?;
            write(context, op, value, false)
        },
        Code::VEX_Vmovd_xmm_rm32 => |context, op| {
            let value = context.registers.get(op.registers[1]) as u32;
            write(context, op, [value.into(), 0], false)
        },
        Code::VEX_Vperm2i128_ymm_ymm_ymmm256_imm8 => by_vector!(instruction, 2, permute_halves()),
        Code::VEX_Vpmovzxbd_ymm_xmmm64 if in_memory(1) => extend_bytes::<M, Memory<8>>,
        Code::VEX_Vpmovzxbd_ymm_xmmm64 => extend_bytes::<M, Ymm<1>>,
        Code::VEX_Vpbroadcastb_ymm_xmmm8 if in_memory(1) => broadcast_byte::<M, Memory<1>>,
        Code::VEX_Vpbroadcastb_ymm_xmmm8 => broadcast_byte::<M, Ymm<1>>,
        Code::VEX_Vpgatherdd_ymm_vm32y_ymm => gather_doublewords,
        _ => return None,
    })
}

/// Each half becomes one of the four halves of the operands, or zero.
fn permute_halves<M: Mmu, S: Vector>(context: &mut Context<'_, M>, op: &Op<M>, wide: bool) -> Outcome {
    let second = S::read(context, op)?;
    let first = register(context, number(op, 1));
    let all = [first[0], first[1], second[0], second[1]];
    let half = |control: u64| if control & 8 != 0 { 0 } else { all[control as usize & 3] };
    write(context, op, [half(op.immediate), half(op.immediate >> 4)], wide)
}

/// Eight bytes to doublewords.
fn extend_bytes<M: Mmu, S: Vector>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let [bytes, _] = S::read(context, op)?;
    let extend = |bytes| widen(bytes, |lane: u8| u32::from(lane));
    write(context, op, [extend(bytes), extend(bytes >> 32)], true)
}

fn broadcast_byte<M: Mmu, S: Vector>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let byte = S::read(context, op)?[0] as u8;
    write(context, op, [build(|_| byte); 2], true)
}

/// VPGATHERDD: loads the doublewords whose mask has its top bit set, then clears the mask. The vector of offsets is
/// `op.registers[1]`. A processor may keep what it loaded before a fault; here nothing is kept.
fn gather_doublewords<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let [target, offsets, mask] = [0, 1, 2].map(|operand| number(op, operand));
    if target == offsets || target == mask || offsets == mask {
        return Err(context.invalid_opcode());
    }
    let lane = |vector: Wide, index: u32| u32::of(vector[index as usize / 4], index % 4);
    let [old, offsets, chosen] = [target, offsets, mask].map(|number| register(context, number));
    let mut loaded = [0; 8];
    for (value, index) in loaded.iter_mut().zip(0..) {
        *value = lane(old, index);
        if lane(chosen, index) >> 31 == 1 {
            let offset = i64::from(lane(offsets, index) as i32) << op.memory.shift;
            let address = context.address_at(op, offset as u64);
            *value = context.load::<u32>(op, address)? as u32;
        }
    }
    context.cpu.xmm[mask] = 0;
    context.cpu.ymm_high[mask] = 0;
    write(context, op, [build(|index| loaded[index as usize]), build(|index| loaded[index as usize + 4])], true)
}
