// What the I/O system and the system's worker threads are handed has to be resident: a completion routine in PAGE or, with
// WORK_ITEM, a work item in paged pool.
//
//   expected  K21; with I/O verification 0xC9 (0x227, X22Completed). WORK_ITEM: K22; verifier: 0xC4 (0x131, the item, 0, 0)
//   trigger   ioctl 0x222000
//   repaired  the routine in .text, the item in nonpaged pool
#include "sample.h"

typedef struct _X22 {
    WORK_QUEUE_ITEM Item;
    KEVENT Done;
} X22, *PX22;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X22DeviceControl;
IO_COMPLETION_ROUTINE X22Completed;
VOID NTAPI X22Work(PVOID Context);
NTSTATUS X22Run(PDEVICE_OBJECT Device, PKEVENT Done);

#pragma alloc_text(INIT, DriverEntry)
#if !defined(FIXED) && !defined(WORK_ITEM)
#pragma alloc_text(PAGE, X22Completed)
#endif

NTSTATUS X22Completed(PDEVICE_OBJECT Device, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(Device);
    IoFreeIrp(Irp);
    KeSetEvent(Context, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

SECTION_FILLER(X22Filler, "PAGE", 4096)

VOID NTAPI X22Work(PVOID Context)
{
    KeSetEvent(Context, IO_NO_INCREMENT, FALSE);
}

#ifdef WORK_ITEM
#ifdef FIXED
#define ITEM_POOL NonPagedPool
#else
#define ITEM_POOL PagedPool
#endif

NTSTATUS X22Run(PDEVICE_OBJECT Device, PKEVENT Done)
{
    PWORK_QUEUE_ITEM item = ExAllocatePoolWithTag(ITEM_POOL, sizeof(WORK_QUEUE_ITEM), TAG('X', '2', '2', ' '));
    UNREFERENCED_PARAMETER(Device);
    if (item == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    ExInitializeWorkItem(item, X22Work, Done);
    ExQueueWorkItem(item, DelayedWorkQueue);
    KeWaitForSingleObject(Done, Executive, KernelMode, FALSE, NULL);
    ExFreePoolWithTag(item, TAG('X', '2', '2', ' '));
    return STATUS_SUCCESS;
}
#else
// A flush request to the driver's own device, which completes it at once.
NTSTATUS X22Run(PDEVICE_OBJECT Device, PKEVENT Done)
{
    PIRP irp = IoAllocateIrp(Device->StackSize, FALSE);
    if (irp == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    IoGetNextIrpStackLocation(irp)->MajorFunction = IRP_MJ_FLUSH_BUFFERS;
    IoSetCompletionRoutine(irp, X22Completed, Done, TRUE, TRUE, TRUE);
    IoCallDriver(Device, irp);
    KeWaitForSingleObject(Done, Executive, KernelMode, FALSE, NULL);
    return STATUS_SUCCESS;
}
#endif

NTSTATUS X22DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX22 x22 = Device->DeviceExtension;

    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    KeInitializeEvent(&x22->Done, NotificationEvent, FALSE);
    return SampleComplete(Irp, X22Run(Device, &x22->Done), 0);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X22", sizeof(X22), &device);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = X22DeviceControl;
    }
    return status;
}
