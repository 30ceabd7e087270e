// A driver with one pageable section, in which nothing is wrong but what the linker and the author made of its sections:
//
//   LOWER_CASE  `page` means nothing to the loader: the code stays (R39, K16)
//   LONG_NAME   a name for which its header has no room. Where a section is discardable, lld keeps the long name in the
//               string table of the file, as GNU linkers always do, and the loader sees `/4` (D3, K16)
//   SHARED      linked with `/align:128`, a section this small shares all its pages with neighbours that stay (R43, K15)
//   WRITABLE    linked with `/section:.text,ERWP`: code that stays can be written (A05)
//
//   expected  the finding, and a clean run
//   trigger   none: the headers say it
//   repaired  `PAGE` with pages of its own; .text as it is
#include "sample.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH OddDeviceControl;
ULONG OddFirst(VOID);

#pragma alloc_text(INIT, DriverEntry)
#if defined(LOWER_CASE) && !defined(FIXED)
#pragma alloc_text(page, OddDeviceControl)
#else
#pragma alloc_text(PAGE, OddDeviceControl)
#endif
#if defined(LONG_NAME) && !defined(FIXED)
#pragma alloc_text(PAGECONFIGURATION, OddFirst)
#else
#pragma alloc_text(PAGE, OddFirst)
#endif
#if defined(FIXED) || !defined(SHARED)
SECTION_FILLER(OddFiller, "PAGE", 8192)
#endif

static volatile ULONG OddNext;

// Called during initialisation only.
ULONG OddFirst(VOID)
{
    return OddNext + 7;
}

NTSTATUS OddDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    return SampleOutput(Irp, STATUS_SUCCESS, OddNext++);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"Odd", 0, &device);
    if (NT_SUCCESS(status)) {
        OddNext = OddFirst();
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = OddDeviceControl;
    }
    return status;
}
