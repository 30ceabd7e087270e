//! The printf family (docs: C runtime library reference, stream I/O). What it formats is in `print`.

use nt_types::Va;

use super::crt::Unit;
use super::print::Variadic;
use crate::call::{Call, Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, _snprintf(buffer: Va, count: u64, format: Va; ..), HIGH),
    export!(Ntoskrnl, _snwprintf(buffer: Va, count: u64, format: Va; ..), HIGH),
    export!(Ntoskrnl, _vsnprintf(buffer: Va, count: u64, format: Va, list: Va), HIGH),
    export!(Ntoskrnl, _vsnwprintf(buffer: Va, count: u64, format: Va, list: Va), HIGH),
    export!(Ntoskrnl, _vswprintf(buffer: Va, format: Va, list: Va), HIGH),
    export!(Ntoskrnl, sprintf(buffer: Va, format: Va; ..), HIGH),
    export!(Ntoskrnl, sprintf_s(buffer: Va, room: u64, format: Va; ..), HIGH),
    export!(Ntoskrnl, swprintf(buffer: Va, format: Va; ..), HIGH),
    export!(Ntoskrnl, swprintf_s(buffer: Va, room: u64, format: Va; ..), HIGH),
    export!(Ntoskrnl, vsprintf(buffer: Va, format: Va, list: Va), HIGH),
    export!(Ntoskrnl, vsprintf_s(buffer: Va, room: u64, format: Va, list: Va), HIGH),
    export!(Ntoskrnl, vswprintf_s(buffer: Va, room: u64, format: Va, list: Va), HIGH),
];

/// How much of the text goes into the buffer.
#[derive(Clone, Copy)]
enum Room {
    /// All of it.
    Any,
    /// This many units; without a NUL and with the result -1 where the text is longer.
    Cut(u64),
    /// This many units with the NUL; else an empty string and -1.
    Secure(u64),
}

/// -1 as an `int`.
const FAILED: u64 = 0xFFFF_FFFF;

fn print(m: &mut Machine, unit: Unit, buffer: Va, room: Room, format: Va, mut arguments: Variadic) -> Outcome {
    let format = unit.string(m, format, u64::MAX)?;
    let mut text = m.format(&format, unit == Unit::Wide, &mut arguments)?;
    let length = text.len() as u64;
    let result = match room {
        Room::Cut(room) if length > room => {
            text.truncate(room as usize);
            FAILED
        }
        // Exactly full: no terminator.
        Room::Cut(room) if length == room => length,
        Room::Secure(room) if length >= room => {
            text = if room == 0 { Vec::new() } else { vec![0] };
            FAILED
        }
        _ => {
            text.push(0);
            length
        }
    };
    // A null buffer only asks for the length.
    if !buffer.is_null() {
        unit.write(m, buffer, &text)?;
    }
    Ok(Next::Return(result))
}

fn from(call: &Call, next: usize) -> Variadic {
    Variadic::Call { call: *call, next }
}

fn sprintf(m: &mut Machine, call: &Call, buffer: Va, format: Va) -> Outcome {
    print(m, Unit::Narrow, buffer, Room::Any, format, from(call, 2))
}

fn swprintf(m: &mut Machine, call: &Call, buffer: Va, format: Va) -> Outcome {
    print(m, Unit::Wide, buffer, Room::Any, format, from(call, 2))
}

fn _snprintf(m: &mut Machine, call: &Call, buffer: Va, count: u64, format: Va) -> Outcome {
    print(m, Unit::Narrow, buffer, Room::Cut(count), format, from(call, 3))
}

fn _snwprintf(m: &mut Machine, call: &Call, buffer: Va, count: u64, format: Va) -> Outcome {
    print(m, Unit::Wide, buffer, Room::Cut(count), format, from(call, 3))
}

fn sprintf_s(m: &mut Machine, call: &Call, buffer: Va, room: u64, format: Va) -> Outcome {
    print(m, Unit::Narrow, buffer, Room::Secure(room), format, from(call, 3))
}

fn swprintf_s(m: &mut Machine, call: &Call, buffer: Va, room: u64, format: Va) -> Outcome {
    print(m, Unit::Wide, buffer, Room::Secure(room), format, from(call, 3))
}

fn vsprintf(m: &mut Machine, buffer: Va, format: Va, list: Va) -> Outcome {
    print(m, Unit::Narrow, buffer, Room::Any, format, Variadic::List(list))
}

fn _vswprintf(m: &mut Machine, buffer: Va, format: Va, list: Va) -> Outcome {
    print(m, Unit::Wide, buffer, Room::Any, format, Variadic::List(list))
}

fn _vsnprintf(m: &mut Machine, buffer: Va, count: u64, format: Va, list: Va) -> Outcome {
    print(m, Unit::Narrow, buffer, Room::Cut(count), format, Variadic::List(list))
}

fn _vsnwprintf(m: &mut Machine, buffer: Va, count: u64, format: Va, list: Va) -> Outcome {
    print(m, Unit::Wide, buffer, Room::Cut(count), format, Variadic::List(list))
}

fn vsprintf_s(m: &mut Machine, buffer: Va, room: u64, format: Va, list: Va) -> Outcome {
    print(m, Unit::Narrow, buffer, Room::Secure(room), format, Variadic::List(list))
}

fn vswprintf_s(m: &mut Machine, buffer: Va, room: u64, format: Va, list: Va) -> Outcome {
    print(m, Unit::Wide, buffer, Room::Secure(room), format, Variadic::List(list))
}
