//! DbgPrint and printf formatting of guest arguments (ddi: DbgPrint; C runtime: format specification syntax).

use nt_types::{NtStatus, Va};

use crate::call::{Call, Next, Outcome, Trap};
use crate::event::EventKind;
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, DbgPrint(format: Va; ..), HIGH),
    export!(Ntoskrnl, DbgPrintEx(component: u32, level: u32, format: Va; ..), HIGH),
    export!(Ntoskrnl, DbgQueryDebugFilterState(component: u32, level: u32), HIGH),
    export!(Ntoskrnl, DbgSetDebugFilterState(component: u32, level: u32, state: bool), HIGH),
    export!(Ntoskrnl, vDbgPrintEx(component: u32, level: u32, format: Va, list: Va; ..), HIGH),
    export!(Ntoskrnl, vDbgPrintExWithPrefix(prefix: Va, component: u32, level: u32, format: Va, list: Va; ..), HIGH),
];

/// Longest text that a format makes, in characters: DbgPrint itself stops at 512 bytes.
const MAX_TEXT: usize = 1 << 16;

fn DbgPrint(m: &mut Machine, call: &Call, format: Va) -> Outcome {
    print(m, call, format, 1)
}

fn DbgPrintEx(m: &mut Machine, call: &Call, _component: u32, _level: u32, format: Va) -> Outcome {
    print(m, call, format, 3)
}

fn vDbgPrintEx(m: &mut Machine, call: &Call, _component: u32, _level: u32, format: Va, list: Va) -> Outcome {
    print_from(m, call, String::new(), format, Variadic::List(list))
}

fn vDbgPrintExWithPrefix(
    m: &mut Machine,
    call: &Call,
    prefix: Va,
    _component: u32,
    _level: u32,
    format: Va,
    list: Va,
) -> Outcome {
    let prefix = String::from_utf8_lossy(&m.read_c_string(prefix)?).into_owned();
    print_from(m, call, prefix, format, Variadic::List(list))
}

/// Everything is printed here, whatever its component and level: all filters are on.
fn DbgQueryDebugFilterState(_m: &mut Machine, _component: u32, _level: u32) -> Outcome {
    Ok(Next::Return(1))
}

fn DbgSetDebugFilterState(m: &mut Machine, _component: u32, _level: u32, state: bool) -> Outcome {
    match state {
        true => Ok(Next::status(NtStatus::SUCCESS)),
        false => Err(m.refuse("DbgSetDebugFilterState", "`State` FALSE")),
    }
}

fn print(m: &mut Machine, call: &Call, format: Va, first: usize) -> Outcome {
    print_from(m, call, String::new(), format, Variadic::Call { call: *call, next: first })
}

fn print_from(m: &mut Machine, call: &Call, prefix: String, format: Va, mut arguments: Variadic) -> Outcome {
    let format = m.read_c_string(format)?;
    let format: Vec<u16> = format.into_iter().map(u16::from).collect();
    let text = m.format(&format, false, &mut arguments)?;
    let text = prefix + &String::from_utf16_lossy(&text);
    m.record_at(call.return_address, EventKind::Printed { text });
    Ok(Next::status(NtStatus::SUCCESS))
}

/// Where variable arguments come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Variadic {
    /// The arguments of the call in progress, from this one on.
    Call { call: Call, next: usize },
    /// A `va_list`: eight bytes each.
    List(Va),
}

impl Variadic {
    fn next(&mut self, m: &mut Machine) -> Result<u64, Trap> {
        match self {
            Variadic::Call { call, next } => {
                *next += 1;
                call.raw(m, *next - 1)
            }
            Variadic::List(address) => {
                let value = m.read_u64(*address)?;
                *address = *address + 8;
                Ok(value)
            }
        }
    }
}

