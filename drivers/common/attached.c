#include "attached.h"

static DRIVER_UNLOAD AttachedUnload;

NTSTATUS AttachedCreate(PDRIVER_OBJECT Driver, PDEVICE_OBJECT Physical, ULONG ExtensionBytes, PDEVICE_OBJECT *Device)
{
    PATTACHED attached;
    NTSTATUS status = IoCreateDevice(Driver, ExtensionBytes, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, Device);

    if (!NT_SUCCESS(status)) {
        return status;
    }
    attached = (*Device)->DeviceExtension;
    attached->Below = IoAttachDeviceToDeviceStack(*Device, Physical);
    if (attached->Below == NULL) {
        IoDeleteDevice(*Device);
        return STATUS_NO_SUCH_DEVICE;
    }
    return STATUS_SUCCESS;
}

VOID AttachedDelete(PDEVICE_OBJECT Device)
{
    IoDetachDevice(((PATTACHED)Device->DeviceExtension)->Below);
    IoDeleteDevice(Device);
}

NTSTATUS AttachedPassDown(PDEVICE_OBJECT Device, PIRP Irp)
{
    IoSkipCurrentIrpStackLocation(Irp);
    return IoCallDriver(((PATTACHED)Device->DeviceExtension)->Below, Irp);
}

NTSTATUS AttachedPower(PDEVICE_OBJECT Device, PIRP Irp)
{
    PoStartNextPowerIrp(Irp);
    IoSkipCurrentIrpStackLocation(Irp);
    return PoCallDriver(((PATTACHED)Device->DeviceExtension)->Below, Irp);
}

NTSTATUS AttachedPnp(PDEVICE_OBJECT Device, PIRP Irp)
{
    UCHAR minor = IoGetCurrentIrpStackLocation(Irp)->MinorFunction;
    NTSTATUS status;

    if (minor == IRP_MN_START_DEVICE || minor == IRP_MN_QUERY_REMOVE_DEVICE || minor == IRP_MN_REMOVE_DEVICE ||
        minor == IRP_MN_CANCEL_REMOVE_DEVICE || minor == IRP_MN_SURPRISE_REMOVAL) {
        Irp->IoStatus.Status = STATUS_SUCCESS;
    }
    status = AttachedPassDown(Device, Irp);
    if (minor == IRP_MN_REMOVE_DEVICE) {
        AttachedDelete(Device);
    }
    return status;
}

static VOID AttachedUnload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
}

VOID AttachedSetRoutines(PDRIVER_OBJECT Driver)
{
    for (ULONG major = 0; major <= IRP_MJ_MAXIMUM_FUNCTION; major++) {
        Driver->MajorFunction[major] = AttachedPassDown;
    }
    Driver->MajorFunction[IRP_MJ_PNP] = AttachedPnp;
    Driver->MajorFunction[IRP_MJ_POWER] = AttachedPower;
    Driver->DriverUnload = AttachedUnload;
}
