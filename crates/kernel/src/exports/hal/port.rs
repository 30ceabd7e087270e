//! Ports and device registers through routines (ddi: READ_PORT_UCHAR, WRITE_PORT_BUFFER_UCHAR). Compilers for x64 inline
//! most of them.

use nt_types::Va;

use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Hal, READ_PORT_BUFFER_UCHAR(port: u64, buffer: Va, count: u32), HIGH),
    export!(Hal, READ_PORT_BUFFER_ULONG(port: u64, buffer: Va, count: u32), HIGH),
    export!(Hal, READ_PORT_BUFFER_USHORT(port: u64, buffer: Va, count: u32), HIGH),
    export!(Hal, READ_PORT_UCHAR(port: u64), HIGH),
    export!(Hal, READ_PORT_ULONG(port: u64), HIGH),
    export!(Hal, READ_PORT_USHORT(port: u64), HIGH),
    export!(Hal, WRITE_PORT_BUFFER_UCHAR(port: u64, buffer: Va, count: u32), HIGH),
    export!(Hal, WRITE_PORT_BUFFER_ULONG(port: u64, buffer: Va, count: u32), HIGH),
    export!(Hal, WRITE_PORT_BUFFER_USHORT(port: u64, buffer: Va, count: u32), HIGH),
    export!(Hal, WRITE_PORT_UCHAR(port: u64, value: u8), HIGH),
    export!(Hal, WRITE_PORT_ULONG(port: u64, value: u32), HIGH),
    export!(Hal, WRITE_PORT_USHORT(port: u64, value: u16), HIGH),
];

impl Machine {
    fn port_in(&mut self, port: u64, width: u8) -> u64 {
        let now = self.now_ns();
        self.attention = true;
        self.bus.port_read(port as u16, width, now)
    }

    fn port_out(&mut self, port: u64, width: u8, value: u64) {
        let now = self.now_ns();
        self.attention = true;
        self.bus.port_write(port as u16, width, value, now);
    }

    /// Reading a device has an effect, so the buffer is probed first.
    fn ports_in(&mut self, port: u64, buffer: Va, count: u32, width: u8) -> Result<Next, Trap> {
        let step = u64::from(width);
        self.probe_write(buffer, step * u64::from(count))?;
        for index in 0..u64::from(count) {
            let value = self.port_in(port, width).to_le_bytes();
            self.write_bytes(buffer + step * index, &value[..usize::from(width)])?;
        }
        Ok(Next::VOID)
    }

    fn ports_out(&mut self, port: u64, buffer: Va, count: u32, width: u8) -> Result<Next, Trap> {
        let bytes = self.read_bytes(buffer, u64::from(width) * u64::from(count))?;
        for item in bytes.chunks_exact(width.into()) {
            let value = item.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
            self.port_out(port, width, value);
        }
        Ok(Next::VOID)
    }
}

fn READ_PORT_UCHAR(m: &mut Machine, port: u64) -> Outcome {
    Ok(Next::Return(m.port_in(port, 1)))
}

fn READ_PORT_USHORT(m: &mut Machine, port: u64) -> Outcome {
    Ok(Next::Return(m.port_in(port, 2)))
}

fn READ_PORT_ULONG(m: &mut Machine, port: u64) -> Outcome {
    Ok(Next::Return(m.port_in(port, 4)))
}

fn WRITE_PORT_UCHAR(m: &mut Machine, port: u64, value: u8) -> Outcome {
    m.port_out(port, 1, value.into());
    Ok(Next::VOID)
}

fn WRITE_PORT_USHORT(m: &mut Machine, port: u64, value: u16) -> Outcome {
    m.port_out(port, 2, value.into());
    Ok(Next::VOID)
}

fn WRITE_PORT_ULONG(m: &mut Machine, port: u64, value: u32) -> Outcome {
    m.port_out(port, 4, value.into());
    Ok(Next::VOID)
}

fn READ_PORT_BUFFER_UCHAR(m: &mut Machine, port: u64, buffer: Va, count: u32) -> Outcome {
    m.ports_in(port, buffer, count, 1)
}

fn READ_PORT_BUFFER_USHORT(m: &mut Machine, port: u64, buffer: Va, count: u32) -> Outcome {
    m.ports_in(port, buffer, count, 2)
}

fn READ_PORT_BUFFER_ULONG(m: &mut Machine, port: u64, buffer: Va, count: u32) -> Outcome {
    m.ports_in(port, buffer, count, 4)
}

fn WRITE_PORT_BUFFER_UCHAR(m: &mut Machine, port: u64, buffer: Va, count: u32) -> Outcome {
    m.ports_out(port, buffer, count, 1)
}

fn WRITE_PORT_BUFFER_USHORT(m: &mut Machine, port: u64, buffer: Va, count: u32) -> Outcome {
    m.ports_out(port, buffer, count, 2)
}

fn WRITE_PORT_BUFFER_ULONG(m: &mut Machine, port: u64, buffer: Va, count: u32) -> Outcome {
    m.ports_out(port, buffer, count, 4)
}
