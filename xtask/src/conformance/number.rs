//! Numbers such as R14, D21, K05, X06.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error, Result, ensure};

/// A family of numbers, in the order of the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Family {
    Requirement,
    Decision,
    Finding,
    Mistake,
    Sample,
}

impl Family {
    /// All, with letter and table of requirements.toml.
    pub(crate) const ALL: [(Family, char, &str); 5] = [
        (Family::Requirement, 'R', "requirements"),
        (Family::Decision, 'D', "decisions"),
        (Family::Finding, 'K', "findings"),
        (Family::Mistake, 'X', "mistakes"),
        (Family::Sample, 'G', "samples"),
    ];

    fn of(letter: char) -> Option<Family> {
        Family::ALL.iter().find(|(_, own, _)| *own == letter).map(|(family, ..)| *family)
    }

    fn letter(self) -> char {
        Family::ALL[self as usize].1
    }
}

/// A number of the specification. What stands behind its digits, as in R43(d) and G5b, names a part and is not kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Number {
    pub(crate) family: Family,
    value: u16,
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = if matches!(self.family, Family::Finding | Family::Mistake) { 2 } else { 1 };
        write!(f, "{}{:0width$}", self.family.letter(), self.value)
    }
}

impl FromStr for Number {
    type Err = Error;

    fn from_str(text: &str) -> Result<Number> {
        let mut letters = text.chars();
        let family = letters.next().and_then(Family::of).with_context(|| format!("`{text}` is no number"))?;
        let rest = letters.as_str();
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (value, part) = rest.split_at(digits);
        let part = part.strip_prefix('(').and_then(|part| part.strip_suffix(')')).unwrap_or(part);
        ensure!(part.is_empty() || matches!(part.as_bytes(), [b'a'..=b'z']), "`{text}` is no number");
        Ok(Number { family, value: value.parse().with_context(|| format!("`{text}` is no number"))? })
    }
}

/// The numbers that a name begins with: `d20_d25_the_count_is_exact`, `x05-dpc-reads-pagedata`.
pub(crate) fn in_name(name: &str) -> Vec<Number> {
    let number = |word: &str| {
        let (letter, rest) = word.split_at_checked(1)?;
        format!("{}{rest}", letter.to_ascii_uppercase()).parse().ok()
    };
    name.split(['_', '-']).map_while(number).collect()
}

/// The numbers before the colon of the first line of a comment: `R97, D21: nobody returns early`.
pub(crate) fn in_comment(line: &str) -> Vec<Number> {
    let Some((list, _)) = line.split_once(':') else { return Vec::new() };
    list.split(", ").map(|item| item.parse().ok()).collect::<Option<_>>().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(numbers: &[Number]) -> Vec<String> {
        numbers.iter().map(Number::to_string).collect()
    }

    #[test]
    fn a_part_of_a_number_is_the_number() {
        let number = |text: &str| text.parse::<Number>().map(|number| number.to_string()).ok();
        assert_eq!(number("R43(d)").as_deref(), Some("R43"));
        assert_eq!(number("G5b").as_deref(), Some("G5"));
        assert_eq!(number("K5").as_deref(), Some("K05"));
        assert_eq!(["", "R", "Q1", "R1(", "R1ab", "R 1", "R99999"].map(number), [const { None }; 7]);
    }

    #[test]
    fn numbers_of_names_and_comments() {
        assert_eq!(shown(&in_name("d20_d25_the_count_is_exact")), ["D20", "D25"]);
        assert_eq!(shown(&in_name("x05-dpc-reads-pagedata-never")), ["X05"]);
        assert!(in_name("second_d20_lock").is_empty());
        assert_eq!(shown(&in_comment("R97, R43(a): nobody returns early")), ["R97", "R43"]);
        assert!(in_comment("R97 says: nobody returns early").is_empty());
        assert!(in_comment("nobody returns early").is_empty());
    }
}