/// One conversion of a format.
#[derive(Clone, Copy, Default)]
struct Conversion {
    left: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
    size: Size,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Size {
    Byte,
    Short,
    #[default]
    Int,
    Long,
    Wide,
    Quad,
}

impl Machine {
    /// Formats like the kernel's printf family. `wide` says whether `%s` takes wide strings.
    pub(crate) fn format(&mut self, format: &[u16], wide: bool, arguments: &mut Variadic) -> Result<Vec<u16>, Trap> {
        let mut text = Vec::new();
        let mut rest = format.iter().copied().peekable();
        while let Some(unit) = rest.next() {
            if unit != u16::from(b'%') {
                text.push(unit);
            } else {
                let converted = self.convert(&mut rest, wide, arguments)?;
                text.extend(converted);
            }
            if text.len() > MAX_TEXT {
                text.truncate(MAX_TEXT);
                break;
            }
        }
        Ok(text)
    }

    fn convert(
        &mut self,
        rest: &mut std::iter::Peekable<impl Iterator<Item = u16>>,
        wide: bool,
        arguments: &mut Variadic,
    ) -> Result<Vec<u16>, Trap> {
        let mut conversion = Conversion::default();
        self.flags(rest, &mut conversion);
        conversion.width = self.number(rest, arguments)?.unwrap_or(0).min(MAX_TEXT);
        if rest.next_if_eq(&u16::from(b'.')).is_some() {
            conversion.precision = Some(self.number(rest, arguments)?.unwrap_or(0).min(MAX_TEXT));
        }
        conversion.size = size(rest);
        let Some(kind) = rest.next() else { return Ok(Vec::new()) };
        let body = self.body(kind as u8, conversion, wide, arguments)?;
        Ok(pad(body, conversion, b"diouxXp".contains(&(kind as u8))))
    }

    fn flags(&self, rest: &mut std::iter::Peekable<impl Iterator<Item = u16>>, conversion: &mut Conversion) {
        while let Some(flag) = rest.next_if(|unit| b"-+ #0".map(u16::from).contains(unit)) {
            match flag as u8 {
                b'-' => conversion.left = true,
                b'+' => conversion.plus = true,
                b' ' => conversion.space = true,
                b'#' => conversion.alternate = true,
                _ => conversion.zero = true,
            }
        }
    }

    fn number(
        &mut self,
        rest: &mut std::iter::Peekable<impl Iterator<Item = u16>>,
        arguments: &mut Variadic,
    ) -> Result<Option<usize>, Trap> {
        if rest.next_if_eq(&u16::from(b'*')).is_some() {
            return Ok(Some((arguments.next(self)? as i32).max(0) as usize));
        }
        let mut value: Option<usize> = None;
        while let Some(digit) = rest.next_if(|unit| (u16::from(b'0')..=u16::from(b'9')).contains(unit)) {
            let digit = usize::from(digit - u16::from(b'0'));
            value = Some(value.unwrap_or(0).saturating_mul(10).saturating_add(digit));
        }
        Ok(value)
    }

    fn body(&mut self, kind: u8, how: Conversion, wide: bool, arguments: &mut Variadic) -> Result<Vec<u16>, Trap> {
        let ascii = |text: String| text.encode_utf16().collect::<Vec<u16>>();
        Ok(match kind {
            b'd' | b'i' => ascii(signed(arguments.next(self)?, how)),
            b'u' => ascii(precise(&unsigned(arguments.next(self)?, how.size).to_string(), how)),
            b'o' => ascii(precise(&format!("{:o}", unsigned(arguments.next(self)?, how.size)), how)),
            b'x' | b'X' => ascii(hexadecimal(unsigned(arguments.next(self)?, how.size), kind, how)),
            b'p' => ascii(format!("{:016X}", arguments.next(self)?)),
            b'c' | b'C' => vec![arguments.next(self)? as u16],
            b's' | b'S' => {
                let is_wide = matches!(how.size, Size::Long | Size::Wide) || (wide != (kind == b'S'));
                let address = Va(arguments.next(self)?);
                self.string_argument(address, is_wide && how.size != Size::Short, how.precision)?
            }
            b'Z' => {
                let string = Va(arguments.next(self)?);
                self.counted_argument(string, matches!(how.size, Size::Long | Size::Wide))?
            }
            other => vec![u16::from(other)],
        })
    }

