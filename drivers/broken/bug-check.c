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
//   FREE_A_TIMER     pool with a queued timer in it is freed                       0xC7 (0, the timer, the pool, its end),
//                                                                                  with the verifier 0xC4 (0x15, the
//                                                                                  timer, 0, the pool)
//   FREE_A_DPC       the same with a queued DPC                                    0xC7 (1, the DPC, the pool, its end)
//   DPC_NOWHERE      a DPC for a processor that there is not                       0xC7 (3, the DPC, 63, processors)
//   DPC_REGION       a DPC routine enters a critical region and never leaves it    0xC7 (4, FatalDpc, 0, -1)
//   TIMER_REGION     the DPC routine of a timer does                               0xC7 (5, FatalDpc, 0, -1)
//   REGION           a dispatch routine does                                       0x01 (the service, 0, 0xFFFF, 0)
//   WORKER_REGION    a worker routine does                                         0x01 (FatalWork, 0, 0xFFFF, 1)
//   RETURN_RAISED    a dispatch routine returns at DISPATCH_LEVEL                  0x4A (the service, 2, 0, 0)
//   ISR_RAISED       a service routine returns at HIGH_LEVEL                       0xC8 (0xF0A03, FatalInterrupt, the
//                                                                                  KINTERRUPT, 0)
//   UNLOCK_TWICE     pages of the process are locked once and unlocked twice       0x76 (1, the MDL, 0, 0)
//   STACK_BUFFER     a buffer on the stack is too short for what is copied to it   0xF7 (what was written over the cookie,
//                                                                                  the cookie, ~the cookie, 0)
//
//   trigger   ioctl 0x222000; ISR_RAISED: an interrupt
//   repaired  does what was meant
#include "sample.h"

#define FATAL_TAG TAG('F', 'a', 't', 'l')

typedef struct _FATAL {
    KSPIN_LOCK Lock;
    KEVENT Event;
    KDPC Dpc;
    KTIMER Timer;
    PDEVICE_OBJECT Device;
    PKINTERRUPT Interrupt;
} FATAL, *PFATAL;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH FatalDeviceControl;
KSTART_ROUTINE FatalThread;
DRIVER_UNLOAD FatalUnload;
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

#elif defined(FREE_A_DPC)

KDEFERRED_ROUTINE FatalDpc;

VOID FatalDpc(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
}

ULONG FatalAct(PFATAL Fatal)
{
    KIRQL irql;
    PKDPC dpc = ExAllocatePoolWithTag(NonPagedPool, sizeof(KDPC), FATAL_TAG);
    if (dpc != NULL) {
        KeInitializeDpc(dpc, FatalDpc, NULL);
        KeAcquireSpinLock(&Fatal->Lock, &irql); // so that the DPC has to wait
        KeInsertQueueDpc(dpc, NULL, NULL);
#ifdef FIXED
        KeRemoveQueueDpc(dpc);
#endif
        ExFreePoolWithTag(dpc, FATAL_TAG);
        KeReleaseSpinLock(&Fatal->Lock, irql);
    }
    return 0;
}

#elif defined(DPC_REGION) || defined(TIMER_REGION) || defined(DPC_NOWHERE)

KDEFERRED_ROUTINE FatalDpc;

VOID FatalDpc(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
#if !defined(FIXED) && !defined(DPC_NOWHERE)
    KeEnterCriticalRegion();
#endif
    KeSetEvent(&((PFATAL)Context)->Event, IO_NO_INCREMENT, FALSE);
}

ULONG FatalAct(PFATAL Fatal)
{
    KeInitializeDpc(&Fatal->Dpc, FatalDpc, Fatal);
#ifdef TIMER_REGION
    LARGE_INTEGER due;
    due.QuadPart = -10 * 10000;
    KeInitializeTimer(&Fatal->Timer);
    KeSetTimer(&Fatal->Timer, due, &Fatal->Dpc);
#else
#if defined(DPC_NOWHERE) && !defined(FIXED)
    KeSetTargetProcessorDpc(&Fatal->Dpc, 63); // taken from a machine with 64
#endif
    KeInsertQueueDpc(&Fatal->Dpc, NULL, NULL);
#endif
    KeWaitForSingleObject(&Fatal->Event, Executive, KernelMode, FALSE, NULL);
    return 0;
}

#elif defined(REGION)

ULONG FatalAct(PFATAL Fatal)
{
    UNREFERENCED_PARAMETER(Fatal);
    KeEnterCriticalRegion();
#ifdef FIXED
    KeLeaveCriticalRegion();
#endif
    return 0;
}

#elif defined(WORKER_REGION)

