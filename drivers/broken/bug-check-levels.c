// Levels and regions that a routine does not leave as it found them. One define each:
//
//   WAIT_RAISED      a wait at DISPATCH_LEVEL                                      0xB8 (the thread, 0, its stack, 0)
//   DPC_REGION       a DPC routine enters a critical region and never leaves it    0xC7 (4, FatalDpc, 0, -1)
//   TIMER_REGION     the DPC routine of a timer does                               0xC7 (5, FatalDpc, 0, -1)
//   REGION           a dispatch routine does                                       0x01 (the service, 0, 0xFFFF, 0)
//   WORKER_REGION    a worker routine does                                         0x01 (FatalWork, 0, 0xFFFF, 1)
//   RETURN_RAISED    a dispatch routine returns at DISPATCH_LEVEL                  0x4A (the service, 2, 0, 0)
//   WORKER_RAISED    a worker routine returns at DISPATCH_LEVEL                    0xE1 (FatalWork, 2, .., ..)
//   ISR_RAISED       a service routine returns at HIGH_LEVEL                       0xC8 (0xF0A03, FatalInterrupt, the
//                                                                                  KINTERRUPT, 0)
//
//   trigger   ioctl 0x222000; ISR_RAISED: an interrupt
//   repaired  does what was meant
#include "bug-check.h"

#if defined(WAIT_RAISED)

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

#elif defined(DPC_REGION) || defined(TIMER_REGION)

KDEFERRED_ROUTINE FatalDpc;

VOID FatalDpc(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
#ifndef FIXED
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

#elif defined(WORKER_REGION) || defined(WORKER_RAISED)

IO_WORKITEM_ROUTINE FatalWork;

VOID FatalWork(PDEVICE_OBJECT Device, PVOID Context)
{
    PFATAL fatal = Device->DeviceExtension;
    UNREFERENCED_PARAMETER(Context);
#ifdef WORKER_RAISED
    KIRQL irql;
    KeAcquireSpinLock(&fatal->Lock, &irql);
    KeSetEvent(&fatal->Event, IO_NO_INCREMENT, FALSE);
#ifdef FIXED
    KeReleaseSpinLock(&fatal->Lock, irql);
#else
    KeReleaseSpinLock(&fatal->Lock, DISPATCH_LEVEL); // another level was meant
#endif
#else
    KeEnterCriticalRegion();
    KeSetEvent(&fatal->Event, IO_NO_INCREMENT, FALSE);
#ifdef FIXED
    KeLeaveCriticalRegion();
#endif
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

#endif