    fn string_argument(&mut self, address: Va, wide: bool, precision: Option<usize>) -> Result<Vec<u16>, Trap> {
        if address.is_null() {
            return Ok("(null)".encode_utf16().collect());
        }
        let limit = precision.unwrap_or(MAX_TEXT);
        let mut text = Vec::new();
        while text.len() < limit {
            let index = text.len() as u64;
            let unit =
                if wide { self.read_u16(address + 2 * index)? } else { u16::from(self.read_u8(address + index)?) };
            if unit == 0 {
                break;
            }
            text.push(unit);
        }
        Ok(text)
    }

    fn counted_argument(&mut self, string: Va, wide: bool) -> Result<Vec<u16>, Trap> {
        if string.is_null() {
            return Ok("(null)".encode_utf16().collect());
        }
        if wide {
            return self.read_unicode_string(string);
        }
        let length = self.read_u16(string)?;
        let buffer = self.read_va(string + 8)?;
        Ok(self.read_bytes(buffer, u64::from(length))?.into_iter().map(u16::from).collect())
    }
}

fn size(rest: &mut std::iter::Peekable<impl Iterator<Item = u16>>) -> Size {
    let mut eat = |letter: u8| rest.next_if_eq(&u16::from(letter)).is_some();
    if eat(b'h') {
        return if eat(b'h') { Size::Byte } else { Size::Short };
    }
    if eat(b'l') {
        return if eat(b'l') { Size::Quad } else { Size::Long };
    }
    if eat(b'w') {
        return Size::Wide;
    }
    if eat(b'I') {
        if eat(b'3') {
            eat(b'2');
            return Size::Int;
        }
        if eat(b'6') {
            eat(b'4');
        }
        return Size::Quad;
    }
    if eat(b'z') || eat(b't') || eat(b'j') { Size::Quad } else { Size::Int }
}

fn unsigned(raw: u64, size: Size) -> u64 {
    match size {
        Size::Byte => u64::from(raw as u8),
        Size::Short => u64::from(raw as u16),
        Size::Int | Size::Long | Size::Wide => u64::from(raw as u32),
        Size::Quad => raw,
    }
}

fn signed(raw: u64, how: Conversion) -> String {
    let value = match how.size {
        Size::Byte => i64::from(raw as i8),
        Size::Short => i64::from(raw as i16),
        Size::Int | Size::Long | Size::Wide => i64::from(raw as i32),
        Size::Quad => raw as i64,
    };
    let digits = precise(&value.unsigned_abs().to_string(), how);
    match (value < 0, how.plus, how.space) {
        (true, _, _) => format!("-{digits}"),
        (false, true, _) => format!("+{digits}"),
        (false, false, true) => format!(" {digits}"),
        _ => digits,
    }
}

fn hexadecimal(value: u64, kind: u8, how: Conversion) -> String {
    let digits = precise(&if kind == b'X' { format!("{value:X}") } else { format!("{value:x}") }, how);
    if how.alternate && value != 0 { format!("0{}{digits}", char::from(kind)) } else { digits }
}

/// At least as many digits as the precision asks for.
fn precise(digits: &str, how: Conversion) -> String {
    let width = how.precision.unwrap_or(1);
    format!("{digits:0>width$}")
}

fn pad(body: Vec<u16>, how: Conversion, numeric: bool) -> Vec<u16> {
    let missing = how.width.saturating_sub(body.len());
    if how.left {
        return body.into_iter().chain(std::iter::repeat_n(u16::from(b' '), missing)).collect();
    }
    if how.zero && numeric && how.precision.is_none() {
        let sign = usize::from(body.first().is_some_and(|first| b"+- ".map(u16::from).contains(first)));
        let zeros = std::iter::repeat_n(u16::from(b'0'), missing);
        return body[..sign].iter().copied().chain(zeros).chain(body[sign..].iter().copied()).collect();
    }
    std::iter::repeat_n(u16::from(b' '), missing).chain(body).collect()
}
