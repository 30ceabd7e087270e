// A PAGE section too small to matter (R43 d, K15, K27). The linker has merged .rdata and .pdata into .text, as older
// drivers had it, so that PAGE follows .text at once and, aligned to 128 bytes, lies inside pages that stay. With sections
// aligned to pages it is one pageable page.
//
//   ioctl 0x222000  ANSWER: runs the pageable function; output: 42
#include "driver.h"

#define IOCTL_SMALL_ANSWER SAMPLE_IOCTL(0)

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD SmallUnload;
DRIVER_DISPATCH SmallSucceed;
DRIVER_DISPATCH SmallDeviceControl;
static ULONG SmallAnswer(ULONG Question);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, SmallAnswer)

// Nonpageable data behind PAGE, on the same page when sections are that close.
#pragma const_seg("TAIL")
const volatile ULONG SmallTail[4] = {40, 41, 42, 43};
#pragma const_seg()

static ULONG SmallAnswer(ULONG Question)
{
    PAGED_CODE();
    return SmallTail[Question & 3];
}

static NTSTATUS SmallComplete(PIRP Irp, NTSTATUS Status, ULONG_PTR Information)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = Information;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

NTSTATUS SmallSucceed(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    return SmallComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS SmallDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    UNREFERENCED_PARAMETER(Device);
    if (stack->Parameters.DeviceIoControl.IoControlCode != IOCTL_SMALL_ANSWER) {
        return SmallComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    if (stack->Parameters.DeviceIoControl.OutputBufferLength < sizeof(ULONG)) {
        return SmallComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
    }
    *(PULONG)Irp->AssociatedIrp.SystemBuffer = SmallAnswer(2);
    return SmallComplete(Irp, STATUS_SUCCESS, sizeof(ULONG));
}

VOID SmallUnload(PDRIVER_OBJECT Driver)
{
    IoDeleteDevice(Driver->DeviceObject);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name;
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    RtlInitUnicodeString(&name, L"\\Device\\Small");
    status = IoCreateDevice(Driver, 0, &name, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (NT_SUCCESS(status)) {
        device->Flags |= DO_BUFFERED_IO;
        Driver->DriverUnload = SmallUnload;
        Driver->MajorFunction[IRP_MJ_CREATE] = SmallSucceed;
        Driver->MajorFunction[IRP_MJ_CLOSE] = SmallSucceed;
        Driver->MajorFunction[IRP_MJ_CLEANUP] = SmallSucceed;
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = SmallDeviceControl;
    }
    return status;
}
