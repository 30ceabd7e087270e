//! Interrupt objects: connection, delivery, synchronisation (ddi: IoConnectInterrupt, KeSynchronizeExecution).

use nt_types::{Irql, Va};

use crate::call::{Call, Next, Outcome, Then, Trap};
use crate::event::EventKind;
use crate::export;
use crate::exports::{Export, ke};
use crate::finding::FindingKind;
use crate::interrupt::After;
use crate::machine::Machine;
use crate::routine::{ObjectKind, Routine};

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoConnectInterrupt(object: Va, routine: Va, context: u64, lock: Va, vector: u32, irql: Irql, synchronize_irql: Irql, mode: u32, share: bool, affinity: u64, floating: bool), PASSIVE),
    export!(Ntoskrnl, IoDisconnectInterrupt(interrupt: Va), PASSIVE),
    export!(Ntoskrnl, KeSynchronizeExecution(interrupt: Va, routine: Va, context: u64; ..), HIGH),
];

/// A service routine that is connected to a vector.
#[derive(Clone, Hash, Debug)]
pub struct ConnectedInterrupt {
    /// The KINTERRUPT that the driver holds.
    pub object: Va,
    /// The service routine.
    pub routine: Va,
    /// Its context.
    pub context: u64,
    /// The vector, which is the number of the interrupt line here.
    pub vector: u32,
    /// The IRQL it runs at.
    pub irql: Irql,
    /// The spin lock that it runs under: the driver's own, or one in the KINTERRUPT.
    pub lock: Va,
    /// Image of the driver that connected it.
    pub owner: Va,
}

/// All connections, in order, and what is in progress.
#[derive(Clone, Default, Hash, Debug)]
pub(crate) struct Interrupts {
    connected: Vec<ConnectedInterrupt>,
    /// For each vector in service, how many of its routines have returned without claiming it.
    in_service: Vec<(u32, usize)>,
    /// The next routine of a shared vector, to be called before anything else.
    chained: Option<ConnectedInterrupt>,
}

/// Bytes of a KINTERRUPT: its contents are the kernel's own.
const KINTERRUPT_SIZE: u64 = 0x100;
/// Where its own spin lock lies in it.
const KINTERRUPT_LOCK: u64 = 0x10;

/// The continuation of `KeSynchronizeExecution`.
#[derive(Clone, Hash, Debug)]
pub struct Synchronized {
    irql: Irql,
    lock: Va,
    caller: Va,
}

impl Synchronized {
    pub(super) fn run(self, m: &mut Machine, value: u64) -> Outcome {
        m.write_u64(self.lock, 0)?;
        m.set_irql(self.irql, self.caller);
        Ok(Next::Return(u64::from(value as u8)))
    }
}

#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn IoConnectInterrupt(
    m: &mut Machine,
    object: Va,
    routine: Va,
    context: u64,
    lock: Va,
    vector: u32,
    irql: Irql,
    synchronize_irql: Irql,
    _mode: u32,
    _share: bool,
    _affinity: u64,
    _floating: bool,
) -> Outcome {
    let Some(interrupt) = m.kernel_object(KINTERRUPT_SIZE, *b"Intr") else {
        return Ok(Next::status(nt_types::NtStatus::INSUFFICIENT_RESOURCES));
    };
    m.write_u64(object, interrupt.0)?;
    let irql = irql.max(synchronize_irql);
    let here = m.here();
    let owner = m.modules.driver_at(here).map_or(Va::NULL, |driver| driver.base);
    if let Some((section, locked)) = m.pageable_section(routine) {
        m.find(FindingKind::K09IsrPageable { routine, section, locked }, routine);
    }
    m.record(EventKind::InterruptConnected { vector, routine });
    m.opening_ended(owner);
    let lock = if lock.is_null() { interrupt + KINTERRUPT_LOCK } else { lock };
    m.ke.interrupts.connected.push(ConnectedInterrupt {
        object: interrupt,
        routine,
        context,
        vector,
        irql,
        lock,
        owner,
    });
    m.attention = true;
    Ok(Next::status(nt_types::NtStatus::SUCCESS))
}

fn IoDisconnectInterrupt(m: &mut Machine, interrupt: Va) -> Outcome {
    let connected = &mut m.ke.interrupts.connected;
    if let Some(index) = connected.iter().position(|connected| connected.object == interrupt) {
        let ConnectedInterrupt { vector, routine, .. } = connected.remove(index);
        m.record(EventKind::InterruptDisconnected { vector, routine });
    }
    m.pool_free(interrupt);
    Ok(Next::VOID)
}

