//! Executive resources (ddi: ExInitializeResourceLite, ExAcquireResourceExclusiveLite, ExReleaseResourceLite). Who owns a
//! resource is kept here; the fields of ERESOURCE that drivers read follow it.

use std::collections::{BTreeMap, BTreeSet};

use nt_types::layout::{eresource, owner_entry};
use nt_types::{BugCheck, BugCheckCode, NtStatus, Va};

use crate::call::{Call, Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;
use crate::routine::ObjectKind;
use crate::stop::{Cause, StopKind};
use crate::thread::ThreadId;
use crate::wait::{Wait, WaitOn};

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, ExAcquireResourceExclusiveLite(resource: Va, wait: bool), APC),
    export!(Ntoskrnl, ExAcquireResourceSharedLite(resource: Va, wait: bool), APC),
    export!(Ntoskrnl, ExAcquireSharedStarveExclusive(resource: Va, wait: bool), APC),
    export!(Ntoskrnl, ExAcquireSharedWaitForExclusive(resource: Va, wait: bool), APC),
    export!(Ntoskrnl, ExConvertExclusiveToSharedLite(resource: Va), APC),
    export!(Ntoskrnl, ExDeleteResourceLite(resource: Va), APC),
    export!(Ntoskrnl, ExEnterCriticalRegionAndAcquireResourceExclusive(resource: Va), APC),
    export!(Ntoskrnl, ExEnterCriticalRegionAndAcquireResourceShared(resource: Va), APC),
    export!(Ntoskrnl, ExGetExclusiveWaiterCount(resource: Va), DISPATCH),
    export!(Ntoskrnl, ExGetSharedWaiterCount(resource: Va), DISPATCH),
    export!(Ntoskrnl, ExInitializeResourceLite(resource: Va), DISPATCH),
    export!(Ntoskrnl, ExIsResourceAcquiredExclusiveLite(resource: Va), DISPATCH),
    export!(Ntoskrnl, ExIsResourceAcquiredSharedLite(resource: Va), DISPATCH),
    export!(Ntoskrnl, ExReinitializeResourceLite(resource: Va), DISPATCH),
    export!(Ntoskrnl, ExReleaseResourceAndLeaveCriticalRegion(resource: Va; ..), APC),
    export!(Ntoskrnl, ExReleaseResourceForThreadLite(resource: Va, thread: Va; ..), DISPATCH),
    export!(Ntoskrnl, ExReleaseResourceLite(resource: Va; ..), DISPATCH),
];

/// Resources by address.
#[derive(Clone, Default, Hash, Debug)]
pub(crate) struct Resources {
    known: BTreeMap<Va, Resource>,
}

impl Resources {
    /// A resource that lies in these bytes.
    pub(crate) fn within(&self, start: Va, bytes: u64) -> Option<Va> {
        self.known.range(start..start + bytes).next().map(|(resource, _)| *resource)
    }
}

/// Who holds a resource and who wants it.
#[derive(Clone, Default, Hash, Debug)]
struct Resource {
    exclusive: bool,
    /// How often each thread object holds it; one entry where it is held exclusively.
    owners: BTreeMap<Va, u32>,
    exclusive_waiters: BTreeSet<ThreadId>,
    shared_waiters: BTreeSet<ThreadId>,
}

/// How a shared acquisition treats threads that wait for exclusive access.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Courtesy {
    /// It waits behind them, unless it holds the resource already.
    Usual,
    /// It goes first.
    Starve,
    /// It waits behind them always.
    WaitFor,
}

impl Resource {
    fn holds(&self, thread: Va) -> u32 {
        self.owners.get(&thread).copied().unwrap_or(0)
    }

    fn grants_exclusive(&self, thread: Va) -> bool {
        self.owners.is_empty() || (self.exclusive && self.holds(thread) > 0)
    }

    fn grants_shared(&self, thread: Va, courtesy: Courtesy) -> bool {
        if self.exclusive {
            return self.holds(thread) > 0;
        }
        match courtesy {
            Courtesy::Starve => true,
            Courtesy::Usual => self.holds(thread) > 0 || self.exclusive_waiters.is_empty(),
            Courtesy::WaitFor => self.exclusive_waiters.is_empty(),
        }
    }
}

