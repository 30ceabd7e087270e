// Two timers are set for the same time, and somebody counts on the first coming first: with ORDER the second DPC uses what the
// first prepares; else it says that both are done, and the section that both use is unlocked. One tick of the clock may find
// both, in any order, or only the second (docs: kernel/timer-accuracy).
//
//   expected  K13; out: 0xD1 (X41Work, 2, 8, X41Work); with ORDER 0xD1 (NULL, 2, 0, in X41Second)
//   trigger   open, while the first timer comes after the second
//   repaired  the last one of the two says that both are done; with ORDER the second looks for what the first prepares
#include "sample.h"

typedef struct _X41 {
    FAST_MUTEX Mutex;
    KTIMER Timers[2];
    KDPC Dpcs[2];
    KEVENT Done;
    volatile LONG Left;
    PULONG volatile Prepared;
    ULONG Value;
} X41, *PX41;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X41Create;
KDEFERRED_ROUTINE X41First;
KDEFERRED_ROUTINE X41Second;
ULONG X41Work(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGEX41, X41Work)

ULONG X41Work(ULONG Value)
{
    return Value + 1;
}

SECTION_FILLER(X41Filler, "PAGEX41", 8192)

static VOID X41Ended(PX41 X41, BOOLEAN Last)
{
#ifdef FIXED
    UNREFERENCED_PARAMETER(Last);
    if (InterlockedDecrement(&X41->Left) == 0) {
        KeSetEvent(&X41->Done, IO_NO_INCREMENT, FALSE);
    }
#else
    if (Last) {
        KeSetEvent(&X41->Done, IO_NO_INCREMENT, FALSE);
    }
#endif
}

VOID X41First(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    PX41 x41 = Context;
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
#ifdef ORDER
    x41->Prepared = &x41->Value;
#endif
    x41->Value = X41Work(x41->Value);
    X41Ended(x41, FALSE);
}

VOID X41Second(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    PX41 x41 = Context;
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
#ifdef ORDER
#ifdef FIXED
    if (x41->Prepared != NULL)
#endif
    {
        *x41->Prepared += 1;
    }
#endif
    X41Ended(x41, TRUE);
}

NTSTATUS X41Create(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX41 x41 = Device->DeviceExtension;
    LARGE_INTEGER due;
    PVOID section;

    SampleEnter(&x41->Mutex);
    section = MmLockPagableCodeSection((PVOID)X41Work);
    x41->Prepared = NULL;
    x41->Left = 2;
    KeQuerySystemTime(&due);
    due.QuadPart += 10 * 20000;
    KeSetTimer(&x41->Timers[0], due, &x41->Dpcs[0]);
    KeSetTimer(&x41->Timers[1], due, &x41->Dpcs[1]);
    KeWaitForSingleObject(&x41->Done, Executive, KernelMode, FALSE, NULL);
#ifdef ORDER
    // Whichever came first, the other one is on its way by now.
    while (x41->Prepared == NULL) {
        due.QuadPart = -10 * 1000;
        KeDelayExecutionThread(KernelMode, FALSE, &due);
    }
    KeFlushQueuedDpcs();
#endif
    MmUnlockPagableImageSection(section);
    SampleLeave(&x41->Mutex);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X41", sizeof(X41), &device);
    if (NT_SUCCESS(status)) {
        PX41 x41 = device->DeviceExtension;
        ExInitializeFastMutex(&x41->Mutex);
        KeInitializeEvent(&x41->Done, SynchronizationEvent, FALSE);
        KeInitializeTimer(&x41->Timers[0]);
        KeInitializeTimer(&x41->Timers[1]);
        KeInitializeDpc(&x41->Dpcs[0], X41First, x41);
        KeInitializeDpc(&x41->Dpcs[1], X41Second, x41);
        Driver->MajorFunction[IRP_MJ_CREATE] = X41Create;
    }
    return status;
}