fn KeSynchronizeExecution(m: &mut Machine, call: &Call, interrupt: Va, routine: Va, context: u64) -> Outcome {
    let old = m.irql();
    let connected = m.ke.interrupts.connected.iter().find(|connected| connected.object == interrupt);
    let (new, lock) =
        connected.map_or((old, interrupt + KINTERRUPT_LOCK), |connected| (connected.irql, connected.lock));
    m.require_free(lock)?;
    m.raise_to_synchronize(new, call.return_address);
    m.past_latent_faults(call.service, |m| m.take_interrupt_lock(call.return_address, lock))?;
    let then = Synchronized { irql: old, lock, caller: call.return_address };
    Ok(Next::call(routine, &[context], Then::Ke(ke::Then::Synchronized(then))))
}

impl Machine {
    /// True where an interrupt of the driver at this address is connected (D34).
    pub(crate) fn has_connected_interrupt(&self, address: Va) -> bool {
        let Some(driver) = self.modules.driver_at(address) else { return false };
        let in_image = |routine: Va| routine - driver.base < driver.size;
        self.ke.interrupts.connected.iter().any(|other| other.owner == driver.base || in_image(other.routine))
    }

    /// Interrupts that are connected now.
    pub fn connected_interrupts(&self) -> &[ConnectedInterrupt] {
        &self.ke.interrupts.connected
    }

    /// An interrupt that no device asked for.
    pub fn spurious_interrupt(&mut self, vector: u32) {
        self.attention = true;
        self.bus.inject_spurious(vector);
    }

    /// Calls the next service routine that is deliverable on the active processor.
    pub(crate) fn deliver_device_interrupt(&mut self) -> bool {
        if let Some(next) = self.ke.interrupts.chained.take() {
            self.call_service_routine(&next);
            return true;
        }
        let irql = self.irql();
        let candidates = self.ke.interrupts.connected.iter().filter(|connected| connected.irql > irql);
        let pending = candidates.filter(|other| self.is_pending(other.vector) && self.is_free(other.lock));
        let Some(vector) = pending.max_by_key(|connected| connected.irql).map(|best| best.vector) else { return false };
        // A shared vector is served in the order of connection.
        let first = self.ke.interrupts.connected.iter().find(|connected| connected.vector == vector).cloned();
        if let Some(first) = first {
            self.start_service(&first);
        }
        true
    }

    fn is_pending(&self, vector: u32) -> bool {
        let in_service = self.ke.interrupts.in_service.iter().any(|(busy, _)| *busy == vector);
        !in_service && (self.bus.pending(vector))
    }

    /// Calls one routine of the vector; a shared line calls them in order until one claims the interrupt.
    fn start_service(&mut self, interrupt: &ConnectedInterrupt) {
        let vector = interrupt.vector;
        self.bus.acknowledge(vector);
        self.ke.interrupts.in_service.push((vector, 0));
        self.call_service_routine(interrupt);
    }

    /// The lock comes first, at the interrupt's IRQL: if it has left memory, it is the kernel that touches it (R163).
    fn call_service_routine(&mut self, interrupt: &ConnectedInterrupt) {
        let service = self.kernel_images.interrupt_entry;
        if self.work_at(interrupt.irql, |m| m.take_interrupt_lock(service, interrupt.lock)).is_none() {
            return;
        }
        let arguments = [interrupt.object.0, interrupt.context];
        let after = After::ServiceRoutine { vector: interrupt.vector, lock: interrupt.lock };
        let what = Routine::Isr { vector: interrupt.vector };
        self.interrupt(what, interrupt.routine, &arguments, interrupt.irql, after);
    }

    fn take_interrupt_lock(&mut self, place: Va, lock: Va) -> Result<(), Trap> {
        self.check_object_in_use(place, lock, ObjectKind::SpinLock);
        self.write_u64(lock, 1)
    }

    /// A service routine returned: its lock is free again.
    pub(crate) fn release_interrupt_lock(&mut self, lock: Va) -> Result<(), Trap> {
        let service = self.kernel_images.interrupt_entry;
        self.past_latent_faults(service, |m| m.write_u64(lock, 0))
    }

    /// A service routine returned; `claimed` is what it says about its device.
    pub(crate) fn service_routine_ended(&mut self, vector: u32, claimed: bool) {
        let Some(index) = self.ke.interrupts.in_service.iter().position(|(busy, _)| *busy == vector) else { return };
        let (_, called) = self.ke.interrupts.in_service[index];
        let next = self.ke.interrupts.connected.iter().filter(|other| other.vector == vector).nth(called + 1).cloned();
        match next {
            Some(next) if !claimed => {
                self.ke.interrupts.in_service[index].1 += 1;
                self.ke.interrupts.chained = Some(next);
            }
            _ => {
                self.ke.interrupts.in_service.remove(index);
            }
        }
    }
}
