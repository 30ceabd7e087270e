// A thread of the driver and the one that opens it wait for a synchronization timer that is periodic. Each expiration releases
// one of them (docs: kernel/timer-objects-and-dpcs). The thread waits first, so the first one is to be its turn, and when the
// second one comes the section that it uses at DISPATCH_LEVEL is unlocked. But a kernel APC that takes it out of its wait makes
// it the last (KB Q125657).
//
//   expected  0xD1 (X62Work, 2, 8, X62Work)
//   trigger   open, while a kernel APC interrupts the wait of the thread
//   repaired  the open waits for the thread before it unlocks
#include "sample.h"

typedef struct _X62 {
    FAST_MUTEX Mutex;
    KSPIN_LOCK Lock;
    KTIMER Tick;
    ULONG Value;
} X62, *PX62;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X62Create;
KSTART_ROUTINE X62Thread;
ULONG X62Work(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGEX62, X62Work)

ULONG X62Work(ULONG Value)
{
    return Value + 1;
}

SECTION_FILLER(X62Filler, "PAGEX62", 8192)

static VOID X62WaitForTick(PX62 X62)
{
    KeWaitForSingleObject(&X62->Tick, Executive, KernelMode, FALSE, NULL);
}

VOID X62Thread(PVOID Context)
{
    PX62 x62 = Context;
    KIRQL irql;

    X62WaitForTick(x62);
    KeAcquireSpinLock(&x62->Lock, &irql);
    x62->Value = X62Work(x62->Value);
    KeReleaseSpinLock(&x62->Lock, irql);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

// Lets the thread do its work in turns that take a millisecond each, the first one in two.
static VOID X62TakeTurns(PX62 X62)
{
    LARGE_INTEGER due, pause;

    due.QuadPart = -10 * 2000;
    pause.QuadPart = -10 * 1000;
    KeSetTimerEx(&X62->Tick, due, 1, NULL);
    // The thread has begun to wait by then.
    KeDelayExecutionThread(KernelMode, FALSE, &pause);
    X62WaitForTick(X62);
}

NTSTATUS X62Create(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX62 x62 = Device->DeviceExtension;
    PVOID section, thread;
    HANDLE handle;
    NTSTATUS status;

    SampleEnter(&x62->Mutex);
    section = MmLockPagableCodeSection((PVOID)X62Work);
    status = PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, X62Thread, x62);
    if (NT_SUCCESS(status)) {
        ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, NULL, KernelMode, &thread, NULL);
        ZwClose(handle);
        X62TakeTurns(x62);
#ifndef FIXED
        MmUnlockPagableImageSection(section);
#endif
        KeWaitForSingleObject(thread, Executive, KernelMode, FALSE, NULL);
        ObDereferenceObject(thread);
        KeCancelTimer(&x62->Tick);
#ifdef FIXED
        MmUnlockPagableImageSection(section);
#endif
    } else {
        MmUnlockPagableImageSection(section);
    }
    SampleLeave(&x62->Mutex);
    return SampleComplete(Irp, status, 0);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X62", sizeof(X62), &device);
    if (NT_SUCCESS(status)) {
        PX62 x62 = device->DeviceExtension;
        ExInitializeFastMutex(&x62->Mutex);
        KeInitializeSpinLock(&x62->Lock);
        KeInitializeTimerEx(&x62->Tick, SynchronizationTimer);
        Driver->MajorFunction[IRP_MJ_CREATE] = X62Create;
    }
    return status;
}
