// Objects that are queued wrongly, or go away while they are queued. One define each:
//
//   FREE_A_TIMER     pool with a queued timer in it is freed                       0xC7 (0, the timer, the pool, its end),
//                                                                                  with the verifier 0xC4 (0x15, the
//                                                                                  timer, 0, the pool)
//   FREE_A_DPC       the same with a queued DPC                                    0xC7 (1, the DPC, the pool, its end)
//   DPC_NOWHERE      a DPC for a processor that there is not                       0xC7 (3, the DPC, 63, processors)
//   FREE_A_WORK_ITEM pool with a queued work item is freed                         0xE4 (0, the item, the pool, its end)
//   QUEUE_TWICE      a work item is queued while it is queued                      0xE4 (1, the item, its queue, 0)
//   FREE_QUEUED      an I/O work item is freed while it is queued                  0xE4 (2, the item, FatalWork, 0)
//
//   trigger   ioctl 0x222000
//   repaired  does what was meant
#include "bug-check.h"

#if defined(FREE_A_TIMER)

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

#elif defined(DPC_NOWHERE)

KDEFERRED_ROUTINE FatalDpc;

VOID FatalDpc(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    KeSetEvent(&((PFATAL)Context)->Event, IO_NO_INCREMENT, FALSE);
}

ULONG FatalAct(PFATAL Fatal)
{
    KeInitializeDpc(&Fatal->Dpc, FatalDpc, Fatal);
#ifndef FIXED
    KeSetTargetProcessorDpc(&Fatal->Dpc, 63); // taken from a machine with 64
#endif
    KeInsertQueueDpc(&Fatal->Dpc, NULL, NULL);
    KeWaitForSingleObject(&Fatal->Event, Executive, KernelMode, FALSE, NULL);
    return 0;
}

#elif defined(FREE_A_WORK_ITEM) || defined(QUEUE_TWICE)

typedef struct _JOB {
    WORK_QUEUE_ITEM Item;
    PFATAL Fatal;
} JOB, *PJOB;

VOID FatalWork(PVOID Context)
{
    KeSetEvent(&((PJOB)Context)->Fatal->Event, IO_NO_INCREMENT, FALSE);
}

ULONG FatalAct(PFATAL Fatal)
{
    PJOB job = ExAllocatePoolWithTag(NonPagedPool, sizeof(JOB), FATAL_TAG);
    if (job != NULL) {
        job->Fatal = Fatal;
        ExInitializeWorkItem(&job->Item, FatalWork, job);
        ExQueueWorkItem(&job->Item, DelayedWorkQueue);
#if defined(FIXED) || defined(QUEUE_TWICE)
#ifndef FIXED
        ExQueueWorkItem(&job->Item, DelayedWorkQueue); // so that it surely runs
#endif
        KeWaitForSingleObject(&Fatal->Event, Executive, KernelMode, FALSE, NULL);
#endif
        ExFreePoolWithTag(job, FATAL_TAG);
    }
    return 0;
}

#elif defined(FREE_QUEUED)

IO_WORKITEM_ROUTINE FatalWork;

VOID FatalWork(PDEVICE_OBJECT Device, PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    KeSetEvent(&((PFATAL)Device->DeviceExtension)->Event, IO_NO_INCREMENT, FALSE);
}

ULONG FatalAct(PFATAL Fatal)
{
    PIO_WORKITEM item = IoAllocateWorkItem(Fatal->Device);
    if (item != NULL) {
        IoQueueWorkItem(item, FatalWork, DelayedWorkQueue, NULL);
#ifdef FIXED
        KeWaitForSingleObject(&Fatal->Event, Executive, KernelMode, FALSE, NULL);
#endif
        IoFreeWorkItem(item);
    }
    return 0;
}

#endif
