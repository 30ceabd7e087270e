//! What a function looks like to its callers.

use super::balance::Balance;
use super::facts::{Facts, Held};
use super::irql::IrqlSet;
use super::registers::Registers;
use super::value::Value;
use crate::ddi::Role;

/// The effect of a function.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Summary {
    /// The level at its end, relative to that of its entry.
    pub(crate) irql: IrqlSet,
    pub(crate) held: Held,
    /// How often sections are locked at its end, compared with its entry.
    pub(crate) balance: Balance,
    /// Its result, where that is a level, a handle or pool.
    pub(crate) result: Value,
    /// Registers that it keeps although it need not.
    pub(crate) keeps: Registers,
    /// No way through it comes to an end.
    pub(crate) never_returns: bool,
    /// Parameters, from 0, that it hands to the system as routines.
    pub(crate) registers: Vec<(u8, Role)>,
    /// The parameter, from 0, that says where it stores the address of a device object that it creates.
    pub(crate) creates: Option<u8>,
    /// Sections that it locks, at any time.
    pub(crate) locks: Facts,
}

impl Default for Summary {
    /// What is assumed of a function that is not known: it leaves everything as it was.
    fn default() -> Summary {
        Summary {
            irql: IrqlSet::ENTRY,
            held: Held::default(),
            balance: Balance::default(),
            result: Value::Unknown,
            keeps: Registers::default(),
            never_returns: false,
            registers: Vec::new(),
            creates: None,
            locks: Facts::NONE,
        }
    }
}
