// What runs when a timer expires lies in a pageable section that nobody locks: the DPC of a timer or, with IO_TIMER, the
// routine that is called once a second for a device. Both run at DISPATCH_LEVEL (R8).
//
//   expected  K10; out: 0xD1 (K10Tick or K10DeviceTick, 2, 8, the same)
//   trigger   ioctl 0x222000, then wait for 10 ms, or 2 s with IO_TIMER
//   repaired  the routine is in .text
#include "sample.h"

typedef struct _K10 {
    KTIMER Timer;
    KDPC Dpc;
    volatile LONG Ticks;
} K10, *PK10;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH K10DeviceControl;
DRIVER_UNLOAD K10Unload;
KDEFERRED_ROUTINE K10Tick;
IO_TIMER_ROUTINE K10DeviceTick;

#pragma alloc_text(INIT, DriverEntry)
#ifndef FIXED
#pragma alloc_text(PAGETICK, K10Tick)
#pragma alloc_text(PAGETICK, K10DeviceTick)
SECTION_FILLER(K10Filler, "PAGETICK", 8192)
#endif

VOID K10Tick(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    ((PK10)Context)->Ticks++;
}

VOID K10DeviceTick(PDEVICE_OBJECT Device, PVOID Context)
{
    UNREFERENCED_PARAMETER(Device);
    ((PK10)Context)->Ticks++;
}

static VOID K10Start(PDEVICE_OBJECT Device)
{
#ifdef IO_TIMER
    IoStartTimer(Device);
#else
    PK10 k10 = Device->DeviceExtension;
    LARGE_INTEGER due;
    due.QuadPart = -10 * 1000;
    KeSetTimer(&k10->Timer, due, &k10->Dpc);
#endif
}

NTSTATUS K10DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    K10Start(Device);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

VOID K10Unload(PDRIVER_OBJECT Driver)
{
#ifdef IO_TIMER
    IoStopTimer(Driver->DeviceObject);
#else
    KeCancelTimer(&((PK10)Driver->DeviceObject->DeviceExtension)->Timer);
    KeFlushQueuedDpcs();
#endif
    SampleDeleteDevice(Driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"K10", sizeof(K10), &device);
    if (NT_SUCCESS(status)) {
        PK10 k10 = device->DeviceExtension;
#ifdef IO_TIMER
        IoInitializeTimer(device, K10DeviceTick, k10);
#else
        KeInitializeTimer(&k10->Timer);
        KeInitializeDpc(&k10->Dpc, K10Tick, k10);
#endif
        Driver->DriverUnload = K10Unload;
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = K10DeviceControl;
    }
    return status;
}
