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
    (
        "2 <= ecx <= 3 by lea",
        |a| then(a.lea(edx, ptr(rcx - 2)), a.cmp(edx, 1)),
        |a, to| a.jbe(to),
        |level| level & !1 == 2,
    ),
    ("ecx > 3 by lea, signed", |a| then(a.lea(edx, ptr(rcx - 2)), a.cmp(edx, 1)), |a, to| a.jg(to), |level| level > 3),
    ("cl - 1 > 1", |a| then(a.sub(cl, 1), a.cmp(cl, 1)), |a, to| a.ja(to), |level| level == 0 || level > 2),
    ("ecx - 1 > 0 by dec", |a| then(a.dec(ecx), a.nop()), |a, to| a.jg(to), |level| level > 1),
    ("ecx == 2, counted down", |a| then(a.dec(ecx), a.sub(ecx, 1)), |a, to| a.je(to), |level| level == 2),
    ("ecx + 1 < 3", |a| then(a.inc(ecx), a.cmp(ecx, 3)), |a, to| a.jb(to), |level| level < 2),
    ("al + feh carries", |a| a.add(al, -2), |a, to| a.jb(to), |level| level >= 2),
    ("al >> 1", |a| a.shr(al, 1), |a, to| a.jne(to), |level| level >= 2),
    ("ecx >> 1 & 1", |a| then(a.shr(ecx, 1), a.test(cl, 1)), |a, to| a.jne(to), |level| level & 2 != 0),
    ("ecx & feh, then a comparison", |a| then(a.and(ecx, 0xfe), a.cmp(ecx, 2)), |a, to| a.jb(to), |level| level < 2),
    ("bit 1 of ecx", |a| a.bt(ecx, 1), |a, to| a.jb(to), |level| level & 2 != 0),
    ("no bit 1 of ecx", |a| a.bt(ecx, 1), |a, to| a.jae(to), |level| level & 2 == 0),
    ("a bit of 210h", |a| then(a.mov(edx, 0x210), a.bt(edx, ecx)), |a, to| a.jb(to), |level| level == 4 || level == 9),
    (
        "al >= 2 by setae",
        |a| then(then(a.cmp(al, 2), a.setae(dl)), a.test(dl, dl)),
        |a, to| a.jne(to),
        |level| level >= 2,
    ),
    ("cl < 2 by setb, kept", |a| flag(a), |a, to| a.je(to), |level| level >= 2),
    ("bit 1 of cl by setb, turned round", |a| turned(a), |a, to| a.jne(to), |level| level & 2 == 0),
];

fn then(one: Result<(), IcedError>, other: Result<(), IcedError>) -> Result<(), IcedError> {
    one.and(other)
}

fn flag(a: &mut Routine<'_>) -> Result<(), IcedError> {
    a.cmp(cl, 2)?;
    a.setb(byte_ptr(rsp + 0x48))?;
    a.movzx(edx, byte_ptr(rsp + 0x48))?;
    a.cmp(edx, 0)
}

fn turned(a: &mut Routine<'_>) -> Result<(), IcedError> {
    a.bt(ecx, 1)?;
    a.setb(dl)?;
    a.movzx(edx, dl)?;
    a.xor(edx, 1)
}

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

/// Where the level decides, but not in a way that is followed, it counts as one at which nothing is wrong.
#[test]
fn r160_what_is_not_followed_decides_nothing() {
    let unknown: [Step; 6] = [
        |a| then(a.imul_3(edx, ecx, 3), a.cmp(edx, 7)),
        |a| then(a.neg(cl), a.test(cl, cl)),
        |a| a.cmp(al, byte_ptr(rsi)),
        |a| then(then(a.cmp(al, 2), a.sbb(edx, edx)), a.test(edx, edx)),
        |a| then(a.movzx(edx, byte_ptr(rsi + rcx)), a.cmp(edx, 1)),
        |a| then(then(a.cmp(al, 2), a.cmovb(edx, esi)), a.test(edx, edx)),
    ];
    for (number, compare) in unknown.into_iter().enumerate() {
        for where_taken in [true, false] {
            let caller = source(|a| {
                raise(a, 2)?;
                a.routine(Section::Text, 1)
            });
            let helper =
                framed(caller, move |a| compares(a, READS[0], &("", compare, |a, to| a.ja(to), |_| true), where_taken));
            assert_eq!(probed(&helper), [0; 0], "{number}");
        }
    }
}

