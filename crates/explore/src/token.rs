//! A run as one word: what was run, and the deeds.
//!
//! `np2-` and the rest in base64url: a checksum, a checksum and the length of the driver, where it was asked, the deeds with
//! the distance of each choice from the one before, the arguments that made the machine, and a checksum of the files beside the
//! driver, where there are any.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::{ChoicePoints, Deed, Mishap, RequestId, Schedule, ThreadId, Turn};
use nt_types::Va;

/// What replays a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// The arguments that made machine and exercise, as words of a command line.
    pub arguments: Vec<String>,
    /// CRC-32 and length of the driver's file.
    pub driver: (u32, u64),
    /// Checksum of what else was read, such as a scenario; `None` where nothing was.
    pub files: Option<u32>,
    /// Where was asked.
    pub points: ChoicePoints,
    /// The deeds.
    pub schedule: Schedule,
}

/// Why a word is no token.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TokenError {
    /// It does not begin as one.
    #[error("a token begins with `{PREFIX}`")]
    NotAToken,
    /// It was made by another version of this program.
    #[error("the token was made by a version of this program that numbers choices differently")]
    OtherVersion,
    /// Something in it was changed, or the end is missing.
    #[error("the token is damaged: its checksum does not fit")]
    Damaged,
    /// Somebody made it who is no search.
    #[error("the token is whole, but what it has is no schedule")]
    NoSchedule,
}

/// What a token of this version begins with.
const PREFIX: &str = "np2-";
/// What tokens of all versions begin with.
const ANY_PREFIX: &str = "np";
/// Between the arguments and what follows them: no text has it.
const END_OF_TEXT: u8 = 0xff;
/// Bits of the kind of a deed.
const KIND_BITS: u32 = 4;
/// Deeds in a token at most: more than any schedule has choices.
const MAX_DEEDS: u64 = 1 << 20;

impl Token {
    /// The word.
    pub fn encode(&self) -> String {
        let mut body = Vec::new();
        body.extend(self.driver.0.to_le_bytes());
        put(&mut body, self.driver.1);
        put(&mut body, self.points.bits().into());
        put(&mut body, self.schedule.len() as u64);
        let mut before = 0;
        for (index, deed) in &self.schedule {
            let Parts { kind, turn, number } = parts(*deed);
            put(&mut body, u64::from(index - before) << KIND_BITS | kind);
            [turn, number].into_iter().flatten().for_each(|value| put(&mut body, value));
            before = *index;
        }
        body.extend(self.arguments.join("\0").as_bytes());
        if let Some(files) = self.files {
            body.push(END_OF_TEXT);
            body.extend(files.to_le_bytes());
        }
        let mut bytes = crc32fast::hash(&body).to_le_bytes().to_vec();
        bytes.extend(body);
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads a word.
    ///
    /// # Errors
    /// It is none that this version has made.
    pub fn decode(word: &str) -> Result<Token, TokenError> {
        let Some(text) = word.trim().strip_prefix(PREFIX) else {
            let rest = word.trim().strip_prefix(ANY_PREFIX).and_then(|rest| rest.split_once('-'));
            let is_other = rest.is_some_and(|(version, _)| version.parse::<u32>().is_ok());
            return Err(if is_other { TokenError::OtherVersion } else { TokenError::NotAToken });
        };
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Damaged)?;
        let (checksum, body) = bytes.split_first_chunk::<4>().ok_or(TokenError::Damaged)?;
        if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
            return Err(TokenError::Damaged);
        }
        read(body).ok_or(TokenError::NoSchedule)
    }
}

fn read(body: &[u8]) -> Option<Token> {
    let (crc, mut rest) = body.split_first_chunk::<4>()?;
    let length = take(&mut rest)?;
    let points = ChoicePoints::from_bits(u16::try_from(take(&mut rest)?).ok()?);
    let count = take(&mut rest).filter(|count| *count <= MAX_DEEDS)?;
    let (mut schedule, mut index) = (Schedule::new(), 0u32);
    for _ in 0..count {
        let head = take(&mut rest)?;
        let (kind, distance) = (head & ((1 << KIND_BITS) - 1), head >> KIND_BITS);
        // A choice has one answer.
        if distance == 0 && !schedule.is_empty() {
            return None;
        }
        index = index.checked_add(u32::try_from(distance).ok()?)?;
        schedule.push((index, deed(kind, &mut rest)?));
    }
    let (text, files) = match rest.iter().position(|byte| *byte == END_OF_TEXT) {
        None => (rest, None),
        Some(end) => (&rest[..end], Some(u32::from_le_bytes(rest[end + 1..].try_into().ok()?))),
    };
    let text = String::from_utf8(text.to_vec()).ok()?;
    let arguments = if text.is_empty() { Vec::new() } else { text.split('\0').map(str::to_owned).collect() };
    Some(Token { arguments, driver: (u32::from_le_bytes(*crc), length), files, points, schedule })
}

