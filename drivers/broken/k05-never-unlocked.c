// Each open locks a section and throws the handle away; the driver unlocks nothing (R17).
//
//   expected  K05, count 1, at unload
//   trigger   open, ioctl 0x222000, close, unload
//   repaired  the handle is kept, and the close unlocks by it
#include "sample.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH NeverCreate;
DRIVER_DISPATCH NeverClose;
ULONG NeverWork(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGENEV, NeverWork)

ULONG NeverWork(ULONG Value)
{
    PAGED_CODE_LOCKED();
    return Value + 1;
}

SECTION_FILLER(NeverFiller, "PAGENEV", 8192)

static volatile ULONG NeverOpened;
#ifdef FIXED
static PVOID NeverCode;
#endif

NTSTATUS NeverCreate(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
#ifdef FIXED
    NeverCode = MmLockPagableCodeSection((PVOID)NeverWork);
#else
    MmLockPagableCodeSection((PVOID)NeverWork);
#endif
    NeverOpened = NeverWork(NeverOpened);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS NeverClose(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
#ifdef FIXED
    MmUnlockPagableImageSection(NeverCode);
#endif
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"Never", 0, &device);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_CREATE] = NeverCreate;
        Driver->MajorFunction[IRP_MJ_CLOSE] = NeverClose;
    }
    return status;
}
