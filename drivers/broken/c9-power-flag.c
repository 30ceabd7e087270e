// A filter is put above a device object whose power requests come at PASSIVE_LEVEL, and does not take DO_POWER_PAGABLE from it.
// Power requests to the filter then come at DISPATCH_LEVEL, and it passes them on to a device that may be pageable.
//
//   expected  with I/O verification 0xC9 (0x23F, 0, 0, 0) when AddDevice returns
//   trigger   AddDevice
//   repaired  the filter takes the flag
#include "driver.h"

typedef struct _LAYER {
    PDEVICE_OBJECT Below;
} LAYER, *PLAYER;

DRIVER_INITIALIZE DriverEntry;
DRIVER_ADD_DEVICE C9AddDevice;
DRIVER_UNLOAD C9Unload;
DRIVER_DISPATCH C9PassDown;
DRIVER_DISPATCH C9Power;
DRIVER_DISPATCH C9Pnp;

#pragma alloc_text(INIT, DriverEntry)

// A device object above the stack, with these flags and, where it is right, those of the one below.
static PDEVICE_OBJECT C9Attach(PDRIVER_OBJECT Driver, PDEVICE_OBJECT Physical, ULONG Own, ULONG Inherited)
{
    PDEVICE_OBJECT device;
    PLAYER layer;
    if (!NT_SUCCESS(IoCreateDevice(Driver, sizeof(LAYER), NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &device))) {
        return NULL;
    }
    layer = device->DeviceExtension;
    layer->Below = IoAttachDeviceToDeviceStack(device, Physical);
    if (layer->Below == NULL) {
        IoDeleteDevice(device);
        return NULL;
    }
    device->Flags |= Own | (layer->Below->Flags & Inherited);
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    return device;
}

static VOID C9Detach(PDEVICE_OBJECT Device)
{
    IoDetachDevice(((PLAYER)Device->DeviceExtension)->Below);
    IoDeleteDevice(Device);
}

NTSTATUS C9AddDevice(PDRIVER_OBJECT Driver, PDEVICE_OBJECT Physical)
{
    PDEVICE_OBJECT function = C9Attach(Driver, Physical, DO_POWER_PAGABLE, 0);
    if (function == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
#ifdef FIXED
    if (C9Attach(Driver, Physical, 0, DO_POWER_PAGABLE) == NULL) {
#else
    if (C9Attach(Driver, Physical, 0, 0) == NULL) {
#endif
        C9Detach(function);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    return STATUS_SUCCESS;
}

NTSTATUS C9PassDown(PDEVICE_OBJECT Device, PIRP Irp)
{
    IoSkipCurrentIrpStackLocation(Irp);
    return IoCallDriver(((PLAYER)Device->DeviceExtension)->Below, Irp);
}

NTSTATUS C9Power(PDEVICE_OBJECT Device, PIRP Irp)
{
    PoStartNextPowerIrp(Irp);
    IoSkipCurrentIrpStackLocation(Irp);
    return PoCallDriver(((PLAYER)Device->DeviceExtension)->Below, Irp);
}

NTSTATUS C9Pnp(PDEVICE_OBJECT Device, PIRP Irp)
{
    UCHAR minor = IoGetCurrentIrpStackLocation(Irp)->MinorFunction;
    NTSTATUS status;
    if (minor == IRP_MN_START_DEVICE || minor == IRP_MN_QUERY_REMOVE_DEVICE || minor == IRP_MN_REMOVE_DEVICE ||
        minor == IRP_MN_CANCEL_REMOVE_DEVICE || minor == IRP_MN_SURPRISE_REMOVAL) {
        Irp->IoStatus.Status = STATUS_SUCCESS;
    }
    status = C9PassDown(Device, Irp);
    if (minor == IRP_MN_REMOVE_DEVICE) {
        C9Detach(Device);
    }
    return status;
}

VOID C9Unload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    Driver->DriverUnload = C9Unload;
    Driver->DriverExtension->AddDevice = C9AddDevice;
    for (ULONG major = 0; major <= IRP_MJ_MAXIMUM_FUNCTION; ++major) {
        Driver->MajorFunction[major] = C9PassDown;
    }
    Driver->MajorFunction[IRP_MJ_PNP] = C9Pnp;
    Driver->MajorFunction[IRP_MJ_POWER] = C9Power;
    return STATUS_SUCCESS;
}
