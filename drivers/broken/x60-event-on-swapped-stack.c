// A routine waits in user mode for an event that lies on its stack, and the DPC of a timer sets it. The stack of a thread that
// waits in user mode may leave memory: the event is set in a page that is out (docs: kernel/using-the-kernel-stack; ddi:
// KeWaitForSingleObject).
//
//   expected  K11, K13; out: 0x0A (the event, 2, 0, KeSetEvent); with the verifier 0xC4/0x123 at the wait
//   trigger   ioctl 0x222000
//   repaired  waits in kernel mode, which keeps the stack in memory
#include "sample.h"

#ifdef FIXED
#define X60_WAIT_MODE KernelMode
#else
#define X60_WAIT_MODE UserMode
#endif

typedef struct _X60 {
    KTIMER Timer;
    KDPC Dpc;
    PKEVENT Waiter;
    ULONG Expired;
} X60, *PX60;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X60DeviceControl;
KDEFERRED_ROUTINE X60Expired;

#pragma alloc_text(INIT, DriverEntry)

VOID X60Expired(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    PX60 x60 = Context;
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    KeSetEvent(x60->Waiter, IO_NO_INCREMENT, FALSE);
    x60->Expired++;
}

static VOID X60WaitForTimer(PX60 X60)
{
    KEVENT expired;
    LARGE_INTEGER due;

    KeInitializeEvent(&expired, NotificationEvent, FALSE);
    X60->Waiter = &expired;
    due.QuadPart = -10 * 1000;
    KeSetTimer(&X60->Timer, due, &X60->Dpc);
    KeWaitForSingleObject(&expired, UserRequest, X60_WAIT_MODE, FALSE, NULL);
}

NTSTATUS X60DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    X60WaitForTimer(Device->DeviceExtension);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X60", sizeof(X60), &device);
    if (NT_SUCCESS(status)) {
        PX60 x60 = device->DeviceExtension;
        KeInitializeTimer(&x60->Timer);
        KeInitializeDpc(&x60->Dpc, X60Expired, x60);
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = X60DeviceControl;
    }
    return status;
}
