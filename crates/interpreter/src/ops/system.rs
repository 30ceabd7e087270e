//! Control, debug and model-specific registers, time, identification.

use super::cpuid;
use crate::context::{Context, is_canonical};
use crate::op::{Chain, Flow, Op, Outcome, chained};
use engine::{Exit, Gpr, Mmu, Privileged};
use iced_x86::{Code, Instruction};

const RAX: u8 = Gpr::Rax as u8;
const RBX: u8 = Gpr::Rbx as u8;
const RCX: u8 = Gpr::Rcx as u8;
const RDX: u8 = Gpr::Rdx as u8;

/// Model-specific registers that the engine knows.
mod msr {
    pub(super) const TSC: u32 = 0x10;
    pub(super) const FS_BASE: u32 = 0xc000_0100;
    pub(super) const GS_BASE: u32 = 0xc000_0101;
    pub(super) const KERNEL_GS_BASE: u32 = 0xc000_0102;
    pub(super) const TSC_AUX: u32 = 0xc000_0103;
}

/// CR0: a task switch happened since the floating-point state was loaded.
const CR0_TS: u64 = 1 << 3;

/// CR4: the system uses XSAVE.
const CR4_OSXSAVE: u64 = 1 << 18;

/// XCR0: x87 and SSE state.
const XCR0: u64 = 3;

/// DR7: the enable bits of the four hardware breakpoints.
const DR7_ENABLES: u64 = 0xff;

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Chain<M>> {
    Some(match instruction.code() {
        Code::Mov_r64_cr => chained!(read_control),
        Code::Mov_cr_r64 => chained!(write_control),
        Code::Clts => chained!(clear_task_switched),
        Code::Mov_r64_dr => chained!(read_debug),
        Code::Mov_dr_r64 => chained!(write_debug),
        Code::Rdmsr => chained!(read_msr),
        Code::Wrmsr => chained!(write_msr),
        Code::Swapgs => chained!(swap_gs),
        Code::Rdtsc => chained!(read_time),
        Code::Rdtscp => chained!(read_time_and_processor),
        // CPUID offers no performance counters, so each counter number is invalid.
        Code::Rdpmc => chained!(refuse),
        Code::Cpuid => chained!(identify),
        Code::Xgetbv => chained!(read_extended_control),
        Code::Wbinvd | Code::Invd => chained!(flush_caches),
        Code::Invlpg_m => chained!(invalidate_page),
        _ => return None,
    })
}

fn refuse<M: Mmu>(context: &mut Context<'_, M>, _: &Op<M>) -> Outcome {
    Err(context.general_protection())
}

fn read_control<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let value = match op.registers[1] {
        0 => context.cpu.cr0,
        2 => context.cpu.cr2,
        3 => context.cpu.cr3,
        4 => context.cpu.cr4,
        8 => context.cpu.cr8.into(),
        _ => return Err(context.invalid_opcode()),
    };
    context.registers.set(op.registers[0], value);
    Ok(Flow::Next)
}

fn write_control<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let value = context.registers.get(op.registers[1]);
    match op.registers[0] {
        2 => context.cpu.cr2 = value,
        8 => return write_irql(context, op, value),
        number @ (0 | 3 | 4) => return replace_control(context, op, number, value),
        _ => return Err(context.invalid_opcode()),
    }
    Ok(Flow::Next)
}

fn write_irql<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>, value: u64) -> Outcome {
    if value > 15 {
        return Err(context.general_protection());
    }
    let old = std::mem::replace(&mut context.cpu.cr8, value as u8);
    if u64::from(old) == value {
        return Ok(Flow::Next);
    }
    context.rip = op.next();
    Err(context.exit_after(Exit::IrqlChanged { old }))
}

/// Writes CR0, CR3 or CR4 once the machine agrees.
fn replace_control<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>, number: u8, value: u64) -> Outcome {
    let old = match number {
        0 => context.cpu.cr0,
        3 => context.cpu.cr3,
        _ => context.cpu.cr4,
    };
    if old != value {
        context.ask(op, Exit::Privileged(Privileged::WriteControl(number, value)))?;
    }
    match number {
        0 => context.cpu.cr0 = value,
        3 => context.cpu.cr3 = value,
        _ => context.cpu.cr4 = value,
    }
    context.jump(op.next())
}

fn clear_task_switched<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let value = context.cpu.cr0 & !CR0_TS;
    replace_control(context, op, 0, value)
}

fn read_debug<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let Some(number) = debug_register(op.registers[1]) else {
        return Err(context.invalid_opcode());
    };
    context.registers.set(op.registers[0], context.cpu.dr[number]);
    Ok(Flow::Next)
}

