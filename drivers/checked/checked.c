// A checked build (DBG), where PAGED_CODE asserts. It looks at the IRQL once, where it stands (R30); PAGED_CODE_LOCKED does
// nothing in either build (R31, R32). Everything here is resident or locked, so that no page fault gets in the way.
//
//   ioctl 0x222000  EARLY   PAGED_CODE first, then a raise: the assertion sees nothing
//   ioctl 0x222004  LOCKED  PAGED_CODE_LOCKED at DISPATCH_LEVEL, in a section that is locked: no assertion
//   ioctl 0x222008  LATE    PAGED_CODE at DISPATCH_LEVEL
//
//   expected  LATE: the text of PAGED_CODE, then an assertion failure, 0xC0000420, which nobody handles
//   trigger   ioctl 0x222008
//   repaired  the routine is called before the raise
#include "checked.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH CheckedDeviceControl;
static ULONG CheckedAdd(ULONG Value);
static ULONG CheckedAddAndRaise(ULONG Value);
static ULONG CheckedAddLocked(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGELOCK, CheckedAddLocked)

static ULONG CheckedTotal;

DECLSPEC_NOINLINE static ULONG CheckedAdd(ULONG Value)
{
    PAGED_CODE();
    return CheckedTotal += Value;
}

DECLSPEC_NOINLINE static ULONG CheckedAddAndRaise(ULONG Value)
{
    ULONG total;
    KIRQL irql;
    PAGED_CODE();
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    total = CheckedTotal += Value;
    KeLowerIrql(irql);
    return total;
}

DECLSPEC_NOINLINE static ULONG CheckedAddLocked(ULONG Value)
{
    PAGED_CODE_LOCKED();
    return CheckedTotal += Value;
}

SECTION_FILLER(CheckedFiller, "PAGELOCK", 8192)

static ULONG CheckedLocked(ULONG Value)
{
    ULONG total;
    KIRQL irql;
    PVOID handle = MmLockPagableCodeSection((PVOID)(ULONG_PTR)CheckedAddLocked);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    total = CheckedAddLocked(Value);
    KeLowerIrql(irql);
    MmUnlockPagableImageSection(handle);
    return total;
}

static ULONG CheckedLate(ULONG Value)
{
    ULONG total;
    KIRQL irql;
#ifdef FIXED
    total = CheckedAdd(Value);
#endif
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
#ifndef FIXED
    total = CheckedAdd(Value);
#endif
    KeLowerIrql(irql);
    return total;
}

NTSTATUS CheckedDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    ULONG value = SampleInput(Irp);
    UNREFERENCED_PARAMETER(Device);

    switch (SampleControlCode(Irp)) {
    case SAMPLE_IOCTL(0):
        return SampleOutput(Irp, STATUS_SUCCESS, CheckedAddAndRaise(value));
    case SAMPLE_IOCTL(1):
        return SampleOutput(Irp, STATUS_SUCCESS, CheckedLocked(value));
    case SAMPLE_IOCTL(2):
        return SampleOutput(Irp, STATUS_SUCCESS, CheckedLate(value));
    default:
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"Checked", 0, &device);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = CheckedDeviceControl;
    }
    return status;
}
