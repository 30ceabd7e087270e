// A DPC locks a section, at DISPATCH_LEVEL. The routines are for APC_LEVEL and below: bringing pages in means waiting (R140).
//
//   expected  verifier: 0xC4 (0x20019, text, 0, 0), count unchanged; else K02 and, the section being out, 0xD3 (a page of
//             PAGEX13, 2, 0, in the kernel); with the section resident K02 alone
//   trigger   ioctl 0x222000; ioctl 0x222004 first if the section is to be resident
//   repaired  the lock is taken at open, and the DPC uses it
#include "sample.h"

#define IOCTL_X13_RUN SAMPLE_IOCTL(0)
#define IOCTL_X13_TOUCH SAMPLE_IOCTL(1)

typedef struct _X13 {
    KDPC Dpc;
    PVOID Code;
    ULONG Value;
} X13, *PX13;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X13Create;
DRIVER_DISPATCH X13Close;
DRIVER_DISPATCH X13DeviceControl;
KDEFERRED_ROUTINE X13Dpc;
ULONG X13Work(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGEX13, X13Work)

ULONG X13Work(ULONG Value)
{
    PAGED_CODE_LOCKED();
    return Value + 1;
}

VOID X13Dpc(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    PX13 x13 = Context;
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
#ifndef FIXED
    MmLockPagableSectionByHandle(x13->Code);
#endif
    x13->Value = X13Work(x13->Value);
}

NTSTATUS X13Create(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX13 x13 = Device->DeviceExtension;
    x13->Code = MmLockPagableCodeSection((PVOID)X13Work);
#ifndef FIXED
    MmUnlockPagableImageSection(x13->Code);
#endif
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS X13Close(PDEVICE_OBJECT Device, PIRP Irp)
{
#ifdef FIXED
    MmUnlockPagableImageSection(((PX13)Device->DeviceExtension)->Code);
#else
    UNREFERENCED_PARAMETER(Device);
#endif
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

SECTION_FILLER(X13Filler, "PAGEX13", 4096)

static ULONG X13Run(PX13 Device)
{
    KeInsertQueueDpc(&Device->Dpc, NULL, NULL);
    KeFlushQueuedDpcs();
#ifndef FIXED
    MmUnlockPagableImageSection(Device->Code);
#endif
    return Device->Value;
}

NTSTATUS X13DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    switch (SampleControlCode(Irp)) {
    case IOCTL_X13_RUN:
        return SampleOutput(Irp, STATUS_SUCCESS, X13Run(Device->DeviceExtension));
    case IOCTL_X13_TOUCH:
        return SampleOutput(Irp, STATUS_SUCCESS, X13Work(1));
    default:
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X13", sizeof(X13), &device);
    if (NT_SUCCESS(status)) {
        PX13 x13 = device->DeviceExtension;
        KeInitializeDpc(&x13->Dpc, X13Dpc, x13);
        Driver->MajorFunction[IRP_MJ_CREATE] = X13Create;
        Driver->MajorFunction[IRP_MJ_CLOSE] = X13Close;
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = X13DeviceControl;
    }
    return status;
}
