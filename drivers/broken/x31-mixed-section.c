// Code and writable data under one name, in one section that is therefore both executable and writable (R4); and all that is
// pageable is less than a page, so that nothing is gained (R10). It runs correctly.
//
//   expected  K17 and K27
//   trigger   ioctl 0x222000
//   repaired  PAGE for the code, PAGEDATA for the data, and enough of both
#include "sample.h"

#ifdef FIXED
#pragma data_seg("PAGEDATA")
volatile ULONG X31Counter = 1;
volatile UCHAR X31DataFiller[4096] = {1};
#pragma data_seg()
SECTION_FILLER(X31Filler, "PAGE", 4096)
#else
extern volatile ULONG X31Counter;
__asm__(".section PAGE,\"xrw\"\n"
        ".balign 4\n"
        ".globl X31Counter\n"
        "X31Counter: .long 1\n");
#endif

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X31DeviceControl;

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, X31DeviceControl)

NTSTATUS X31DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    PAGED_CODE();

    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    X31Counter += SampleInput(Irp) + 1;
    return SampleOutput(Irp, STATUS_SUCCESS, X31Counter);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X31", 0, &device);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = X31DeviceControl;
    }
    return status;
}
