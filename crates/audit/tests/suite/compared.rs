//! Code that compares the current level with a constant, in each form that compilers make of that.

use iced_x86::IcedError;
use iced_x86::code_asm::*;

use crate::assembled::{PROBE, Routine, Section, Source, Step, probed};

type Jump = fn(&mut Routine<'_>, CodeLabel) -> Result<(), IcedError>;

/// A comparison, a jump, and the levels at which it is taken.
type Form = (&'static str, Step, Jump, fn(u8) -> bool);

/// The level is in al, zero-extended in rcx and r9, and on the stack.
const FORMS: &[Form] = &[
    ("al < 2", |a| a.cmp(al, 2), |a, to| a.jb(to), |level| level < 2),
    ("al >= 2", |a| a.cmp(al, 2), |a, to| a.jae(to), |level| level >= 2),
    ("al < 2, signed", |a| a.cmp(al, 2), |a, to| a.jl(to), |level| level < 2),
    ("al >= 2, signed", |a| a.cmp(al, 2), |a, to| a.jge(to), |level| level >= 2),
    ("al - 2 < 0", |a| a.cmp(al, 2), |a, to| a.js(to), |level| level < 2),
    ("al - 2 >= 0", |a| a.cmp(al, 2), |a, to| a.jns(to), |level| level >= 2),
    ("al == 2", |a| a.cmp(al, 2), |a, to| a.je(to), |level| level == 2),
    ("al != 2", |a| a.cmp(al, 2), |a, to| a.jne(to), |level| level != 2),
    ("al != 0", |a| a.cmp(al, 0), |a, to| a.jne(to), |level| level != 0),
    ("al <= 1", |a| a.cmp(al, 1), |a, to| a.jbe(to), |level| level <= 1),
    ("al > 1", |a| a.cmp(al, 1), |a, to| a.ja(to), |level| level > 1),
    ("al <= 1, signed", |a| a.cmp(al, 1), |a, to| a.jle(to), |level| level <= 1),
    ("al > 1, signed", |a| a.cmp(al, 1), |a, to| a.jg(to), |level| level > 1),
    ("al > -1, signed", |a| a.cmp(al, -1), |a, to| a.jg(to), |_| true),
    ("al < 255", |a| a.cmp(al, -1), |a, to| a.jb(to), |_| true),
    ("ecx > -1, signed", |a| a.cmp(ecx, -1), |a, to| a.jg(to), |_| true),
    ("cl < 2", |a| a.cmp(cl, 2), |a, to| a.jb(to), |level| level < 2),
    ("r9b < 2", |a| a.cmp(r9b, 2), |a, to| a.jb(to), |level| level < 2),
    ("ecx < 2", |a| a.cmp(ecx, 2), |a, to| a.jl(to), |level| level < 2),
    ("rcx < 2", |a| a.cmp(rcx, 2), |a, to| a.jb(to), |level| level < 2),
    ("r9 == 3", |a| a.cmp(r9, 3), |a, to| a.je(to), |level| level == 3),
    ("on the stack", |a| a.cmp(byte_ptr(rsp + 0x40), 2), |a, to| a.jb(to), |level| level < 2),
    ("the constant first", |a| two_and_level(a), |a, to| a.ja(to), |level| level < 2),
    ("al == 0 by test", |a| a.test(al, al), |a, to| a.je(to), |level| level == 0),
    ("al != 0 by test", |a| a.test(al, al), |a, to| a.jne(to), |level| level != 0),
    ("ecx > 0 by test", |a| a.test(ecx, ecx), |a, to| a.jg(to), |level| level > 0),
    ("al >= 0 by test", |a| a.test(al, al), |a, to| a.jns(to), |_| true),
    ("cl == 0 by or", |a| a.or(cl, cl), |a, to| a.je(to), |level| level == 0),
    ("al & feh == 0", |a| a.test(al, 0xfe), |a, to| a.je(to), |level| level < 2),
    ("al & feh != 0", |a| a.test(al, 0xfe), |a, to| a.jne(to), |level| level >= 2),
    ("al & feh > 0", |a| a.test(al, 0xfe), |a, to| a.ja(to), |level| level >= 2),
    ("ecx & fffffffeh == 0", |a| a.test(ecx, -2), |a, to| a.je(to), |level| level < 2),
    ("rcx & feh == 0", |a| a.test(rcx, 0xfe), |a, to| a.je(to), |level| level < 2),
    ("al & fch != 0", |a| a.test(al, 0xfc), |a, to| a.jne(to), |level| level >= 4),
    ("cl & f8h == 0", |a| a.test(cl, 0xf8), |a, to| a.je(to), |level| level < 8),
    ("al & 2 != 0", |a| a.test(al, 2), |a, to| a.jne(to), |level| level & 2 != 0),
    ("al & feh == 0 by and", |a| a.and(al, 0xfe), |a, to| a.je(to), |level| level < 2),
    ("al < 2 by sub", |a| a.sub(al, 2), |a, to| a.jb(to), |level| level < 2),
    ("ecx == 2 by sub", |a| a.sub(ecx, 2), |a, to| a.je(to), |level| level == 2),
];

fn two_and_level(a: &mut Routine<'_>) -> Result<(), IcedError> {
    a.mov(dl, 2)?;
    a.cmp(dl, cl)
}

/// Ways to read the level.
const READS: [Step; 2] = [
    |a| {
        a.mov(rax, cr8)?;
        a.mov(ecx, eax)?;
        a.mov(r9, rax)?;
        a.mov(byte_ptr(rsp + 0x40), al)
    },
    |a| {
        a.import("KeGetCurrentIrql")?;
        a.movzx(ecx, al)?;
        a.movzx(r9, al)?;
        a.mov(byte_ptr(rsp + 0x40), al)
    },
];

/// The probe stands where the jump leads, or where it does not.
fn compares(a: &mut Routine<'_>, read: Step, form: &Form, where_taken: bool) -> Result<(), IcedError> {
    let (_, compare, jump, _) = form;
    let (mut taken, mut end) = (a.create_label(), a.create_label());
    read(a)?;
    compare(a)?;
    jump(a, taken)?;
    if !where_taken {
        a.probe()?;
    }
    a.jmp(end)?;
    a.set_label(&mut taken)?;
    a.nop()?;
    if where_taken {
        a.probe()?;
    }
    a.set_label(&mut end)?;
    a.nop()
}

fn each(check: impl Fn(&'static Form, Step, bool)) {
    for form in FORMS {
        for read in READS {
            check(form, read, true);
            check(form, read, false);
        }
    }
}

fn source(entry: impl Fn(&mut Routine<'_>) -> Result<(), IcedError> + 'static) -> Source {
    framed(Source::new(&[PROBE, "KeGetCurrentIrql"]), entry)
}

fn framed(source: Source, body: impl Fn(&mut Routine<'_>) -> Result<(), IcedError> + 'static) -> Source {
    source.text(move |a| {
        a.sub(rsp, 0x68)?;
        body(a)?;
        a.add(rsp, 0x68)?;
        a.ret()
    })
}

fn raise(a: &mut Routine<'_>, level: u8) -> Result<(), IcedError> {
    a.mov(eax, u32::from(level))?;
    a.mov(cr8, rax)
}

/// What a helper does depends on the level at which it is called.
#[test]
fn r160_a_helper_looks_at_the_level_of_its_caller() {
    each(|form, read, where_taken| {
        for level in 2..16 {
            let caller = source(move |a| {
                raise(a, level)?;
                a.routine(Section::Text, 1)
            });
            let helper = framed(caller, move |a| compares(a, read, form, where_taken));
            let expected = if form.3(level) == where_taken { vec![level] } else { Vec::new() };
            assert_eq!(probed(&helper), expected, "{} at {level}, taken: {where_taken}", form.0);
        }
    });
}

/// Where the level is one of two, a comparison tells which; of both, the lower one counts.
#[test]
fn r160_a_comparison_tells_levels_apart() {
    each(|form, read, where_taken| {
        for (low, high) in [(0, 2), (1, 2), (0, 3), (1, 12)] {
            let source = source(move |a| {
                let mut over = a.create_label();
                raise(a, low)?;
                a.test(edx, edx)?;
                a.je(over)?;
                raise(a, high)?;
                a.set_label(&mut over)?;
                compares(a, read, form, where_taken)
            });
            let comes = |level| form.3(level) == where_taken;
            let expected = if comes(high) && !comes(low) { vec![high] } else { Vec::new() };
            assert_eq!(probed(&source), expected, "{} at {low} or {high}, taken: {where_taken}", form.0);
        }
    });
}

/// What was read once serves for several comparisons, and each way has what it knows for itself.
#[test]
fn r160_one_comparison_after_the_other() {
    let source = |level: u8| {
        let caller = source(move |a| {
            raise(a, level)?;
            a.routine(Section::Text, 1)
        });
        framed(caller, |a| {
            let (mut passive, mut dispatch) = (a.create_label(), a.create_label());
            a.mov(rax, cr8)?;
            a.test(al, al)?;
            a.je(passive)?;
            a.cmp(al, 2)?;
            a.je(dispatch)?;
            a.probe()?;
            a.set_label(&mut dispatch)?;
            a.cmp(al, 2)?;
            a.jne(passive)?;
            a.probe()?;
            a.set_label(&mut passive)?;
            a.nop()
        })
    };
    // The probe keeps no register: what comes after it is not known to be no second one.
    assert_eq!(probed(&source(2)), [2]);
    assert_eq!(probed(&source(3)).first(), Some(&3));
}

/// The number that an old level is compared with says nothing of the current one.
#[test]
fn r160_an_old_level_is_another() {
    let source = source(|a| {
        let mut over = a.create_label();
        a.mov(rax, cr8)?;
        a.mov(ebx, eax)?;
        raise(a, 2)?;
        a.test(bl, 0xfe)?;
        a.jne(over)?;
        a.probe()?;
        a.set_label(&mut over)?;
        a.nop()
    });
    assert_eq!(probed(&source), [2]);
}

/// A conditional jump to another routine is a call at the levels at which it is taken.
#[test]
fn r160_a_jump_out_of_a_helper() {
    let source = |jump: fn(&mut Routine<'_>, u64) -> Result<(), IcedError>| {
        let caller = source(|a| {
            raise(a, 2)?;
            a.routine(Section::Text, 1)
        });
        let helper = caller.text(move |a| {
            a.mov(rax, cr8)?;
            a.test(al, 0xfe)?;
            let target = a.address_of(Section::Text, 2);
            jump(a, target)?;
            a.ret()
        });
        framed(helper, |a| a.probe())
    };
    assert!(probed(&source(|a, to| a.je(to))).is_empty());
    assert_eq!(probed(&source(|a, to| a.jne(to))), [2]);
}
