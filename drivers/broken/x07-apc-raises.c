// An APC routine in PAGE is legal, as apc.c shows. This one raises to DISPATCH_LEVEL on the way.
//
//   expected  trimmed: 0xD1 (the instruction after the call, 2, 8, the same); else K13 and K26
//   trigger   ioctl 0x222000
//   repaired  the stretch that holds the lock is a function in .text
#include "apc.h"
#include "sample.h"

typedef struct _X07 {
    KAPC Apc;
    KSPIN_LOCK Lock;
    ULONG Count;
} X07, *PX07;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X07DeviceControl;
VOID NTAPI X07KernelRoutine(PKAPC Apc, PKNORMAL_ROUTINE *NormalRoutine, PVOID *Context, PVOID *Argument1, PVOID *Argument2);
VOID X07CountOne(PX07 Device);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, X07KernelRoutine)
#ifndef FIXED
#pragma alloc_text(PAGE, X07CountOne)
#endif

VOID X07CountOne(PX07 Device)
{
    KIRQL irql;
    KeAcquireSpinLock(&Device->Lock, &irql);
    Device->Count++;
    KeReleaseSpinLock(&Device->Lock, irql);
}

VOID NTAPI X07KernelRoutine(PKAPC Apc, PKNORMAL_ROUTINE *NormalRoutine, PVOID *Context, PVOID *Argument1, PVOID *Argument2)
{
    UNREFERENCED_PARAMETER(NormalRoutine);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    PAGED_CODE();
    X07CountOne(CONTAINING_RECORD(Apc, X07, Apc));
}

SECTION_FILLER(X07Filler, "PAGE", 4096)

NTSTATUS X07DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX07 x07 = Device->DeviceExtension;

    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    KeInitializeApc(&x07->Apc, KeGetCurrentThread(), OriginalApcEnvironment, X07KernelRoutine, NULL, NULL, KernelMode,
                    NULL);
    KeInsertQueueApc(&x07->Apc, NULL, NULL, IO_NO_INCREMENT);
    return SampleOutput(Irp, STATUS_SUCCESS, x07->Count);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X07", sizeof(X07), &device);
    if (NT_SUCCESS(status)) {
        KeInitializeSpinLock(&((PX07)device->DeviceExtension)->Lock);
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = X07DeviceControl;
    }
    return status;
}
