//! The modelled NT executive: loads drivers, answers their exports, delivers interrupts, judges their faults.
//!
//! [`Machine`] is all of a guest machine as data. See ARCHITECTURE.md for its contracts; the modules by topic:
//! `machine` and `run` the machine and its loop, `exports` what drivers call, `fault` page faults and bug
//! checks, `irql` every change of IRQL, `driver` the life of a driver, `request` what the harness asks.
#![forbid(unsafe_code)]

mod attempt;
mod balance;
mod boot;
mod call;
mod checker;
mod choice;
mod coverage;
mod deed;
mod driver;
mod driver_life;
mod event;
mod executed;
mod exits;
mod export_driver;
pub mod exports;
mod fault;
mod finding;
mod guest;
mod interrupt;
mod irql;
mod irql_rules;
mod keeper;
mod machine;
mod modules;
mod moment;
mod ntos_image;
mod options;
pub mod registry;
mod request;
mod resident_objects;
mod routine;
mod run;
mod schedule;
mod seh;
mod stack;
mod state;
mod stop;
mod swapped_stacks;
mod thread;
mod time;
mod turn;
mod verifier;
mod verifier_rules;
mod wait;

pub use boot::{BootError, KUSER_SHARED_DATA};
pub use call::{Call, Callout, Next, Outcome, Then, Trap};
pub use choice::{Choice, ChoicePoints, Parting, Schedule};
pub use coverage::Coverage;
pub use deed::{Bound, Deed, DeedKind};
pub use devices::Mishap;
pub use driver::LoadError;
pub use event::{Event, EventKind, EventLog};
pub use executed::Executed;
pub use export_driver::Role;
pub use exports::io::exercise::Action;
pub use exports::io::wmi_request::WmiRequest;
pub use finding::{Finding, FindingKind, Severity};
pub use keeper::Keeper;
pub use machine::{Machine, Processor};
pub use modules::{LoadedDriver, Modules, UnloadedDriver, UnresolvedImport};
pub use ntos_image::KernelImages;
pub use options::{LowResources, Options, Verifier};
pub use registry::Registry;
pub use request::{Answer, IssuedRequest, RequestId};
pub use routine::{ObjectKind, Routine};
pub use run::{RunEnd, Until};
pub use state::StateHasher;
pub use stop::{
    Cause, ImageFlaw, Limit, PageMisuse, Place, PoolMisuse, Refusal, RequestMisuse, Stop, StopKind, Unsupported,
};
pub use thread::{Thread, ThreadId, ThreadState};
pub use turn::Turn;
pub use verifier::Counters;
pub use wait::{Wait, WaitOn};