/// Hardware breakpoints cannot be switched on: nothing would watch them.
fn write_debug<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let value = context.registers.get(op.registers[1]);
    let Some(number) = debug_register(op.registers[0]) else {
        return Err(context.invalid_opcode());
    };
    if number >= 6 && value > u32::MAX.into() {
        return Err(context.general_protection());
    }
    if number == 7 && value & DR7_ENABLES != 0 {
        return Err(context.unsupported(op));
    }
    context.cpu.dr[number] = value;
    Ok(Flow::Next)
}

/// DR4 and DR5 do not exist with debugging extensions, which are always on here.
fn debug_register(number: u8) -> Option<usize> {
    matches!(number, 0..=3 | 6 | 7).then_some(number.into())
}

fn read_msr<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let number = context.registers.get(RCX) as u32;
    let value = match number {
        msr::TSC => time(context),
        msr::FS_BASE => context.cpu.fs_base,
        msr::GS_BASE => context.cpu.gs_base,
        msr::KERNEL_GS_BASE => context.cpu.kernel_gs_base,
        number => context.ask(op, Exit::Privileged(Privileged::ReadMsr(number)))?,
    };
    set_pair(context, value);
    Ok(Flow::Next)
}

fn write_msr<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let number = context.registers.get(RCX) as u32;
    let value = context.registers.get(RDX) << 32 | u64::from(context.registers.get(RAX) as u32);
    let is_base = matches!(number, msr::FS_BASE | msr::GS_BASE | msr::KERNEL_GS_BASE);
    if is_base && !is_canonical(value) {
        return Err(context.general_protection());
    }
    match number {
        msr::TSC => context.cpu.tsc = value.wrapping_sub(context.retired),
        msr::FS_BASE => context.cpu.fs_base = value,
        number => {
            context.ask(op, Exit::Privileged(Privileged::WriteMsr(number, value)))?;
            match number {
                msr::GS_BASE => context.cpu.gs_base = value,
                msr::KERNEL_GS_BASE => context.cpu.kernel_gs_base = value,
                _ => {}
            }
        }
    }
    Ok(Flow::Next)
}

fn swap_gs<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    context.ask(op, Exit::Privileged(Privileged::SwapGs))?;
    let cpu = &mut *context.cpu;
    std::mem::swap(&mut cpu.gs_base, &mut cpu.kernel_gs_base);
    Ok(Flow::Next)
}

fn time<M: Mmu>(context: &mut Context<'_, M>) -> u64 {
    context.cpu.tsc_was_read = true;
    context.cpu.tsc.wrapping_add(context.retired)
}

fn read_time<M: Mmu>(context: &mut Context<'_, M>, _: &Op<M>) -> Outcome {
    let now = time(context);
    set_pair(context, now);
    Ok(Flow::Next)
}

fn read_time_and_processor<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let processor = context.ask(op, Exit::Privileged(Privileged::ReadMsr(msr::TSC_AUX)))?;
    let now = time(context);
    set_pair(context, now);
    context.registers.set(RCX, processor & 0xffff_ffff);
    Ok(Flow::Next)
}

/// Sets EDX:EAX.
fn set_pair<M>(context: &mut Context<'_, M>, value: u64) {
    context.registers.set(RAX, value & 0xffff_ffff);
    context.registers.set(RDX, value >> 32);
}

fn identify<M: Mmu>(context: &mut Context<'_, M>, _: &Op<M>) -> Outcome {
    let [leaf, subleaf] = [RAX, RCX].map(|number| context.registers.get(number) as u32);
    let answer = cpuid::answer(leaf, subleaf);
    for (number, value) in [RAX, RBX, RCX, RDX].into_iter().zip(answer) {
        context.registers.set(number, value.into());
    }
    Ok(Flow::Next)
}

fn read_extended_control<M: Mmu>(context: &mut Context<'_, M>, _: &Op<M>) -> Outcome {
    if context.cpu.cr4 & CR4_OSXSAVE == 0 {
        return Err(context.invalid_opcode());
    }
    if context.registers.get(RCX) as u32 != 0 {
        return Err(context.general_protection());
    }
    set_pair(context, XCR0);
    Ok(Flow::Next)
}

fn flush_caches<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    context.ask(op, Exit::Privileged(Privileged::FlushCaches))?;
    Ok(Flow::Next)
}

fn invalidate_page<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let address = context.address(op);
    context.ask(op, Exit::Privileged(Privileged::InvalidatePage(address)))?;
    context.jump(op.next())
}
