//! The 16550A, rule by rule of the PC16550D data sheet.

mod interrupts;
mod modem;
mod port;
mod properties;
mod receive;
mod transmit;
