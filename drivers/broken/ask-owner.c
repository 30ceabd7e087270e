#include "owner.h"

NTSTATUS AskOwner(ULONG Code, PVOID *Value)
{
    IO_STATUS_BLOCK result;
    PDEVICE_OBJECT device;
    PFILE_OBJECT file;
    UNICODE_STRING name;
    NTSTATUS status;
    KEVENT done;
    PIRP irp;

    RtlInitUnicodeString(&name, L"\\Device\\" OWNER_NAME);
    status = IoGetDeviceObjectPointer(&name, FILE_READ_DATA, &file, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    KeInitializeEvent(&done, NotificationEvent, FALSE);
    irp = IoBuildDeviceIoControlRequest(Code, device, NULL, 0, Value, Value == NULL ? 0 : sizeof(PVOID), FALSE, &done,
                                        &result);
    status = STATUS_INSUFFICIENT_RESOURCES;
    if (irp != NULL) {
        status = IoCallDriver(device, irp);
        if (status == STATUS_PENDING) {
            KeWaitForSingleObject(&done, Executive, KernelMode, FALSE, NULL);
            status = result.Status;
        }
    }
    ObDereferenceObject(file);
    return status;
}
