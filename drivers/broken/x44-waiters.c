// A thread of the driver and the one that opens it wait for an event. It uses a section at DISPATCH_LEVEL; the other one
// unlocks that section afterwards. Two mistakes, one at a time:
//
// The event is a synchronization event. The thread waits first, so it is to have the first turn, and then passes it on.
// But a kernel APC that takes it out of its wait makes it the last (KB Q125657). With PULSE it is a notification event that
// is pulsed, and who is out of its wait for an APC misses it (docs: kernel/waits-and-apcs): the thread goes on when its wait
// times out, long after everybody thinks that it has.
//
//   expected  0xD1 (X44Work, 2, 8, X44Work)
//   trigger   open, while a kernel APC interrupts the wait of the thread
//   repaired  two events, one for each; with PULSE the open waits for the thread
#include "sample.h"

typedef struct _X44 {
    FAST_MUTEX Mutex;
    KSPIN_LOCK Lock;
    KEVENT Turn;
    KEVENT Used;
    KTIMER Timer;
    KDPC Dpc;
    ULONG Value;
} X44, *PX44;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X44Create;
KSTART_ROUTINE X44Thread;
KDEFERRED_ROUTINE X44Expired;
ULONG X44Work(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGEX44, X44Work)

ULONG X44Work(ULONG Value)
{
    return Value + 1;
}

SECTION_FILLER(X44Filler, "PAGEX44", 8192)

static VOID X44Delay(LONG Microseconds)
{
    LARGE_INTEGER time;
    time.QuadPart = -10 * (LONGLONG)Microseconds;
    KeDelayExecutionThread(KernelMode, FALSE, &time);
}

// Wakes who waits.
VOID X44Expired(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    PX44 x44 = Context;
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    KeSetEvent(&x44->Turn, IO_NO_INCREMENT, FALSE);
}

VOID X44Thread(PVOID Context)
{
    PX44 x44 = Context;
    KIRQL irql;
#ifdef PULSE
    LARGE_INTEGER patience;

    patience.QuadPart = -10 * 100000;
    KeWaitForSingleObject(&x44->Turn, Executive, KernelMode, FALSE, &patience);
#else
    KeWaitForSingleObject(&x44->Turn, Executive, KernelMode, FALSE, NULL);
#endif
    KeAcquireSpinLock(&x44->Lock, &irql);
    x44->Value = X44Work(x44->Value);
    KeReleaseSpinLock(&x44->Lock, irql);
#if defined(PULSE) || defined(FIXED)
    KeSetEvent(&x44->Used, IO_NO_INCREMENT, FALSE);
#else
    KeSetEvent(&x44->Turn, IO_NO_INCREMENT, FALSE);
#endif
    PsTerminateSystemThread(STATUS_SUCCESS);
}

// Lets the thread do its work: what waits for it, if anything does, is over.
static VOID X44Use(PX44 X44)
{
    // The thread has begun to wait by then.
    X44Delay(1000);
#ifdef PULSE
    KePulseEvent(&X44->Turn, IO_NO_INCREMENT, FALSE);
    // The thread has done its work by then.
    X44Delay(1000);
#ifdef FIXED
    KeWaitForSingleObject(&X44->Used, Executive, KernelMode, FALSE, NULL);
#endif
#else
    LARGE_INTEGER due;
    due.QuadPart = -10 * 1000;
    KeSetTimer(&X44->Timer, due, &X44->Dpc);
#ifdef FIXED
    KeWaitForSingleObject(&X44->Used, Executive, KernelMode, FALSE, NULL);
#else
    KeWaitForSingleObject(&X44->Turn, Executive, KernelMode, FALSE, NULL);
#endif
#endif
}

NTSTATUS X44Create(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX44 x44 = Device->DeviceExtension;
    PVOID section, thread;
    HANDLE handle;
    NTSTATUS status;

    SampleEnter(&x44->Mutex);
    section = MmLockPagableCodeSection((PVOID)X44Work);
    KeClearEvent(&x44->Turn);
    KeClearEvent(&x44->Used);
    status = PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, X44Thread, x44);
    if (NT_SUCCESS(status)) {
        ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, NULL, KernelMode, &thread, NULL);
        ZwClose(handle);
        X44Use(x44);
        MmUnlockPagableImageSection(section);
#if !defined(PULSE) && !defined(FIXED)
        // Who had its turn passes it on.
        KeSetEvent(&x44->Turn, IO_NO_INCREMENT, FALSE);
#endif
        KeWaitForSingleObject(thread, Executive, KernelMode, FALSE, NULL);
        ObDereferenceObject(thread);
    } else {
        MmUnlockPagableImageSection(section);
    }
    SampleLeave(&x44->Mutex);
    return SampleComplete(Irp, status, 0);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X44", sizeof(X44), &device);
    if (NT_SUCCESS(status)) {
        PX44 x44 = device->DeviceExtension;
        ExInitializeFastMutex(&x44->Mutex);
        KeInitializeSpinLock(&x44->Lock);
#ifdef PULSE
        KeInitializeEvent(&x44->Turn, NotificationEvent, FALSE);
#else
        KeInitializeEvent(&x44->Turn, SynchronizationEvent, FALSE);
#endif
        KeInitializeEvent(&x44->Used, SynchronizationEvent, FALSE);
        KeInitializeTimer(&x44->Timer);
        KeInitializeDpc(&x44->Dpc, X44Expired, x44);
        Driver->MajorFunction[IRP_MJ_CREATE] = X44Create;
    }
    return status;
}
