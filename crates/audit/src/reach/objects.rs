//! Which parameters of functions are objects of the driver, and what lies in device extensions.
//!
//! A device extension is storage of the driver that outlives every routine: what one routine stores there, another finds.
//! It is taken as one place for all devices of the driver, and only where all of them are made alike.

use std::collections::{BTreeMap, BTreeSet};

use super::roots::Root;
use crate::ddi::{Does, Role};
use crate::flow::{CREATED, EventKind, Target, Value};
use crate::model::Model;

/// An object that the system makes for a driver.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Object {
    Driver,
    Device,
    Extension,
    /// What the address leads to that lies so many bytes from the start of a device extension.
    Block(i32),
}

/// What a value is to the driver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Meaning {
    /// The address of an object plus so many bytes.
    Object(Object, i32),
    /// `DRIVER_OBJECT.DriverStart`: the header of the image.
    DriverStart,
    /// What lies so many bytes from the start of a device extension.
    Kept(i32),
    /// What lies so many bytes (the second number) from the address that such a place holds, as for pool of the device.
    InBlock(i32, i32),
}

/// Fields that lead from one object to the next, in bytes (wdm.h).
mod field {
    pub(super) const DRIVER_DEVICE_OBJECT: i32 = 0x08;
    pub(super) const DEVICE_DRIVER_OBJECT: i32 = 0x08;
    pub(super) const DEVICE_EXTENSION: i32 = 0x40;
    pub(super) const DRIVER_START: i32 = 0x18;
}

/// The parameters that are objects, and what device extensions hold.
#[derive(Default)]
pub(crate) struct Objects {
    /// Functions and their parameters, from 0.
    parameters: BTreeMap<(u32, u8), Object>,
    /// Functions whose addresses lie so many bytes from the start of a device extension.
    kept: BTreeMap<i32, BTreeSet<usize>>,
    /// Parameters that are an object in some calls and something else in others.
    mixed: BTreeSet<(u32, u8)>,
    /// Blocks of pool, by the call that allocates one: where in a device extension its address lies; `None` where it lies elsewhere
    /// as well.
    blocks: BTreeMap<u32, Option<i32>>,
    /// All devices have the same extension.
    alike: bool,
}

/// A place that outlives every routine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Place {
    /// Of the image.
    Image(u32),
    /// Of the device extension.
    Extension(i32),
    /// So many bytes (the second number) from the address that lies at a place of the device extension (the first).
    Block(i32, i32),
}

impl Meaning {
    /// As an address, plus so many bytes.
    fn plus(self, bytes: i32) -> Option<Meaning> {
        match self {
            _ if bytes == 0 => Some(self),
            Meaning::Object(object, offset) => Some(Meaning::Object(object, offset.checked_add(bytes)?)),
            Meaning::Kept(block) => Some(Meaning::Object(Object::Block(block), bytes)),
            Meaning::DriverStart | Meaning::InBlock(..) => None,
        }
    }

    /// The object that it is the address of, and how far into it.
    fn address(self) -> Option<(Object, i32)> {
        match self {
            Meaning::Object(object, offset) => Some((object, offset)),
            Meaning::Kept(block) => Some((Object::Block(block), 0)),
            Meaning::DriverStart | Meaning::InBlock(..) => None,
        }
    }
}

/// What lies so many bytes from the start of an object.
fn loaded(object: Object, offset: i32) -> Option<Meaning> {
    match (object, offset) {
        (Object::Device, field::DEVICE_EXTENSION) => Some(Meaning::Object(Object::Extension, 0)),
        (Object::Device, field::DEVICE_DRIVER_OBJECT) => Some(Meaning::Object(Object::Driver, 0)),
        (Object::Driver, field::DRIVER_DEVICE_OBJECT) => Some(Meaning::Object(Object::Device, 0)),
        (Object::Driver, field::DRIVER_START) => Some(Meaning::DriverStart),
        (Object::Extension, offset) => Some(Meaning::Kept(offset)),
        (Object::Block(block), offset) => Some(Meaning::InBlock(block, offset)),
        (Object::Device | Object::Driver, _) => None,
    }
}

impl Objects {
    /// Follows objects from where the system hands them over: `seeds` are functions and their parameters.
    pub(super) fn follow(model: &Model<'_>, seeds: impl IntoIterator<Item = ((u32, u8), Object)>) -> Objects {
        let mut objects = Objects::default();
        let mut pending = Vec::new();
        for (parameter, object) in seeds.into_iter().chain(created(model)) {
            objects.add(parameter, object, &mut pending);
        }
        while let Some(function) = pending.pop() {
            for event in model.events.of(function as usize) {
                let EventKind::Call { target: Target::Function(callee), arguments } = event.kind else { continue };
                for (n, argument) in model.events.arguments(arguments).iter().enumerate() {
                    if let Some(Meaning::Object(object, 0)) = objects.meaning(function, *argument) {
                        objects.add((callee, n as u8), object, &mut pending);
                    }
                }
            }
        }
        objects
    }

