// The other kind of driver that is paged as a whole: it never comes back (R29). It has no interrupt, no DPC and no lock,
// so nothing of it ever runs above APC_LEVEL, and no page of it has to stay. MmPageEntireDriver is the first thing that
// DriverEntry does, and MmResetDriverPaging is never called.
//
//   read    end of file
//   write   everything is taken and nothing is kept; .data counts it
//   ioctl 0x222000  WRITTEN: output: bytes written since the driver was loaded
#include "sample.h"

#define IOCTL_NULL_WRITTEN SAMPLE_IOCTL(0)

ULONG NullWritten = 0;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH NullRead;
DRIVER_DISPATCH NullWrite;
DRIVER_DISPATCH NullDeviceControl;

#pragma alloc_text(INIT, DriverEntry)

SECTION_FILLER(NullFiller, ".text", 8192)

NTSTATUS NullRead(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    return SampleComplete(Irp, STATUS_END_OF_FILE, 0);
}

NTSTATUS NullWrite(PDEVICE_OBJECT Device, PIRP Irp)
{
    ULONG length = IoGetCurrentIrpStackLocation(Irp)->Parameters.Write.Length;
    UNREFERENCED_PARAMETER(Device);
    NullWritten += length;
    return SampleComplete(Irp, STATUS_SUCCESS, length);
}

NTSTATUS NullDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    if (SampleControlCode(Irp) != IOCTL_NULL_WRITTEN) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    return SampleOutput(Irp, STATUS_SUCCESS, NullWritten);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    MmPageEntireDriver((PVOID)DriverEntry);
    status = SAMPLE_CREATE_DEVICE(Driver, L"Null", 0, &device);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_READ] = NullRead;
        Driver->MajorFunction[IRP_MJ_WRITE] = NullWrite;
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = NullDeviceControl;
    }
    return status;
}
