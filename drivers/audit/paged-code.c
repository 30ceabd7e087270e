// Checked builds, in which PAGED_CODE leaves a trace. With NONPAGED a routine has the macro and stays in memory all the same:
// the author forgot `alloc_text`. With MISSING one of three pageable routines lacks the macro, so that nobody sees when it
// is called too high (R30, R32).
//
//   expected  A03 or A04, information; nothing breaks
//   trigger   none: the code says it
//   repaired  all three lie in PAGE, and all have the macro
#include "checked.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH PagedDeviceControl;
static ULONG PagedAdd(ULONG Value);
static ULONG PagedMultiply(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, PagedDeviceControl)
#pragma alloc_text(PAGE, PagedMultiply)
#if defined(FIXED) || !defined(NONPAGED)
#pragma alloc_text(PAGE, PagedAdd)
#endif
SECTION_FILLER(PagedFiller, "PAGE", 8192)

static volatile ULONG PagedTotal;

DECLSPEC_NOINLINE static ULONG PagedAdd(ULONG Value)
{
#if defined(FIXED) || !defined(MISSING)
    PAGED_CODE();
#endif
    return PagedTotal += Value;
}

DECLSPEC_NOINLINE static ULONG PagedMultiply(ULONG Value)
{
    PAGED_CODE();
    return PagedTotal *= Value;
}

NTSTATUS PagedDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    ULONG value = SampleInput(Irp);
    UNREFERENCED_PARAMETER(Device);
    PAGED_CODE();

    switch (SampleControlCode(Irp)) {
    case SAMPLE_IOCTL(0):
        return SampleOutput(Irp, STATUS_SUCCESS, PagedAdd(value));
    case SAMPLE_IOCTL(1):
        return SampleOutput(Irp, STATUS_SUCCESS, PagedMultiply(value));
    default:
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"Paged", 0, &device);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = PagedDeviceControl;
    }
    return status;
}
