// AddDevice locks a section and keeps the handle in the extension of the device, finds that it cannot drive it, and deletes
// the device: the handle goes with it, and the lock stays (R17).
//
//   expected  K05 n = 1 at unload, with the call in DeletedAddDevice
//   trigger   load, add a device, unload
//   repaired  AddDevice gives the lock back before it deletes the device
#include "driver.h"

typedef struct _DELETED_EXTENSION {
    PVOID Code;
    PDEVICE_OBJECT Below;
    ULONG Count;
} DELETED_EXTENSION, *PDELETED_EXTENSION;

DRIVER_INITIALIZE DriverEntry;
DRIVER_ADD_DEVICE DeletedAddDevice;
DRIVER_UNLOAD DeletedUnload;
DRIVER_DISPATCH DeletedPnp;
ULONG DeletedWork(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGEDEL, DeletedWork)

ULONG DeletedWork(ULONG Value)
{
    PAGED_CODE_LOCKED();
    return Value + 1;
}

SECTION_FILLER(DeletedFiller, "PAGEDEL", 8192)

static volatile ULONG DeletedDevices;

// The first device is one too many.
static BOOLEAN DeletedCanDriveAnother(VOID)
{
    return DeletedDevices++ != 0;
}

NTSTATUS DeletedAddDevice(PDRIVER_OBJECT Driver, PDEVICE_OBJECT Physical)
{
    PDEVICE_OBJECT device;
    PDELETED_EXTENSION extension;
    NTSTATUS status;

    status = IoCreateDevice(Driver, sizeof(DELETED_EXTENSION), NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    extension = device->DeviceExtension;
    extension->Code = MmLockPagableCodeSection((PVOID)DeletedWork);
    extension->Count = DeletedWork(0);
    if (!DeletedCanDriveAnother()) {
#ifdef FIXED
        MmUnlockPagableImageSection(extension->Code);
#endif
        IoDeleteDevice(device);
        return STATUS_NO_SUCH_DEVICE;
    }
    extension->Below = IoAttachDeviceToDeviceStack(device, Physical);
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}

NTSTATUS DeletedPnp(PDEVICE_OBJECT Device, PIRP Irp)
{
    PDELETED_EXTENSION extension = Device->DeviceExtension;
    UCHAR minor = IoGetCurrentIrpStackLocation(Irp)->MinorFunction;
    NTSTATUS status;

    IoSkipCurrentIrpStackLocation(Irp);
    status = IoCallDriver(extension->Below, Irp);
    if (minor == IRP_MN_REMOVE_DEVICE) {
        MmUnlockPagableImageSection(extension->Code);
        IoDetachDevice(extension->Below);
        IoDeleteDevice(Device);
    }
    return status;
}

VOID DeletedUnload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    Driver->DriverExtension->AddDevice = DeletedAddDevice;
    Driver->DriverUnload = DeletedUnload;
    Driver->MajorFunction[IRP_MJ_PNP] = DeletedPnp;
    return STATUS_SUCCESS;
}
