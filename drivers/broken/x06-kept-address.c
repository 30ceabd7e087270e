// The address of a routine of INIT is kept somewhere, and used when INIT is gone (R38). Who gave it away did so long ago:
// the report names the place that kept it.
//
//   IN_DPC        DriverEntry initialises a DPC with it; queued later   0xD1 (X06Routine, 2, 8, X06Routine), K12
//   IN_VARIABLE   DriverEntry keeps it in a variable; called later      0x50 (X06Routine, 0x10, X06Routine, 0), K12
//   IN_DISPATCH   it is a dispatch routine                              the same
//   IN_EXTENSION  it is kept in the device extension; called later      the same
//
//   trigger   ioctl 0x222000; IN_DISPATCH: read
//   repaired  the routine is in .text
#include "sample.h"

typedef ULONG X06_ROUTINE(ULONG Value);

typedef struct _X06 {
    KDPC Dpc;
    KEVENT Done;
    X06_ROUTINE *volatile Routine;
} X06, *PX06;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X06DeviceControl;

#pragma alloc_text(INIT, DriverEntry)

#if defined(IN_DPC)

KDEFERRED_ROUTINE X06Routine;
#ifndef FIXED
#pragma alloc_text(INIT, X06Routine)
#endif

VOID X06Routine(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    KeSetEvent(&((PX06)Context)->Done, IO_NO_INCREMENT, FALSE);
}

DECLSPEC_NOINLINE ULONG X06Act(PX06 X06)
{
    KeInsertQueueDpc(&X06->Dpc, NULL, NULL);
    KeWaitForSingleObject(&X06->Done, Executive, KernelMode, FALSE, NULL);
    return 42;
}

#elif defined(IN_DISPATCH)

DRIVER_DISPATCH X06Routine;
#ifndef FIXED
#pragma alloc_text(INIT, X06Routine)
#endif

NTSTATUS X06Routine(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    return SampleComplete(Irp, STATUS_END_OF_FILE, 0);
}

DECLSPEC_NOINLINE ULONG X06Act(PX06 X06)
{
    UNREFERENCED_PARAMETER(X06);
    return 42;
}

#else

X06_ROUTINE X06Routine;
#ifndef FIXED
#pragma alloc_text(INIT, X06Routine)
#endif

X06_ROUTINE *volatile X06Resume;

ULONG X06Routine(ULONG Value)
{
    return Value * 2;
}

DECLSPEC_NOINLINE ULONG X06Act(PX06 X06)
{
#ifdef IN_VARIABLE
    UNREFERENCED_PARAMETER(X06);
    return X06Resume(21);
#else
    return X06->Routine(21);
#endif
}

#endif

NTSTATUS X06DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    return SampleOutput(Irp, STATUS_SUCCESS, X06Act(Device->DeviceExtension));
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X06", sizeof(X06), &device);
    if (NT_SUCCESS(status)) {
        PX06 x06 = device->DeviceExtension;
        KeInitializeEvent(&x06->Done, SynchronizationEvent, FALSE);
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = X06DeviceControl;
#if defined(IN_DPC)
        KeInitializeDpc(&x06->Dpc, X06Routine, x06);
#elif defined(IN_DISPATCH)
        Driver->MajorFunction[IRP_MJ_READ] = X06Routine;
#elif defined(IN_VARIABLE)
        X06Resume = X06Routine;
#else
        x06->Routine = X06Routine;
#endif
    }
    return status;
}
