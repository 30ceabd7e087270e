//! The routines and data that `ntoskrnl.exe`, `hal.dll` and `wmilib.sys` export: one file a family, each row with its declared
//! signature and IRQL range.
#![expect(non_snake_case, reason = "exports carry their Windows names")]

use std::ops::RangeInclusive;

use nt_types::Irql;

use crate::call::{Call, Outcome};
use crate::machine::Machine;

pub mod cm;
mod data;
pub mod ex;
pub(crate) mod failure;
mod hal;
pub mod io;
pub mod ke;
pub mod mm;
pub mod ob;
pub mod po;
pub mod ps;
pub mod rtl;
mod se;
mod seh;
mod table;
pub mod wmilib;

pub(crate) use data::{DATA_EXPORTS, USER_PROBE_ADDRESS};
pub(crate) use table::EXPORTS;

/// The image that exports a routine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Module {
    /// `ntoskrnl.exe`.
    Ntoskrnl,
    /// `hal.dll`.
    Hal,
    /// `wmilib.sys`.
    Wmilib,
}

impl Module {
    /// All of them.
    pub const ALL: [Module; 3] = [Module::Ntoskrnl, Module::Hal, Module::Wmilib];

    /// The file name.
    pub const fn name(self) -> &'static str {
        match self {
            Module::Ntoskrnl => "ntoskrnl.exe",
            Module::Hal => "hal.dll",
            Module::Wmilib => "wmilib.sys",
        }
    }
}

/// The Rust side of an export.
pub type Handler = fn(&mut Machine, &Call) -> Outcome;

/// One exported routine.
#[derive(Debug)]
pub struct Export {
    /// The name, verbatim.
    pub name: &'static str,
    /// The image that exports it.
    pub module: Module,
    /// Declared parameters: name and type.
    pub parameters: &'static [(&'static str, &'static str)],
    /// The IRQLs at which its documentation allows a call.
    pub irql: RangeInclusive<Irql>,
    /// Answers the call.
    pub handler: Handler,
}

impl Export {
    /// Whether its own code may be out of memory. Code that is called at `DISPATCH_LEVEL` or above is resident; of other
    /// code no document says so, and a caller has to reckon with the worst.
    pub fn is_pageable(&self) -> bool {
        *self.irql.end() < Irql::DISPATCH
    }
}

/// A row of an export table: `export!(Ntoskrnl, KeSetEvent(event: Va, increment: i32, wait: bool), DISPATCH)`. The Rust
/// function of the same name must take `&mut Machine` and exactly these types. With `..` after the last parameter it
/// takes the [`Call`] too: for variable arguments and for routines that look at their caller. A routine that is another
/// one by a second name says so: `NtClose = ZwClose(handle: u64)`. The IRQL is the highest at which the routine may be
/// called, or a range as in `DISPATCH..=HIGH`.
#[macro_export]
#[doc(hidden)]
macro_rules! export {
    ($module:ident, $name:ident ( $($rest:tt)* ), $($irql:tt)+) => {
        $crate::export!($module, $name = $name($($rest)*), $($irql)+)
    };
    ($module:ident, $name:ident = $routine:ident ( $($arg:ident : $ty:ty),* ; ..), $($irql:tt)+) => {
        $crate::export!(@row $module, $name($($arg: $ty),*), [$($irql)+], |m, call| {
            let mut _index = 0..;
            $(let $arg: $ty = call.argument(m, _index.next().unwrap_or(0))?;)*
            $routine(m, call $(, $arg)*)
        })
    };
    ($module:ident, $name:ident = $routine:ident ( $($arg:ident : $ty:ty),* ), $($irql:tt)+) => {
        $crate::export!(@row $module, $name($($arg: $ty),*), [$($irql)+], |m, _call| {
            let mut _index = 0..;
            $(let $arg: $ty = _call.argument(m, _index.next().unwrap_or(0))?;)*
            $routine(m $(, $arg)*)
        })
    };
    (@row $module:ident, $name:ident ( $($arg:ident : $ty:ty),* ), [$($irql:tt)+], $handler:expr) => {
        $crate::exports::Export {
            name: stringify!($name),
            module: $crate::exports::Module::$module,
            parameters: &[$((stringify!($arg), <$ty as $crate::call::Argument>::TYPE)),*],
            irql: $crate::export!(@irql $($irql)+),
            handler: $handler,
        }
    };
    (@irql $highest:ident) => { $crate::export!(@irql PASSIVE..=$highest) };
    (@irql $lowest:ident ..= $highest:ident) => { nt_types::Irql::$lowest..=nt_types::Irql::$highest };
}
