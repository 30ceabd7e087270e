// Mistakes that are not about paging, and end in the bug checks that mistakes about paging are taken for. One define each:
//
//   WRITE_CODE       a counter that was put among constants is written             0xBE (the counter, its PTE, -, -)
//   RUN_DATA         a routine is called that lies in data                         0xFC (the routine, its PTE, -, -)
//   HALF_A_POINTER   an event is set, at DISPATCH_LEVEL, by a pointer that went    0x0A (in the event, 2, 0 or 1, in the
//                    through a ULONG                                                     kernel)
//   BAD_POINTER      that pointer is read instead, at PASSIVE_LEVEL                0x1E (STATUS_ACCESS_VIOLATION, in
//                                                                                  FatalAct, 0, the pointer)
//   NO_POINTER       the same on a system thread                                   0x7E (STATUS_ACCESS_VIOLATION, in
//                                                                                  FatalAct, .., ..)
//   NO_ADDRESS       a pointer with a byte too many, which no processor accepts    0x50 (the pointer, 0, in FatalAct, 4)
//   RECURSE          a routine calls itself until the stack ends                   0x7F (8, ..)
//   WAIT_RAISED      a wait at DISPATCH_LEVEL                                      0xB8 (the thread, 0, its stack, 0)
//   FREE_A_TIMER     with the verifier: pool with a queued timer in it is freed    0xC4 (0x15, the timer, 0, the pool)
//
//   trigger   ioctl 0x222000
//   repaired  does what was meant
#include "sample.h"

#define FATAL_TAG TAG('F', 'a', 't', 'l')

typedef struct _FATAL {
    KSPIN_LOCK Lock;
    KEVENT Event;
} FATAL, *PFATAL;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH FatalDeviceControl;
KSTART_ROUTINE FatalThread;
ULONG FatalAct(PFATAL Fatal);

#pragma alloc_text(INIT, DriverEntry)

#if defined(WRITE_CODE)

#ifdef FIXED
volatile ULONG FatalCount = 1;
#else
const volatile ULONG FatalCount = 1;
#endif

ULONG FatalAct(PFATAL Fatal)
{
    UNREFERENCED_PARAMETER(Fatal);
    return ++*(volatile ULONG *)&FatalCount;
}

#elif defined(RUN_DATA)

// xor eax, eax; ret
UCHAR FatalRoutine[] = {0x31, 0xC0, 0xC3};

ULONG FatalZero(VOID)
{
    return 0;
}

ULONG FatalAct(PFATAL Fatal)
{
#ifdef FIXED
    ULONG (*routine)(VOID) = FatalZero;
#else
    ULONG (*volatile routine)(VOID) = (PVOID)FatalRoutine;
#endif
    UNREFERENCED_PARAMETER(Fatal);
    return routine() + FatalRoutine[0];
}

#elif defined(HALF_A_POINTER) || defined(BAD_POINTER) || defined(NO_POINTER)

#ifdef FIXED
typedef ULONG_PTR KEPT; // what a pointer fits into
#else
typedef ULONG KEPT;
#endif

ULONG FatalAct(PFATAL Fatal)
{
    volatile KEPT kept = (KEPT)(ULONG_PTR)&Fatal->Event;
    PKEVENT event = (PKEVENT)(ULONG_PTR)kept;
#ifdef HALF_A_POINTER
    KIRQL irql;
    KeAcquireSpinLock(&Fatal->Lock, &irql);
    KeSetEvent(event, IO_NO_INCREMENT, FALSE);
    KeReleaseSpinLock(&Fatal->Lock, irql);
    return 0;
#else
    UNREFERENCED_PARAMETER(Fatal);
    return event->Header.Type;
#endif
}

#elif defined(NO_ADDRESS)

ULONG FatalAct(PFATAL Fatal)
{
#ifdef FIXED
    volatile ULONG_PTR kept = (ULONG_PTR)&Fatal->Event;
#else
    volatile ULONG_PTR kept = (ULONG_PTR)&Fatal->Event & 0x00FFFFFFFFFFFFFF; // the top byte was used for a flag
#endif
    return ((PKEVENT)kept)->Header.Type;
}

#elif defined(RECURSE)

// Each level keeps a buffer, as code that walks a tree does.
ULONG FatalWalk(ULONG Depth)
{
    volatile UCHAR buffer[512];
    buffer[0] = (UCHAR)Depth;
    if (Depth == 0) {
        return 0;
    }
    return FatalWalk(Depth - 1) + buffer[0];
}

ULONG FatalAct(PFATAL Fatal)
{
    UNREFERENCED_PARAMETER(Fatal);
#ifdef FIXED
    return FatalWalk(8);
#else
    return FatalWalk(1000);
#endif
}

#elif defined(WAIT_RAISED)

ULONG FatalAct(PFATAL Fatal)
{
    KIRQL irql;
    KeAcquireSpinLock(&Fatal->Lock, &irql);
#ifdef FIXED
    KeReleaseSpinLock(&Fatal->Lock, irql);
    KeSetEvent(&Fatal->Event, IO_NO_INCREMENT, FALSE);
    KeWaitForSingleObject(&Fatal->Event, Executive, KernelMode, FALSE, NULL);
#else
    KeWaitForSingleObject(&Fatal->Event, Executive, KernelMode, FALSE, NULL);
    KeReleaseSpinLock(&Fatal->Lock, irql);
#endif
    return 0;
}

#elif defined(FREE_A_TIMER)

ULONG FatalAct(PFATAL Fatal)
{
    LARGE_INTEGER due;
    PKTIMER timer = ExAllocatePoolWithTag(NonPagedPool, sizeof(KTIMER), FATAL_TAG);
    UNREFERENCED_PARAMETER(Fatal);
    if (timer != NULL) {
        due.QuadPart = -10 * 10000;
        KeInitializeTimer(timer);
        KeSetTimer(timer, due, NULL);
#ifdef FIXED
        KeCancelTimer(timer);
#endif
        ExFreePoolWithTag(timer, FATAL_TAG);
    }
    return 0;
}

#endif

VOID FatalThread(PVOID Context)
{
    FatalAct(Context);
    KeSetEvent(&((PFATAL)Context)->Event, IO_NO_INCREMENT, FALSE);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

NTSTATUS FatalDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PFATAL fatal = Device->DeviceExtension;

    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
#ifdef NO_POINTER
    HANDLE thread;
    NTSTATUS status = PsCreateSystemThread(&thread, THREAD_ALL_ACCESS, NULL, NULL, NULL, FatalThread, fatal);
    if (NT_SUCCESS(status)) {
        KeWaitForSingleObject(&fatal->Event, Executive, KernelMode, FALSE, NULL);
        ZwClose(thread);
    }
    return SampleComplete(Irp, status, 0);
#else
    return SampleOutput(Irp, STATUS_SUCCESS, FatalAct(fatal));
#endif
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"Fatal", sizeof(FATAL), &device);
    if (NT_SUCCESS(status)) {
        PFATAL fatal = device->DeviceExtension;
        KeInitializeSpinLock(&fatal->Lock);
        KeInitializeEvent(&fatal->Event, SynchronizationEvent, FALSE);
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = FatalDeviceControl;
    }
    return status;
}
