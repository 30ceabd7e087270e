// Two pageable sections: one is locked, and code of the other runs at DISPATCH_LEVEL.
//
//   expected  out: 0xD1 (X18Second, 2, 8, X18Second); else K13
//   trigger   ioctl 0x222000
//   repaired  both are locked
#include "sample.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X18DeviceControl;
ULONG X18First(ULONG Value);
ULONG X18Second(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGEA, X18First)
#pragma alloc_text(PAGEB, X18Second)

ULONG X18Second(ULONG Value)
{
    PAGED_CODE_LOCKED();
    return Value * 2;
}

SECTION_FILLER(X18FillerB, "PAGEB", 8192)

ULONG X18First(ULONG Value)
{
    PAGED_CODE_LOCKED();
    return X18Second(Value) + 1;
}

SECTION_FILLER(X18FillerA, "PAGEA", 8192)

NTSTATUS X18DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PVOID first;
#ifdef FIXED
    PVOID second;
#endif
    ULONG value;
    KIRQL irql;
    UNREFERENCED_PARAMETER(Device);

    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    first = MmLockPagableCodeSection((PVOID)X18First);
#ifdef FIXED
    second = MmLockPagableCodeSection((PVOID)X18Second);
#endif
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    value = X18First(20);
    KeLowerIrql(irql);
#ifdef FIXED
    MmUnlockPagableImageSection(second);
#endif
    MmUnlockPagableImageSection(first);
    return SampleOutput(Irp, STATUS_SUCCESS, value);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X18", 0, &device);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = X18DeviceControl;
    }
    return status;
}