/// A deed in numbers: its kind, for another order whose turn it is, and what it is about. Part of the format.
struct Parts {
    kind: u64,
    turn: Option<u64>,
    number: Option<u64>,
}

fn parts(deed: Deed) -> Parts {
    let (kind, number) = match deed {
        Deed::Trim => (0, None),
        Deed::Interrupt(vector) => (1, Some(vector.into())),
        Deed::Switch(thread) => (2, Some(thread.0.into())),
        Deed::Processor(processor) => (3, Some(processor.into())),
        Deed::Time => (4, None),
        Deed::Cancel(request) => (5, Some(request.0 as u64)),
        Deed::Fail => (6, None),
        Deed::Absent => (7, None),
        Deed::TrimSection(start) => (8, Some(start.0)),
        Deed::TrimPage(page) => (9, Some(page.0)),
        Deed::Order(turn) => {
            let (turn, number) = turn_parts(turn);
            return Parts { kind: 10, turn: Some(turn), number: Some(number) };
        }
        Deed::Befall(mishap) => (11, Some(mishap as u64)),
    };
    Parts { kind, turn: None, number }
}

fn turn_parts(turn: Turn) -> (u64, u64) {
    match turn {
        Turn::FirstTimer(timer) => (0, timer.0),
        Turn::LateTimer(timer) => (1, timer.0),
        Turn::LateTimeout(thread) => (2, thread.0.into()),
        Turn::LateRead(page) => (3, page.0),
        Turn::LateDpc(dpc) => (4, dpc.0),
        Turn::FirstWaiter(thread) => (5, thread.0.into()),
        Turn::MissedPulse(thread) => (6, thread.0.into()),
        Turn::LateCompletion(request) => (7, request.0),
        Turn::CompletionInDpc(request) => (8, request.0),
        Turn::ThreadedDpcsDisabled => (9, 0),
    }
}

fn deed(kind: u64, rest: &mut &[u8]) -> Option<Deed> {
    let mut number = || take(rest);
    Some(match kind {
        0 => Deed::Trim,
        1 => Deed::Interrupt(u32::try_from(number()?).ok()?),
        2 => Deed::Switch(ThreadId(u32::try_from(number()?).ok()?)),
        3 => Deed::Processor(u8::try_from(number()?).ok()?),
        4 => Deed::Time,
        5 => Deed::Cancel(RequestId(usize::try_from(number()?).ok()?)),
        6 => Deed::Fail,
        7 => Deed::Absent,
        8 => Deed::TrimSection(Va(number()?)),
        9 => Deed::TrimPage(Va(number()?)),
        10 => Deed::Order(turn(number()?, number()?)?),
        11 => Deed::Befall(*Mishap::ALL.get(usize::try_from(number()?).ok()?)?),
        _ => return None,
    })
}

fn turn(turn: u64, number: u64) -> Option<Turn> {
    let thread = || u32::try_from(number).ok().map(ThreadId);
    Some(match turn {
        0 => Turn::FirstTimer(Va(number)),
        1 => Turn::LateTimer(Va(number)),
        2 => Turn::LateTimeout(thread()?),
        3 => Turn::LateRead(Va(number)),
        4 => Turn::LateDpc(Va(number)),
        5 => Turn::FirstWaiter(thread()?),
        6 => Turn::MissedPulse(thread()?),
        7 => Turn::LateCompletion(Va(number)),
        8 => Turn::CompletionInDpc(Va(number)),
        9 => Turn::ThreadedDpcsDisabled,
        _ => return None,
    })
}

