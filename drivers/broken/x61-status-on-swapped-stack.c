// A routine sends a request and waits in user mode for an event of its device. The completion routine, at DISPATCH_LEVEL, stores
// the result in an IO_STATUS_BLOCK on the stack of the routine, which may have left memory (docs: kernel/using-the-kernel-stack).
//
//   expected  0xD1 (in the status block, 2, 1, X61Completed); resident: K13
//   trigger   ioctl 0x222000
//   repaired  the status block lies in the device extension; the wait is in user mode still
#include "sample.h"

typedef struct _X61 {
    KTIMER Timer;
    KDPC Dpc;
    KEVENT Done;
    FAST_MUTEX Mutex;
    IO_STATUS_BLOCK Status;
    PIO_STATUS_BLOCK Result;
    PIRP Pending;
} X61, *PX61;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X61DeviceControl;
DRIVER_DISPATCH X61InternalDeviceControl;
KDEFERRED_ROUTINE X61Expired;
IO_COMPLETION_ROUTINE X61Completed;

#pragma alloc_text(INIT, DriverEntry)

NTSTATUS X61Completed(PDEVICE_OBJECT Device, PIRP Irp, PVOID Context)
{
    PX61 x61 = Context;
    UNREFERENCED_PARAMETER(Device);

    *x61->Result = Irp->IoStatus;
    IoFreeIrp(Irp);
    KeSetEvent(&x61->Done, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

VOID X61Expired(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    PX61 x61 = Context;
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    SampleComplete(x61->Pending, STATUS_SUCCESS, 7);
}

// Serves the request that the driver sends to itself: a timer completes it.
NTSTATUS X61InternalDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX61 x61 = Device->DeviceExtension;
    LARGE_INTEGER due;

    IoMarkIrpPending(Irp);
    x61->Pending = Irp;
    due.QuadPart = -10 * 1000;
    KeSetTimer(&x61->Timer, due, &x61->Dpc);
    return STATUS_PENDING;
}

static NTSTATUS X61Send(PDEVICE_OBJECT Device, ULONG_PTR *Information)
{
    PX61 x61 = Device->DeviceExtension;
    PIRP request = IoAllocateIrp(Device->StackSize, FALSE);
#ifdef FIXED
    x61->Result = &x61->Status;
#else
    IO_STATUS_BLOCK status;
    x61->Result = &status;
#endif
    if (request == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    IoGetNextIrpStackLocation(request)->MajorFunction = IRP_MJ_INTERNAL_DEVICE_CONTROL;
    IoSetCompletionRoutine(request, X61Completed, x61, TRUE, TRUE, TRUE);
    KeClearEvent(&x61->Done);
    IoCallDriver(Device, request);
    KeWaitForSingleObject(&x61->Done, UserRequest, UserMode, FALSE, NULL);
    *Information = x61->Result->Information;
    return x61->Result->Status;
}

NTSTATUS X61DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX61 x61 = Device->DeviceExtension;
    ULONG_PTR information = 0;
    NTSTATUS status;

    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    SampleEnter(&x61->Mutex);
    status = X61Send(Device, &information);
    SampleLeave(&x61->Mutex);
    return SampleOutput(Irp, status, (ULONG)information);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X61", sizeof(X61), &device);
    if (NT_SUCCESS(status)) {
        PX61 x61 = device->DeviceExtension;
        KeInitializeTimer(&x61->Timer);
        KeInitializeDpc(&x61->Dpc, X61Expired, x61);
        KeInitializeEvent(&x61->Done, NotificationEvent, FALSE);
        ExInitializeFastMutex(&x61->Mutex);
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = X61DeviceControl;
        Driver->MajorFunction[IRP_MJ_INTERNAL_DEVICE_CONTROL] = X61InternalDeviceControl;
    }
    return status;
}
