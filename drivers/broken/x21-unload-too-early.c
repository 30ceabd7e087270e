// Unload leaves something behind that the system will come back for: a timer in .data or, with WORK_ITEM, a queued work
// item. Neither is about paging; both look like it.
//
//   expected  0xD4 (in the old X21Timer, 2, 0 or 1, in the kernel); with WORK_ITEM 0xCE (the old X21Work, 0, the same, 0)
//   trigger   ioctl 0x222000, close, unload; 10 ms. With WORK_ITEM open, close, unload
//   repaired  the timer is cancelled and DPCs are flushed; the work item is waited for
#include "sample.h"

KTIMER X21Timer;
KDPC X21Dpc;

// In pool, so that only the routine is gone.
typedef struct _X21 {
    WORK_QUEUE_ITEM Item;
    KEVENT Done;
} X21, *PX21;

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD X21Unload;
DRIVER_DISPATCH X21DeviceControl;
KDEFERRED_ROUTINE X21Expired;
VOID NTAPI X21Work(PVOID Context);

#pragma alloc_text(INIT, DriverEntry)

VOID X21Expired(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
}

VOID NTAPI X21Work(PVOID Context)
{
    KeSetEvent(&((PX21)Context)->Done, IO_NO_INCREMENT, FALSE);
}

NTSTATUS X21DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    LARGE_INTEGER due;
    UNREFERENCED_PARAMETER(Device);

    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    due.QuadPart = -10 * 10000;
    KeSetTimer(&X21Timer, due, &X21Dpc);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

VOID X21Unload(PDRIVER_OBJECT Driver)
{
#ifdef FIXED
    KeCancelTimer(&X21Timer);
    KeFlushQueuedDpcs();
#endif
#ifdef WORK_ITEM
    PX21 x21 = ExAllocatePoolWithTag(NonPagedPool, sizeof(X21), TAG('X', '2', '1', ' '));
    if (x21 != NULL) {
        KeInitializeEvent(&x21->Done, NotificationEvent, FALSE);
        ExInitializeWorkItem(&x21->Item, X21Work, x21);
        ExQueueWorkItem(&x21->Item, DelayedWorkQueue);
#ifdef FIXED
        KeWaitForSingleObject(&x21->Done, Executive, KernelMode, FALSE, NULL);
        ExFreePoolWithTag(x21, TAG('X', '2', '1', ' '));
#endif
    }
#endif
    SampleDeleteDevice(Driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X21", 0, &device);
    if (NT_SUCCESS(status)) {
        KeInitializeTimer(&X21Timer);
        KeInitializeDpc(&X21Dpc, X21Expired, NULL);
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = X21DeviceControl;
        Driver->DriverUnload = X21Unload;
    }
    return status;
}
