// What the drivers that are not about Plug and Play have in common: one device, made by DriverEntry, with a name that
// programs can open.
#pragma once

#include "driver.h"

// Makes \Device\<name> and \DosDevices\<name>, buffered; every major function succeeds until the caller sets its own.
// ExtensionBytes of zeroed nonpaged pool are at Device->DeviceExtension.
NTSTATUS SampleCreateDevice(PDRIVER_OBJECT Driver, PCWSTR DeviceName, PCWSTR LinkName, ULONG ExtensionBytes,
                            PDEVICE_OBJECT *Device);
#define SAMPLE_CREATE_DEVICE(Driver, Name, ExtensionBytes, Device) \
    SampleCreateDevice(Driver, L"\\Device\\" Name, L"\\DosDevices\\" Name, ExtensionBytes, Device)

// Deletes what SampleCreateDevice made. Also an Unload routine for drivers that need no more.
DRIVER_UNLOAD SampleDeleteDevice;

// A dispatch routine that succeeds and does nothing.
DRIVER_DISPATCH SampleSucceed;

// Completes a request and returns Status.
NTSTATUS SampleComplete(PIRP Irp, NTSTATUS Status, ULONG_PTR Information);

// Connects to a line of the ISA bus, as drivers did before Plug and Play. Lock may be NULL. PASSIVE_LEVEL.
NTSTATUS SampleConnectInterrupt(ULONG Line, PKSERVICE_ROUTINE Routine, PVOID Context, PKSPIN_LOCK Lock,
                                PKINTERRUPT *Interrupt);

FORCEINLINE ULONG SampleControlCode(PIRP Irp)
{
    return IoGetCurrentIrpStackLocation(Irp)->Parameters.DeviceIoControl.IoControlCode;
}

// The ULONG that came in, or 0 if none did.
FORCEINLINE ULONG SampleInput(PIRP Irp)
{
    ULONG length = IoGetCurrentIrpStackLocation(Irp)->Parameters.DeviceIoControl.InputBufferLength;
    return length < sizeof(ULONG) ? 0 : *(PULONG)Irp->AssociatedIrp.SystemBuffer;
}

// Completes a request with a ULONG that goes out, if there is room for it.
NTSTATUS SampleOutput(PIRP Irp, NTSTATUS Status, ULONG Value);

// Takes a fast mutex and stays at PASSIVE_LEVEL, where connecting an interrupt and flushing DPCs have to be. The plain
// form would raise to APC_LEVEL.
FORCEINLINE VOID SampleEnter(PFAST_MUTEX Mutex)
{
    KeEnterCriticalRegion();
    ExAcquireFastMutexUnsafe(Mutex);
}

FORCEINLINE VOID SampleLeave(PFAST_MUTEX Mutex)
{
    ExReleaseFastMutexUnsafe(Mutex);
    KeLeaveCriticalRegion();
}