fn ExInitializeResourceLite(m: &mut Machine, resource: Va) -> Outcome {
    let list = eresource::SYSTEM_RESOURCES_LIST.at(resource);
    m.fill_bytes(resource, 0, eresource::SIZEOF)?;
    m.write_u64(list, list.0)?;
    m.write_u64(list + 8, list.0)?;
    m.ex.resources.known.insert(resource, Resource::default());
    m.object_initialised(resource, ObjectKind::Resource)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

fn ExReinitializeResourceLite(m: &mut Machine, resource: Va) -> Outcome {
    m.resource(resource)?;
    ExInitializeResourceLite(m, resource)
}

fn ExDeleteResourceLite(m: &mut Machine, resource: Va) -> Outcome {
    m.resource(resource)?;
    m.ex.resources.known.remove(&resource);
    Ok(Next::status(NtStatus::SUCCESS))
}

fn ExAcquireResourceExclusiveLite(m: &mut Machine, resource: Va, wait: bool) -> Outcome {
    let (id, thread) = (m.current_thread(), m.thread().object);
    m.probe_write(resource, eresource::SIZEOF)?;
    let state = m.resource(resource)?;
    if state.grants_exclusive(thread) {
        state.exclusive_waiters.remove(&id);
        state.exclusive = true;
        return m.taken(resource, thread);
    }
    if !wait {
        return Ok(Next::Return(0));
    }
    state.exclusive_waiters.insert(id);
    m.resource_changed(resource)?;
    Err(Trap::Block(Wait::on(WaitOn::Address(resource))))
}

fn ExAcquireResourceSharedLite(m: &mut Machine, resource: Va, wait: bool) -> Outcome {
    share(m, resource, wait, Courtesy::Usual)
}

fn ExAcquireSharedStarveExclusive(m: &mut Machine, resource: Va, wait: bool) -> Outcome {
    share(m, resource, wait, Courtesy::Starve)
}

fn ExAcquireSharedWaitForExclusive(m: &mut Machine, resource: Va, wait: bool) -> Outcome {
    share(m, resource, wait, Courtesy::WaitFor)
}

fn share(m: &mut Machine, resource: Va, wait: bool, courtesy: Courtesy) -> Outcome {
    let (id, thread) = (m.current_thread(), m.thread().object);
    m.probe_write(resource, eresource::SIZEOF)?;
    let state = m.resource(resource)?;
    if state.grants_shared(thread, courtesy) {
        state.shared_waiters.remove(&id);
        return m.taken(resource, thread);
    }
    if !wait {
        return Ok(Next::Return(0));
    }
    state.shared_waiters.insert(id);
    m.resource_changed(resource)?;
    Err(Trap::Block(Wait::on(WaitOn::Address(resource))))
}

fn ExEnterCriticalRegionAndAcquireResourceExclusive(m: &mut Machine, resource: Va) -> Outcome {
    ExAcquireResourceExclusiveLite(m, resource, true)?;
    m.thread().critical_regions += 1;
    Ok(Next::Return(0))
}

fn ExEnterCriticalRegionAndAcquireResourceShared(m: &mut Machine, resource: Va) -> Outcome {
    ExAcquireResourceSharedLite(m, resource, true)?;
    m.thread().critical_regions += 1;
    Ok(Next::Return(0))
}

fn ExReleaseResourceAndLeaveCriticalRegion(m: &mut Machine, call: &Call, resource: Va) -> Outcome {
    ExReleaseResourceLite(m, call, resource)?;
    let regions = m.thread().critical_regions;
    m.thread().critical_regions = regions.saturating_sub(1);
    Ok(Next::VOID)
}

fn ExReleaseResourceLite(m: &mut Machine, call: &Call, resource: Va) -> Outcome {
    let thread = m.thread().object;
    ExReleaseResourceForThreadLite(m, call, resource, thread)
}

fn ExReleaseResourceForThreadLite(m: &mut Machine, call: &Call, resource: Va, thread: Va) -> Outcome {
    m.probe_write(resource, eresource::SIZEOF)?;
    let state = m.resource(resource)?;
    match state.owners.get_mut(&thread) {
        None => return Err(not_owned(m, call, resource, thread)),
        Some(count) if *count > 1 => *count -= 1,
        Some(_) => {
            state.owners.remove(&thread);
            state.exclusive &= !state.owners.is_empty();
        }
    }
    m.resource_changed(resource)?;
    m.wake_all_on(&WaitOn::Address(resource));
    Ok(Next::VOID)
}

/// 0xE3 RESOURCE_NOT_OWNED: P1 the resource, P2 the thread, P3 its table of owners (docs: debugger/bug-check-0xe3).
fn not_owned(m: &mut Machine, call: &Call, resource: Va, thread: Va) -> Trap {
    let check = BugCheck { code: BugCheckCode::RESOURCE_NOT_OWNED, parameters: [resource.0, thread.0, 0, 0] };
    let rule = "only a thread that holds a resource releases it";
    let cause = Cause::Rule { routine: "ExReleaseResourceLite", rule };
    m.stop_at(call.return_address, StopKind::BugCheck(check, cause)).into()
}

fn ExConvertExclusiveToSharedLite(m: &mut Machine, resource: Va) -> Outcome {
    m.probe_write(resource, eresource::SIZEOF)?;
    m.resource(resource)?.exclusive = false;
    m.resource_changed(resource)?;
    m.wake_all_on(&WaitOn::Address(resource));
    Ok(Next::VOID)
}

fn ExIsResourceAcquiredExclusiveLite(m: &mut Machine, resource: Va) -> Outcome {
    let thread = m.thread().object;
    let state = m.resource(resource)?;
    Ok(Next::Return((state.exclusive && state.holds(thread) > 0).into()))
}

/// How often this thread holds the resource, in whatever way.
fn ExIsResourceAcquiredSharedLite(m: &mut Machine, resource: Va) -> Outcome {
    let thread = m.thread().object;
    Ok(Next::Return(m.resource(resource)?.holds(thread).into()))
}

fn ExGetExclusiveWaiterCount(m: &mut Machine, resource: Va) -> Outcome {
    Ok(Next::Return(m.resource(resource)?.exclusive_waiters.len() as u64))
}

fn ExGetSharedWaiterCount(m: &mut Machine, resource: Va) -> Outcome {
    Ok(Next::Return(m.resource(resource)?.shared_waiters.len() as u64))
}

impl Machine {
    fn resource(&mut self, resource: Va) -> Result<&mut Resource, Trap> {
        if !self.ex.resources.known.contains_key(&resource) {
            return Err(self.refuse("executive resource", format!("`{resource}`, which was not initialised")));
        }
        Ok(self.ex.resources.known.entry(resource).or_default())
    }

    fn taken(&mut self, resource: Va, thread: Va) -> Outcome {
        *self.resource(resource)?.owners.entry(thread).or_default() += 1;
        self.resource_changed(resource)?;
        Ok(Next::Return(1))
    }

    /// Brings the fields that drivers read up to date.
    fn resource_changed(&mut self, resource: Va) -> Result<(), Trap> {
        let state = self.resource(resource)?.clone();
        let owner = if state.exclusive { state.owners.keys().next().copied() } else { None };
        let entry = eresource::OWNER_ENTRY.then(owner_entry::OWNER_THREAD);
        self.write_u64(entry.at(resource), owner.unwrap_or(Va::NULL).0)?;
        self.write_u16(eresource::ACTIVE_COUNT.at(resource), u16::from(!state.owners.is_empty()))?;
        self.write_u32(eresource::ACTIVE_ENTRIES.at(resource), state.owners.len() as u32)?;
        let waiters = [&state.shared_waiters, &state.exclusive_waiters].map(|waiters| waiters.len() as u32);
        self.write_u32(eresource::NUMBER_OF_SHARED_WAITERS.at(resource), waiters[0])?;
        self.write_u32(eresource::NUMBER_OF_EXCLUSIVE_WAITERS.at(resource), waiters[1])
    }
}