/// Seven bits a byte, the low ones first.
fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f).checked_shl(shift)?;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token(schedule: Schedule) -> Token {
        let arguments = ["drivers/broken/x08-page-entire-race.sys", "--cpus=2"].map(str::to_owned).to_vec();
        Token { arguments, driver: (0xdead_beef, 12_345), files: None, points: ChoicePoints::USUAL, schedule }
    }

    #[test]
    fn a_usual_token_can_be_pasted() {
        let deeds = [(17, Deed::Trim), (203, Deed::Switch(ThreadId(40))), (210, Deed::Interrupt(7))];
        let word = token(deeds.to_vec()).encode();
        assert!(word.len() < 200, "{} characters: {word}", word.len());
        assert!(word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'), "{word}");
    }

    #[test]
    fn a_checksum_of_further_files_adds_no_more_than_eight_characters() {
        let without = token(vec![(17, Deed::Trim)]);
        for checksum in [0, 0xffff_ffff, 0x00ff_80ff] {
            let with = Token { files: Some(checksum), ..without.clone() };
            assert_eq!(Token::decode(&with.encode()), Ok(with.clone()));
            assert!(with.encode().len() - without.encode().len() <= 8, "{}", with.encode());
        }
    }

    #[test]
    fn what_is_no_token_is_refused_in_words() {
        let word = token(Vec::new()).encode();
        assert_eq!(Token::decode("np1-AAAA"), Err(TokenError::OtherVersion));
        assert_eq!(Token::decode("serial.sys"), Err(TokenError::NotAToken));
        assert_eq!(Token::decode(&word[..word.len() - 2]), Err(TokenError::Damaged));
        assert_eq!(Token::decode(&word.replace('A', "B")), Err(TokenError::Damaged));
    }

    /// The checksum is right, but a choice has two answers, there is no such deed, or the end is missing.
    #[test]
    fn what_no_search_makes_is_refused() {
        let twice = token(vec![(3, Deed::Trim), (3, Deed::Time)]).encode();
        assert_eq!(Token::decode(&twice), Err(TokenError::NoSchedule));
        let seal = |body: &[u8]| {
            let bytes = [&crc32fast::hash(body).to_le_bytes(), body].concat();
            format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
        };
        let head = [0, 0, 0, 0, 1, 1];
        for files in [&[0xff, 1, 2, 3][..], &[0xff, 1, 2, 3, 4, 5], &[0xff]] {
            let word = seal(&[&head[..], &[0], b"x.sys", files].concat());
            assert_eq!(Token::decode(&word), Err(TokenError::NoSchedule), "{files:?}");
        }
        for deeds in [&[1, 15][..], &[1, 1], &[2, 0], &[1, 11, 99]] {
            let word = seal(&[&head, deeds].concat());
            assert_eq!(Token::decode(&word), Err(TokenError::NoSchedule), "{deeds:?}");
        }
        assert!(Token::decode(&seal(&[&head[..], &[1, 0]].concat())).is_ok());
    }

    /// A token of a version that knew fewer deeds.
    #[test]
    fn an_older_token_is_read() {
        let schedule =
            vec![(3, Deed::Trim), (9, Deed::Switch(ThreadId(4))), (20, Deed::TrimPage(Va(0xffff_f800_0000_1000)))];
        let arguments = vec!["drivers/null/null.sys".to_owned()];
        let points = ChoicePoints::from_bits(0b11_1111).and(ChoicePoints::TRIM_PAGE);
        let expected = Token { arguments, driver: (0xdead_beef, 12_345), files: None, points, schedule };
        let word = "np2-lPOeie--rd65YL8EAzBiBLkBgKCAgICA_v__AWRyaXZlcnMvbnVsbC9udWxsLnN5cw";
        assert_eq!(Token::decode(word), Ok(expected));
    }

    fn any_deed() -> impl Strategy<Value = Deed> {
        (0u64..12, 0u8..8, any::<u8>()).prop_map(|(kind, turn, number)| {
            let mut numbers = Vec::new();
            if kind == 10 {
                put(&mut numbers, turn.into());
            }
            put(&mut numbers, if kind == 11 { u64::from(number) % Mishap::ALL.len() as u64 } else { number.into() });
            deed(kind, &mut numbers.as_slice()).expect("small numbers fit")
        })
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            steps in prop::collection::vec((1u32..100_000, any_deed()), 0..200),
            files: Option<u32>,
        ) {
            let mut index = 0;
            let schedule = steps.into_iter().map(|(step, deed)| { index += step; (index, deed) }).collect();
            let token = Token { files, ..token(schedule) };
            prop_assert_eq!(Token::decode(&token.encode()), Ok(token));
        }

        #[test]
        fn no_word_panics(word in "np2-[A-Za-z0-9_-]{0,64}", bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Token::decode(&word);
            let mut sealed = crc32fast::hash(&bytes).to_le_bytes().to_vec();
            sealed.extend(&bytes);
            let _ = Token::decode(&format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed)));
        }
    }
}