    /// As [`Objects::follow`], from the routines that the system calls, with what device extensions hold.
    pub(super) fn of_roots(model: &Model<'_>, roots: &[Root]) -> Objects {
        let first = |root: &Root| {
            let object = match root.role {
                Role::DriverEntry | Role::AddDevice | Role::Unload => Object::Driver,
                Role::Dispatch(_)
                | Role::PagablePower
                | Role::StartIo
                | Role::Cancel
                | Role::Completion
                | Role::IoTimer => Object::Device,
                _ => return None,
            };
            Some(((root.function as u32, 0), object))
        };
        // A routine that is both `Unload` and something else is taken for that.
        let (unloads, others): (Vec<&Root>, Vec<&Root>) = roots.iter().partition(|root| root.role == Role::Unload);
        let seeds: Vec<_> = others.into_iter().chain(unloads).filter_map(first).collect();
        let mut objects = Objects::follow(model, seeds.iter().copied());
        let contexts = objects.contexts(model);
        if !contexts.is_empty() {
            objects = Objects::follow(model, seeds.into_iter().chain(contexts));
        }
        objects.alike = made_alike(model);
        if objects.alike {
            objects.keep(model);
        }
        if model.program.locks_sections() {
            objects.mixed = objects.mixed(model);
            objects.blocks = objects.blocks(model);
        }
        objects
    }

    fn add(&mut self, parameter: (u32, u8), object: Object, pending: &mut Vec<u32>) {
        if let std::collections::btree_map::Entry::Vacant(place) = self.parameters.entry(parameter) {
            place.insert(object);
            pending.push(parameter.0);
        }
    }

    /// Objects that are handed to callbacks as their contexts.
    fn contexts(&self, model: &Model<'_>) -> Vec<((u32, u8), Object)> {
        let mut found = Vec::new();
        for (function, _, id, arguments) in model.import_calls() {
            let does = model.program.import(id).routine.map_or(&[][..], |routine| routine.does);
            let argument = |n: u8| arguments.get(usize::from(n) - 1).copied().unwrap_or_default();
            let Some((from, to)) = does.iter().find_map(|does| match does {
                Does::Context(from, to) => Some((*from, *to)),
                _ => None,
            }) else {
                continue;
            };
            let Some(Meaning::Object(object, 0)) = self.meaning(function as u32, argument(from)) else { continue };
            for does in does {
                let Does::Registers(n, _) = does else { continue };
                let routines = argument(*n).addresses().filter_map(|code| model.functions.at(code));
                found.extend(routines.map(|routine| ((routine as u32, to - 1), object)));
            }
        }
        found
    }

    /// Parameters that are an object in some calls and something else in others.
    fn mixed(&self, model: &Model<'_>) -> BTreeSet<(u32, u8)> {
        let mut mixed = BTreeSet::new();
        for (function, event) in model.all_events() {
            let EventKind::Call { target, arguments } = event.kind else { continue };
            let arguments = model.events.arguments(arguments);
            for callee in model.targets(target) {
                for (&(callee, n), object) in self.parameters.range((callee as u32, 0)..=(callee as u32, u8::MAX)) {
                    let argument = arguments.get(usize::from(n)).copied().unwrap_or_default();
                    if n != CREATED && self.meaning(function as u32, argument) != Some(Meaning::Object(*object, 0)) {
                        mixed.insert((callee, n));
                    }
                }
            }
        }
        mixed
    }

    /// Where the addresses of blocks of pool lie.
    fn blocks(&self, model: &Model<'_>) -> BTreeMap<u32, Option<i32>> {
        let mut blocks = BTreeMap::new();
        for (function, event) in model.all_events() {
            let EventKind::KeepsBlock { place, by } = event.kind else { continue };
            let kept = match self.place(function as u32, place.pointee()) {
                Some(Place::Extension(offset)) => Some(offset),
                _ => None,
            };
            let known = blocks.entry(by).or_insert(kept);
            *known = known.filter(|known| Some(*known) == kept);
        }
        blocks
    }

    /// Notes the functions whose addresses are stored in device extensions.
    fn keep(&mut self, model: &Model<'_>) {
        let functions: BTreeSet<u32> = self.parameters.keys().map(|(function, _)| *function).collect();
        for function in functions {
            for event in model.events.of(function as usize) {
                let (place, code) = match event.kind {
                    EventKind::StoreParameter { parameter, offset, code, indexed: false } => {
                        (Value::Parameter(parameter, offset), code)
                    }
                    EventKind::StoreField { parameter, field, offset, code } => {
                        (Value::Field(parameter, field, offset), code)
                    }
                    _ => continue,
                };
                if let Some(Meaning::Object(Object::Extension, offset)) = self.meaning(function, place)
                    && let Some(stored) = model.functions.at(code)
                {
                    self.kept.entry(offset).or_default().insert(stored);
                }
            }
        }
    }

