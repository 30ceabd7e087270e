// Each request locks the section by address, because nobody kept the handle of the first lock. That is right, and each time
// the system searches for the section again (R13).
//
//   expected  K18, information; nothing breaks
//   trigger   ioctl 0x222000 and 0x222004
//   repaired  DriverEntry asks for the handle once, and the requests lock by it
#include "sample.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH K18DeviceControl;
ULONG K18First(ULONG Value);
ULONG K18Second(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGEK18, K18First)
#pragma alloc_text(PAGEK18, K18Second)

#ifdef FIXED
// A handle stays what it is when the section is unlocked (R14).
static PVOID K18Code;
#endif

ULONG K18First(ULONG Value)
{
    PAGED_CODE_LOCKED();
    return Value + 1;
}

SECTION_FILLER(K18Filler, "PAGEK18", 8192)

ULONG K18Second(ULONG Value)
{
    PAGED_CODE_LOCKED();
    return Value + 2;
}

static NTSTATUS K18RunFirst(PIRP Irp)
{
#ifdef FIXED
    PVOID code = K18Code;
    MmLockPagableSectionByHandle(code);
#else
    PVOID code = MmLockPagableCodeSection((PVOID)K18First);
#endif
    ULONG result = K18First(SampleInput(Irp));
    MmUnlockPagableImageSection(code);
    return SampleOutput(Irp, STATUS_SUCCESS, result);
}

static NTSTATUS K18RunSecond(PIRP Irp)
{
    ULONG result;
#ifdef FIXED
    PVOID code = K18Code;
    MmLockPagableSectionByHandle(code);
#else
    PVOID code = MmLockPagableCodeSection((PVOID)K18Second);
#endif
    result = K18Second(SampleInput(Irp));
    MmUnlockPagableImageSection(code);
    return SampleOutput(Irp, STATUS_SUCCESS, result);
}

NTSTATUS K18DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    switch (SampleControlCode(Irp)) {
    case SAMPLE_IOCTL(0):
        return K18RunFirst(Irp);
    case SAMPLE_IOCTL(1):
        return K18RunSecond(Irp);
    default:
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"K18", 0, &device);
    if (NT_SUCCESS(status)) {
#ifdef FIXED
        K18Code = MmLockPagableCodeSection((PVOID)K18First);
        MmUnlockPagableImageSection(K18Code);
#endif
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = K18DeviceControl;
    }
    return status;
}
