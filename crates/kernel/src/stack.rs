//! Stack traces through `.pdata`, across the kernel boundary.

use nt_types::Va;

use crate::machine::Machine;
use crate::seh::{Level, Reading, Walk};

/// Most entries of a trace.
const MAX_PLACES: usize = 64;

impl Machine {
    /// Where the current thread is, innermost first: `instruction`, then return addresses, the services of the kernel that
    /// called driver code, and what was interrupted. Changes nothing and never fails: bad data end the trace.
    pub(crate) fn stack_trace(&mut self, instruction: Va) -> Vec<Va> {
        let walk = Walk::current(self);
        let mut places = self.walk_places(walk);
        match places.iter().take(2).position(|place| *place == instruction) {
            Some(skipped) => drop(places.drain(..skipped)),
            None if places.first().is_some_and(|first| self.kernel_images.holds(*first)) => {
                places.insert(0, instruction);
            }
            None => match places.first_mut() {
                Some(first) => *first = instruction,
                None => places.push(instruction),
            },
        }
        places.truncate(MAX_PLACES);
        places
    }

    /// Every place of a walk, beginning with its own.
    pub(crate) fn walk_places(&mut self, mut walk: Walk) -> Vec<Va> {
        let mut places = Vec::new();
        while places.len() <= MAX_PLACES {
            let place = Va(walk.registers.rip);
            let is_modelled = place == self.kernel_images.return_stub || place == self.kernel_images.thread_exit_stub;
            let is_code = self.modules.driver_at(place).is_some() || self.kernel_images.holds(place);
            if !is_modelled {
                if !is_code && !places.is_empty() {
                    break;
                }
                places.push(place);
            }
            match walk.step(self, Reading::Look) {
                Ok(Level::Function(_) | Level::Leaf) => {}
                Ok(
                    Level::Service(service)
                    | Level::Interruption(service)
                    | Level::Exception { service, .. }
                    | Level::Unwind { service, .. },
                ) => places.extend((!service.is_null()).then_some(service)),
                Ok(Level::End) | Err(_) => break,
            }
        }
        places
    }
}
