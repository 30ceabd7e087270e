// A thread of the driver runs pageable code and then prepares what a DPC uses. The open that made the thread waits until a read
// of its own, which began later, has come; then it queues the DPC. Reads need not end in the order in which they began.
//
//   expected  0xD1 (NULL, 2, 0, in X46Dpc)
//   trigger   open, while the first of two reads takes longer than the second
//   repaired  the open waits for the thread
#include "sample.h"

typedef struct _X46 {
    FAST_MUTEX Mutex;
    KDPC Dpc;
    PULONG volatile Prepared;
    ULONG Value;
} X46, *PX46;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X46Create;
KSTART_ROUTINE X46Thread;
KDEFERRED_ROUTINE X46Dpc;
VOID X46Prepare(PX46 X46);
VOID X46Second(PX46 X46);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGEFST, X46Prepare)
#pragma alloc_text(PAGESCD, X46Second)

// Both leave memory again.
VOID X46Prepare(PX46 X46)
{
    X46->Prepared = &X46->Value;
}

VOID X46Second(PX46 X46)
{
    X46->Value++;
}

SECTION_FILLER(X46FirstFiller, "PAGEFST", 8192)
SECTION_FILLER(X46SecondFiller, "PAGESCD", 8192)

VOID X46Dpc(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    *((PX46)Context)->Prepared += 1;
}

VOID X46Thread(PVOID Context)
{
    X46Prepare(Context);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

NTSTATUS X46Create(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX46 x46 = Device->DeviceExtension;
    LARGE_INTEGER time;
    HANDLE handle;
    PVOID thread;
    NTSTATUS status;

    SampleEnter(&x46->Mutex);
    x46->Prepared = NULL;
    status = PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, X46Thread, x46);
    if (NT_SUCCESS(status)) {
        ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, NULL, KernelMode, &thread, NULL);
        ZwClose(handle);
        // The thread waits for its page by then.
        time.QuadPart = -10 * 20;
        KeDelayExecutionThread(KernelMode, FALSE, &time);
        X46Second(x46);
#ifdef FIXED
        KeWaitForSingleObject(thread, Executive, KernelMode, FALSE, NULL);
#endif
        KeInsertQueueDpc(&x46->Dpc, NULL, NULL);
        KeWaitForSingleObject(thread, Executive, KernelMode, FALSE, NULL);
        ObDereferenceObject(thread);
    }
    SampleLeave(&x46->Mutex);
    return SampleComplete(Irp, status, 0);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X46", sizeof(X46), &device);
    if (NT_SUCCESS(status)) {
        PX46 x46 = device->DeviceExtension;
        ExInitializeFastMutex(&x46->Mutex);
        KeInitializeDpc(&x46->Dpc, X46Dpc, x46);
        Driver->MajorFunction[IRP_MJ_CREATE] = X46Create;
    }
    return status;
}
