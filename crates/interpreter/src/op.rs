//! A decoded instruction, ready to execute.

use crate::context::Context;
use iced_x86::Code;

/// What to do after an instruction was committed.
#[must_use = "a store may have changed the code that follows"]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flow {
    /// Go on with the operation that follows in the block.
    Next,
    /// Go on at `Context::rip`.
    Jump,
}

/// The run ends here; the reason is in the context. Empty, so that a handler's result fits a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stop;

/// How a handler ends.
pub(crate) type Outcome = Result<Flow, Stop>;

/// Executes one operation.
pub(crate) type Handler<M> = fn(&mut Context<'_, M>, &Op<M>) -> Outcome;

/// Executes the first of some operations, where there is one, and those that follow it, until one does not simply go on.
///
/// The call of the next operation is the last thing that a chain does, so an optimising compiler makes it a jump and
/// nothing returns to the dispatcher in between. Without that, the stack is bounded by the length of a block.
pub(crate) type Chain<M> = fn(&mut Context<'_, M>, &[Op<M>]) -> Outcome;

/// A chain that begins with `handler`, see [`chained`].
#[inline(always)]
pub(crate) fn execute_chain<M>(
    context: &mut Context<'_, M>,
    ops: &[Op<M>],
    handler: impl FnOnce(&mut Context<'_, M>, &Op<M>) -> Outcome,
) -> Outcome {
    let Some((op, rest)) = ops.split_first() else {
        return Ok(Flow::Next);
    };
    let outcome = handler(context, op);
    if outcome == Ok(Flow::Next) {
        return (op.next_chain)(context, rest);
    }
    context.ended = op.position;
    outcome
}

/// What follows the last operation of a block.
pub(crate) fn end_of_block<M>(_: &mut Context<'_, M>, _: &[Op<M>]) -> Outcome {
    Ok(Flow::Next)
}

/// The type of a chain, for inference.
pub(crate) fn as_chain<M>(chain: Chain<M>) -> Chain<M> {
    chain
}

/// Makes a [`Chain`] of a handler that is known by name.
macro_rules! chained {
    ($handler:expr) => {
        $crate::op::as_chain(|context, ops| $crate::op::execute_chain(context, ops, $handler))
    };
}

pub(crate) use chained;

/// An instruction with its operands resolved.
pub(crate) struct Op<M> {
    /// Executes the operation that follows in the block. Here, and not there, so that where to go is known early.
    pub(crate) next_chain: Chain<M>,
    /// For families that are not chained: what their chain calls.
    pub(crate) handler: Handler<M>,
    /// Where the instruction lies.
    pub(crate) address: u64,
    /// The immediate, extended to the operand size; or the target of a near branch; or the condition of SETcc and CMOVcc.
    pub(crate) immediate: u64,
    pub(crate) memory: Memory,
    /// Register numbers of the first three operands, where they are registers. The legacy high bytes AH, CH, DH and BH
    /// are 16 to 19.
    pub(crate) registers: [u8; 3],
    /// Bytes of the instruction.
    pub(crate) length: u8,
    /// Operations before this one in its block.
    pub(crate) position: u8,
    pub(crate) repeat: Repeat,
    pub(crate) code: Code,
}

impl<M> Op<M> {
    /// Address of the instruction that follows.
    pub(crate) fn next(&self) -> u64 {
        self.address.wrapping_add(u64::from(self.length))
    }
}

/// The repeat prefix of a string instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Repeat {
    None,
    /// `rep` or `repe`.
    WhileEqual,
    WhileNotEqual,
}

/// A memory operand: `base + (index << shift) + displacement`, then what `kind` says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) displacement: u64,
    /// Register numbers; [`crate::registers::ZERO`] where there is none.
    pub(crate) base: u8,
    pub(crate) index: u8,
    pub(crate) shift: u8,
    pub(crate) kind: MemoryKind,
}

/// What is special about a memory operand. A set of bits, so that "nothing" is one comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct MemoryKind(u8);

impl MemoryKind {
    pub(crate) const PLAIN: MemoryKind = MemoryKind(0);
    pub(crate) const FS: MemoryKind = MemoryKind(1);
    pub(crate) const GS: MemoryKind = MemoryKind(2);
    /// The offset is cut to 32 bits before the segment base is added.
    pub(crate) const NARROW: MemoryKind = MemoryKind(4);

    pub(crate) fn with(self, other: MemoryKind) -> MemoryKind {
        MemoryKind(self.0 | other.0)
    }

    pub(crate) fn has(self, other: MemoryKind) -> bool {
        self.0 & other.0 != 0
    }

    /// Cuts an offset to the address size.
    #[inline(always)]
    pub(crate) fn cut(self, offset: u64) -> u64 {
        if self.has(MemoryKind::NARROW) { offset & 0xffff_ffff } else { offset }
    }

    pub(crate) fn has_segment(self) -> bool {
        self.has(MemoryKind::FS.with(MemoryKind::GS))
    }
}