IO_WORKITEM_ROUTINE FatalWork;

VOID FatalWork(PDEVICE_OBJECT Device, PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    KeEnterCriticalRegion();
    KeSetEvent(&((PFATAL)Device->DeviceExtension)->Event, IO_NO_INCREMENT, FALSE);
#ifdef FIXED
    KeLeaveCriticalRegion();
#endif
}

ULONG FatalAct(PFATAL Fatal)
{
    PIO_WORKITEM item = IoAllocateWorkItem(Fatal->Device);
    if (item != NULL) {
        IoQueueWorkItem(item, FatalWork, DelayedWorkQueue, NULL);
        KeWaitForSingleObject(&Fatal->Event, Executive, KernelMode, FALSE, NULL);
        IoFreeWorkItem(item);
    }
    return 0;
}

#elif defined(RETURN_RAISED)

ULONG FatalAct(PFATAL Fatal)
{
    KIRQL irql;
    KeAcquireSpinLock(&Fatal->Lock, &irql);
#ifdef FIXED
    KeReleaseSpinLock(&Fatal->Lock, irql);
#else
    KeReleaseSpinLock(&Fatal->Lock, DISPATCH_LEVEL); // another level was meant
#endif
    return 0;
}

#elif defined(ISR_RAISED)

KSERVICE_ROUTINE FatalInterrupt;

BOOLEAN FatalInterrupt(PKINTERRUPT Interrupt, PVOID Context)
{
    KIRQL irql;
    UNREFERENCED_PARAMETER(Interrupt);
    UNREFERENCED_PARAMETER(Context);
    KeRaiseIrql(HIGH_LEVEL, &irql);
#ifdef FIXED
    KeLowerIrql(irql);
#endif
    return TRUE;
}

ULONG FatalAct(PFATAL Fatal)
{
    UNREFERENCED_PARAMETER(Fatal);
    return 0;
}

#elif defined(UNLOCK_TWICE)

// Of ntifs.h.
NTSYSAPI NTSTATUS NTAPI ZwAllocateVirtualMemory(HANDLE Process, PVOID *Address, ULONG_PTR ZeroBits, PSIZE_T Bytes,
                                                ULONG Type, ULONG Protection);
NTSYSAPI NTSTATUS NTAPI ZwFreeVirtualMemory(HANDLE Process, PVOID *Address, PSIZE_T Bytes, ULONG Type);

ULONG FatalAct(PFATAL Fatal)
{
    PVOID buffer = NULL;
    SIZE_T bytes = PAGE_SIZE;
    NTSTATUS status = ZwAllocateVirtualMemory(ZwCurrentProcess(), &buffer, 0, &bytes, MEM_COMMIT, PAGE_READWRITE);
    UNREFERENCED_PARAMETER(Fatal);
    if (NT_SUCCESS(status)) {
        PMDL mdl = IoAllocateMdl(buffer, PAGE_SIZE, FALSE, FALSE, NULL);
        if (mdl != NULL) {
            MmProbeAndLockPages(mdl, UserMode, IoWriteAccess);
            MmUnlockPages(mdl);
#ifndef FIXED
            MmUnlockPages(mdl); // once where the work ends, and once where all is cleaned up
#endif
            IoFreeMdl(mdl);
        }
        bytes = 0;
        ZwFreeVirtualMemory(ZwCurrentProcess(), &buffer, &bytes, MEM_RELEASE);
    }
    return 0;
}

#elif defined(STACK_BUFFER)

volatile ULONG FatalLength = 24;

DECLSPEC_NOINLINE ULONG FatalCopy(PCSTR From, ULONG Length)
{
    volatile CHAR name[16];
#ifdef FIXED
    Length = Length < sizeof(name) ? Length : sizeof(name);
#endif
    for (ULONG index = 0; index < Length; ++index) {
        name[index] = From[index];
    }
    return name[0];
}

ULONG FatalAct(PFATAL Fatal)
{
    UNREFERENCED_PARAMETER(Fatal);
    return FatalCopy("a name of many letters, and more than that", FatalLength);
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

#ifdef ISR_RAISED
VOID FatalUnload(PDRIVER_OBJECT Driver)
{
    IoDisconnectInterrupt(((PFATAL)Driver->DeviceObject->DeviceExtension)->Interrupt);
    SampleDeleteDevice(Driver);
}
#endif

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
        fatal->Device = device;
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = FatalDeviceControl;
#ifdef ISR_RAISED
        Driver->DriverUnload = FatalUnload;
        status = SampleConnectInterrupt(7, FatalInterrupt, fatal, NULL, &fatal->Interrupt);
#endif
    }
    return status;
}
