//! Names and patterns of file systems (ddi: FsRtlIsNameInExpression, FsRtlDoesNameContainWildCards).

use nt_types::{NtStatus, Va};

use super::string::upcase;
use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, FsRtlDoesNameContainWildCards(name: Va), PASSIVE),
    export!(Ntoskrnl, FsRtlIsNameInExpression(expression: Va, name: Va, fold: bool, table: Va), PASSIVE),
];

const STAR: u16 = b'*' as u16;
const QUESTION: u16 = b'?' as u16;
/// `DOS_STAR`, `DOS_QM`, `DOS_DOT`.
const DOS_STAR: u16 = b'<' as u16;
const DOS_QM: u16 = b'>' as u16;
const DOS_DOT: u16 = b'"' as u16;
const DOT: u16 = b'.' as u16;
const WILDCARDS: [u16; 5] = [STAR, QUESTION, DOS_STAR, DOS_QM, DOS_DOT];

fn FsRtlDoesNameContainWildCards(m: &mut Machine, name: Va) -> Outcome {
    let found = m.read_unicode_string(name)?.iter().any(|unit| WILDCARDS.contains(unit));
    Ok(Next::Return(found.into()))
}

/// With `fold` the caller has put the expression in upper case.
fn FsRtlIsNameInExpression(m: &mut Machine, expression: Va, name: Va, fold: bool, table: Va) -> Outcome {
    if !table.is_null() {
        return Err(m.refuse("FsRtlIsNameInExpression", "`UpcaseTable` other than NULL"));
    }
    let expression = m.read_unicode_string(expression)?;
    let mut name = m.read_unicode_string(name)?;
    if fold {
        name.iter_mut().for_each(|unit| *unit = upcase(*unit));
    }
    if name.len().saturating_mul(expression.len()) > 1 << 24 {
        return Err(Trap::Raise(NtStatus::NO_MEMORY));
    }
    Ok(Next::Return(matches(&expression, &name).into()))
}

/// Follows all ways through the expression at once: the set of places in it that the name so far may have led to.
fn matches(expression: &[u16], name: &[u16]) -> bool {
    let mut places = vec![false; expression.len() + 1];
    places[0] = true;
    skip_empty(expression, &mut places, name);
    for (index, unit) in name.iter().enumerate() {
        let rest = &name[index + 1..];
        let mut next = vec![false; expression.len() + 1];
        for (place, wanted) in expression.iter().enumerate().filter(|(place, _)| places[*place]) {
            match *wanted {
                STAR => next[place] = true,
                // Any number of characters up to the last dot of the name.
                DOS_STAR => next[place] |= *unit != DOT || rest.contains(&DOT),
                QUESTION => next[place + 1] = true,
                DOS_QM if *unit != DOT => next[place + 1] = true,
                DOS_DOT if *unit == DOT => next[place + 1] = true,
                literal if literal == *unit && !WILDCARDS.contains(&literal) => next[place + 1] = true,
                _ => {}
            }
        }
        skip_empty(expression, &mut next, rest);
        places = next;
    }
    places[expression.len()]
}

/// Parts of an expression that also stand for nothing: stars always, the others where a dot or the end of the name is next.
fn skip_empty(expression: &[u16], places: &mut [bool], rest: &[u16]) {
    for (place, wanted) in expression.iter().enumerate() {
        let at_end = rest.is_empty();
        let empty = match *wanted {
            STAR | DOS_STAR => true,
            DOS_QM => at_end || rest[0] == DOT,
            DOS_DOT => at_end,
            _ => false,
        };
        if places[place] && empty {
            places[place + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    fn check(expression: &str, name: &str) -> bool {
        let units = |text: &str| text.encode_utf16().collect::<Vec<u16>>();
        matches(&units(expression), &units(name))
    }

    #[test]
    fn expressions_as_documented() {
        for (expression, name, expected) in [
            ("*", "", true),
            ("*.SYS", "A.B.SYS", true),
            ("*.SYS", "SYS", false),
            ("A?C", "ABC", true),
            ("A?C", "AC", false),
            ("A>>", "A", true),
            ("A>>.TXT", "AB.TXT", true),
            ("A>>.TXT", "ABCD.TXT", false),
            ("<.TXT", "A.B.TXT", true),
            ("A\"", "A", true),
            ("A\"", "A.", true),
            ("A\"B", "AB", false),
            ("", "", true),
        ] {
            assert_eq!(check(expression, name), expected, "{expression} {name}");
        }
    }
}
