#include "stack.h"

static IO_COMPLETION_ROUTINE LayerForwarded;

#pragma alloc_text(PAGE, LayerAttach)
#pragma alloc_text(PAGE, LayerDetach)
#pragma alloc_text(PAGE, LayerForward)

NTSTATUS LayerAttach(PDRIVER_OBJECT Driver, PDEVICE_OBJECT Physical, PCWSTR Name, ULONG ExtensionBytes, PLAYER *Layer)
{
    UNICODE_STRING name;
    PDEVICE_OBJECT device;
    PLAYER layer;
    NTSTATUS status;
    PAGED_CODE();

    RtlInitUnicodeString(&name, Name);
    status = IoCreateDevice(Driver, ExtensionBytes, Name == NULL ? NULL : &name, FILE_DEVICE_UNKNOWN, 0, FALSE,
                            &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    layer = device->DeviceExtension;
    layer->Self = device;
    IoInitializeRemoveLock(&layer->RemoveLock, STACK_TAG, 0, 0);
    layer->Below = IoAttachDeviceToDeviceStack(device, Physical);
    if (layer->Below == NULL) {
        IoDeleteDevice(device);
        return STATUS_NO_SUCH_DEVICE;
    }
    device->Flags |= layer->Below->Flags & (DO_BUFFERED_IO | DO_DIRECT_IO | DO_POWER_PAGABLE);
    *Layer = layer;
    return STATUS_SUCCESS;
}

VOID LayerDetach(PLAYER Layer, PIRP Irp)
{
    PAGED_CODE();
    IoReleaseRemoveLockAndWait(&Layer->RemoveLock, Irp);
    IoDetachDevice(Layer->Below);
    IoDeleteDevice(Layer->Self);
}

NTSTATUS LayerPassDown(PLAYER Layer, PIRP Irp)
{
    IoSkipCurrentIrpStackLocation(Irp);
    return IoCallDriver(Layer->Below, Irp);
}

// Called at DISPATCH_LEVEL or below by whoever completes the request.
static NTSTATUS LayerForwarded(PDEVICE_OBJECT Device, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(Device);
    if (Irp->PendingReturned) {
        KeSetEvent(Context, IO_NO_INCREMENT, FALSE);
    }
    return STATUS_MORE_PROCESSING_REQUIRED;
}

NTSTATUS LayerForward(PLAYER Layer, PIRP Irp)
{
    NTSTATUS status;
    KEVENT done;
    PAGED_CODE();

    KeInitializeEvent(&done, NotificationEvent, FALSE);
    IoCopyCurrentIrpStackLocationToNext(Irp);
    IoSetCompletionRoutine(Irp, LayerForwarded, &done, TRUE, TRUE, TRUE);
    status = IoCallDriver(Layer->Below, Irp);
    if (status == STATUS_PENDING) {
        KeWaitForSingleObject(&done, Executive, KernelMode, FALSE, NULL);
    }
    return Irp->IoStatus.Status;
}