/// Code without optimisation keeps the answer of a comparison as a number that it sets on two ways.
#[test]
fn r160_an_answer_that_is_kept_decides_nothing() {
    let caller = source(|a| {
        raise(a, 2)?;
        a.routine(Section::Text, 1)
    });
    let helper = framed(caller, |a| {
        let (mut low, mut both, mut over) = (a.create_label(), a.create_label(), a.create_label());
        a.mov(rax, cr8)?;
        a.cmp(al, 2)?;
        a.jb(low)?;
        a.mov(dword_ptr(rsp + 0x40), 1)?;
        a.jmp(both)?;
        a.set_label(&mut low)?;
        a.mov(dword_ptr(rsp + 0x40), 0)?;
        a.set_label(&mut both)?;
        a.cmp(dword_ptr(rsp + 0x40), 0)?;
        a.jne(over)?;
        a.probe()?;
        a.set_label(&mut over)?;
        a.nop()
    });
    assert_eq!(probed(&helper), [0; 0]);
}

/// A helper says whether the level is high, and another one looks at a level that it is given.
#[test]
fn r160_a_helper_that_answers() {
    let with = |helper: Step, expected: &[u8]| {
        let caller = source(|a| {
            let mut over = a.create_label();
            raise(a, 2)?;
            a.mov(rcx, cr8)?;
            a.routine(Section::Text, 1)?;
            a.test(al, al)?;
            a.jne(over)?;
            a.probe()?;
            a.set_label(&mut over)?;
            a.nop()
        });
        assert_eq!(probed(&framed(caller, helper)), expected);
    };
    with(|a| then(then(a.mov(rax, cr8), a.cmp(al, 2)), a.setae(al)), &[]);
    with(|a| then(then(a.mov(rax, cr8), a.cmp(al, 3)), a.setae(al)), &[2]);
    with(|a| then(a.cmp(cl, 2), a.setae(al)), &[]);
}

/// A chain of comparisons, as `switch` is compiled to for few cases.
#[test]
fn r160_a_switch_by_comparisons() {
    for level in 0..16 {
        let caller = source(move |a| {
            raise(a, level)?;
            a.routine(Section::Text, 1)
        });
        let helper = framed(caller, |a| {
            let (mut two, mut above, mut end) = (a.create_label(), a.create_label(), a.create_label());
            a.mov(rax, cr8)?;
            a.cmp(al, 2)?;
            a.je(two)?;
            a.ja(above)?;
            a.probe()?;
            a.jmp(end)?;
            a.set_label(&mut above)?;
            a.nop()?;
            a.jmp(end)?;
            a.set_label(&mut two)?;
            a.probe()?;
            a.set_label(&mut end)?;
            a.nop()
        });
        assert_eq!(probed(&helper), if level == 2 { vec![2] } else { vec![] }, "{level}");
    }
}

/// Where routines and `.data` lie.
const HELPER: u32 = 0x1100;
const DATA: u32 = 0x4000;

/// A table of `switch` with an entry for each level from `first` to 3 leads to a probe for those of `probes`.
#[test]
fn r160_a_switch_by_a_table() {
    let reached = |level: u8, first: u8, probes: u8| {
        let mut caller = source(move |a| {
            raise(a, level)?;
            a.routine(Section::Text, 1)
        });
        // The probe is behind the jump over it, and what else there is behind the probe and a way out.
        let (probe, rest) = (HELPER + 2, HELPER + 2 + 6 + 1);
        for case in first..4 {
            let target = if probes >> case & 1 != 0 { probe } else { rest };
            caller = caller.number(4 * u32::from(case - first), target.wrapping_sub(DATA));
        }
        let helper = caller.text(move |a| {
            let (mut begin, mut end) = (a.create_label(), a.create_label());
            a.jmp(begin)?;
            a.probe()?;
            a.ret()?;
            a.nop()?;
            a.ret()?;
            a.set_label(&mut begin)?;
            a.import("KeGetCurrentIrql")?;
            a.movzx(ecx, al)?;
            if first > 0 {
                a.sub(ecx, i32::from(first))?;
            }
            a.cmp(ecx, 3 - i32::from(first))?;
            a.ja(end)?;
            a.data(rdx, 0)?;
            a.movsxd(rax, dword_ptr(rdx + rcx * 4))?;
            a.add(rax, rdx)?;
            a.jmp(rax)?;
            a.set_label(&mut end)?;
            a.ret()
        });
        probed(&helper)
    };
    for (first, probes) in [(0, 0b0100), (0, 0b1011), (1, 0b1100), (2, 0b0100), (2, 0b1000), (0, 0b0011)] {
        for level in 2..6 {
            let expected = if level < 4 && probes >> level & 1 != 0 { vec![level] } else { Vec::new() };
            assert_eq!(reached(level, first, probes), expected, "{probes:b} from {first} at {level}");
        }
    }
}
