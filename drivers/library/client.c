// A driver that uses an export driver. It is loaded after library.sys, which the system loads because of the imports, and
// the library goes with its last client.
//
//   ioctl 0x222000  input: bytes, output: their checksum, made at PASSIVE_LEVEL by code that is paged in
//   ioctl 0x222004  the same at DISPATCH_LEVEL, with the section locked by the library itself
//   ioctl 0x222008  the same, with the section locked by this driver through the address that it imports. It may do so, but
//                   the section is another driver's (K06, D18)
#include "library.h"
#include "sample.h"

// The same driver twice, under two names: two importers.
#ifdef SECOND
#define CLIENT_NAME L"ClientTwo"
#else
#define CLIENT_NAME L"Client"
#endif

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH ClientDeviceControl;
static ULONG ClientChecksumRaised(const UCHAR *Bytes, ULONG Length);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, ClientDeviceControl)

static KSPIN_LOCK Lock;

static ULONG ClientChecksumRaised(const UCHAR *Bytes, ULONG Length)
{
    ULONG sum;
    KIRQL old;
    KeAcquireSpinLock(&Lock, &old);
    sum = ChecksumOf(Bytes, Length);
    KeReleaseSpinLock(&Lock, old);
    return sum;
}

NTSTATUS ClientDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    const UCHAR *bytes = Irp->AssociatedIrp.SystemBuffer;
    ULONG length = IoGetCurrentIrpStackLocation(Irp)->Parameters.DeviceIoControl.InputBufferLength;
    PVOID section;
    ULONG sum;
    UNREFERENCED_PARAMETER(Device);
    PAGED_CODE();

    switch (SampleControlCode(Irp)) {
    case SAMPLE_IOCTL(0):
        sum = ChecksumOf(bytes, length);
        break;
    case SAMPLE_IOCTL(1):
        ChecksumLock();
        sum = ClientChecksumRaised(bytes, length);
        ChecksumUnlock();
        break;
    case SAMPLE_IOCTL(2):
        section = MmLockPagableCodeSection((PVOID)ChecksumOf);
        sum = ClientChecksumRaised(bytes, length);
        MmUnlockPagableImageSection(section);
        break;
    default:
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    return SampleOutput(Irp, STATUS_SUCCESS, sum);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    KeInitializeSpinLock(&Lock);
    status = SAMPLE_CREATE_DEVICE(Driver, CLIENT_NAME, 0, &device);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = ClientDeviceControl;
    }
    return status;
}