    /// The parameters of functions that are a kind of object.
    pub(super) fn parameters(&self, object: Object) -> impl Iterator<Item = (u32, u8)> {
        self.parameters.iter().filter(move |(_, of)| **of == object).map(|(parameter, _)| *parameter)
    }

    fn object(&self, function: u32, parameter: u8) -> Option<Object> {
        match parameter {
            CREATED => Some(Object::Device),
            parameter => self.parameters.get(&(function, parameter)).copied(),
        }
    }

    /// What a value in a function is.
    pub(crate) fn meaning(&self, function: u32, value: Value) -> Option<Meaning> {
        let parameter = |n| self.object(function, n);
        match value {
            Value::Parameter(n, offset) => Some(Meaning::Object(parameter(n)?, offset)),
            Value::Field(n, field, offset) => loaded(parameter(n)?, field)?.plus(offset),
            Value::Inner(n, field, inner, offset) => {
                let (object, inner) = loaded(parameter(n)?, field)?.plus(inner)?.address()?;
                loaded(object, inner)?.plus(offset)
            }
            Value::Deep(n, field, inner, offset) => {
                let address = self.meaning(function, Value::Inner(n, field, inner, offset))?;
                let (object, offset) = address.address()?;
                loaded(object, offset)
            }
            _ => None,
        }
    }

    /// Is a parameter the same object whoever calls the function, as far as calls are seen?
    fn is_certain(&self, function: u32, value: Value) -> bool {
        match value {
            Value::Parameter(n, _) | Value::Field(n, ..) | Value::Inner(n, ..) | Value::Deep(n, ..) => {
                !self.mixed.contains(&(function, n))
            }
            _ => true,
        }
    }

    /// The place at an address, or near one, where that is a place of the image or of a device extension.
    pub(crate) fn place(&self, function: u32, value: Value) -> Option<Place> {
        if let Value::Global(rva) = value {
            return Some(Place::Image(rva));
        }
        if !self.alike || !self.is_certain(function, value) {
            return None;
        }
        if let Value::InPool(by, offset) = value {
            return self.blocks.get(&by).copied().flatten().map(|block| Place::Block(block, offset));
        }
        match self.meaning(function, value)? {
            Meaning::Kept(offset) => Some(Place::Extension(offset)),
            Meaning::InBlock(block, offset) => Some(Place::Block(block, offset)),
            _ => None,
        }
    }

    /// The functions that a call through memory may lead to, where that memory is a device extension.
    pub(super) fn targets(&self, function: u32, target: Target) -> impl Iterator<Item = usize> {
        let place = match target {
            Target::Loaded(value) if !self.kept.is_empty() => Some(value),
            _ => None,
        };
        let kept = match place.and_then(|place| self.meaning(function, place)) {
            Some(Meaning::Kept(offset)) => self.kept.get(&offset),
            _ => None,
        };
        kept.into_iter().flatten().copied()
    }
}

/// Device objects that functions create: nobody hands them over.
fn created(model: &Model<'_>) -> impl Iterator<Item = ((u32, u8), Object)> {
    let sites = creations(model).into_iter().map(|(function, _)| function as u32);
    let wrappers = (0..model.functions.all.len()).filter(|&function| {
        let callees = model.functions.callees(function).iter();
        callees.into_iter().any(|&callee| model.summaries[callee as usize].creates.is_some())
    });
    sites.chain(wrappers.map(|function| function as u32)).map(|function| ((function, CREATED), Object::Device))
}

/// Calls that create a device object: the function, and the size of the extension.
fn creations(model: &Model<'_>) -> Vec<(usize, Value)> {
    let creates = model.import_calls().filter(|(_, _, id, _)| {
        let does = model.program.import(*id).routine.map_or(&[][..], |routine| routine.does);
        does.iter().any(|does| matches!(does, Does::CreatesDevice(_)))
    });
    creates.map(|(function, _, _, arguments)| (function, arguments.get(1).copied().unwrap_or_default())).collect()
}

/// Do all devices of the driver have the same extension? Those of one size do, and those that one call makes.
fn made_alike(model: &Model<'_>) -> bool {
    let mut sizes = Vec::new();
    for (function, size) in creations(model) {
        let Value::Parameter(n, 0) = size else {
            sizes.push(size);
            continue;
        };
        let calls = model.all_events().filter_map(|(_, event)| match event.kind {
            EventKind::Call { target: Target::Function(callee), arguments } if callee as usize == function => {
                Some(model.events.arguments(arguments).get(usize::from(n)).copied().unwrap_or_default())
            }
            _ => None,
        });
        sizes.extend(calls);
    }
    match sizes.as_slice() {
        [_] => true,
        [first, others @ ..] => first.number().is_some() && others.iter().all(|size| size == first),
        [] => false,
    }
}
