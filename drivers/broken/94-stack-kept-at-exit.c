// A thread keeps its stack in memory while a DPC writes to it, because it waits in user mode. Where the wait times out it ends
// without allowing its stack to leave again: bug check 0x94 (ddi: KeSetKernelStackSwapEnable).
//
//   expected  0x94 (0, 0, 0, 0)
//   trigger   ioctl 0x222000
//   repaired  gives KeSetKernelStackSwapEnable back what it returned on each way out
#include "sample.h"

// Declared by ntifs.h, which does not go with ntddk.h in these headers.
NTKERNELAPI BOOLEAN NTAPI KeSetKernelStackSwapEnable(BOOLEAN Enable);

typedef struct _KEPT {
    KTIMER Timer;
    KDPC Dpc;
    KEVENT Expired;
    PULONG Count;
} KEPT, *PKEPT;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH KeptDeviceControl;
KSTART_ROUTINE KeptThread;
KDEFERRED_ROUTINE KeptExpired;

#pragma alloc_text(INIT, DriverEntry)

VOID KeptExpired(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    PKEPT kept = Context;
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    *kept->Count += 1;
    KeSetEvent(&kept->Expired, IO_NO_INCREMENT, FALSE);
}

// Waits in user mode for a timer; true where it expired.
static BOOLEAN KeptWait(PKEPT Kept, LONG Microseconds)
{
    LARGE_INTEGER due, patience;

    due.QuadPart = -10 * (LONGLONG)Microseconds;
    patience.QuadPart = -10 * 10000;
    KeSetTimer(&Kept->Timer, due, &Kept->Dpc);
    if (KeWaitForSingleObject(&Kept->Expired, UserRequest, UserMode, FALSE, &patience) == STATUS_SUCCESS) {
        return TRUE;
    }
    KeCancelTimer(&Kept->Timer);
    KeFlushQueuedDpcs();
    return FALSE;
}

VOID KeptThread(PVOID Context)
{
    PKEPT kept = Context;
    ULONG count = 0;
    BOOLEAN before = KeSetKernelStackSwapEnable(FALSE);

    kept->Count = &count;
    // The second timer takes longer than the wait for it.
    if (!KeptWait(kept, 1000) || !KeptWait(kept, 1000000)) {
#ifdef FIXED
        KeSetKernelStackSwapEnable(before);
#endif
        PsTerminateSystemThread(count == 1 ? STATUS_TIMEOUT : STATUS_UNSUCCESSFUL);
    }
    KeSetKernelStackSwapEnable(before);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

NTSTATUS KeptDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    HANDLE handle;
    PVOID thread;
    NTSTATUS status;

    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    status = PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, KeptThread, Device->DeviceExtension);
    if (NT_SUCCESS(status)) {
        ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, NULL, KernelMode, &thread, NULL);
        ZwClose(handle);
        KeWaitForSingleObject(thread, Executive, KernelMode, FALSE, NULL);
        ObDereferenceObject(thread);
    }
    return SampleComplete(Irp, status, 0);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"Kept", sizeof(KEPT), &device);
    if (NT_SUCCESS(status)) {
        PKEPT kept = device->DeviceExtension;
        KeInitializeTimer(&kept->Timer);
        KeInitializeDpc(&kept->Dpc, KeptExpired, kept);
        KeInitializeEvent(&kept->Expired, SynchronizationEvent, FALSE);
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = KeptDeviceControl;
    }
    return status;
}
