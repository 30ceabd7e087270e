// Locks a section, then the pages of a buffer. MmProbeAndLockPages has no result: where there are no resources it raises
// STATUS_INSUFFICIENT_RESOURCES, and a caller that takes success for granted has nobody to handle that.
//
//   expected  bug check 0x1E with STATUS_INSUFFICIENT_RESOURCES, under low resources simulation; else nothing
//   trigger   ioctl 0x222000
//   repaired  __try around the call; the error path gives the section back, so that the driver can go on and be unloaded (R17)
#include "sample.h"

#define BUFFER_BYTES 256

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH LowDeviceControl;
static ULONG LowSum(const UCHAR *Bytes, ULONG Count);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGELOW, LowSum)

static UCHAR LowBuffer[BUFFER_BYTES];
// An MDL with room for the two pages that the buffer may touch.
static struct {
    MDL Header;
    PFN_NUMBER Pages[2];
} LowMdl;

static ULONG LowSum(const UCHAR *Bytes, ULONG Count)
{
    ULONG sum = 0;
    PAGED_CODE_LOCKED();
    while (Count-- != 0) {
        sum += Bytes[Count];
    }
    return sum;
}

SECTION_FILLER(LowFiller, "PAGELOW", 8192)

static NTSTATUS LowLockBuffer(VOID)
{
    MmInitializeMdl(&LowMdl.Header, LowBuffer, BUFFER_BYTES);
#ifdef FIXED
    __try {
        MmProbeAndLockPages(&LowMdl.Header, KernelMode, IoWriteAccess);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return GetExceptionCode();
    }
#else
    MmProbeAndLockPages(&LowMdl.Header, KernelMode, IoWriteAccess);
#endif
    return STATUS_SUCCESS;
}

NTSTATUS LowDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PVOID code = MmLockPagableCodeSection((PVOID)LowSum);
    NTSTATUS status = LowLockBuffer();
    ULONG sum = 0;
    UNREFERENCED_PARAMETER(Device);
    if (NT_SUCCESS(status)) {
        sum = LowSum(LowBuffer, BUFFER_BYTES);
        MmUnlockPages(&LowMdl.Header);
    }
    MmUnlockPagableImageSection(code);
    return SampleOutput(Irp, status, sum);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"Low", 0, &device);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = LowDeviceControl;
    }
    return status;
}
