// One of each kind of object that the system touches at DISPATCH_LEVEL or holds locks on, all in PAGEDATA (R22).
//
//   expected  K11 for each when it is initialised, or first used; K22 for the work item. Out: 0xD3 (K11SpinLock, 2, 1, in the
//             kernel); verifier: 0xC4 (0xE1, the first of them)
//   trigger   ioctl 0x222000, which initialises them
//   repaired  all in .data
#include "sample.h"

#ifdef FIXED
#define OBJECTS ".data"
#else
#define OBJECTS "PAGEDATA"
#endif
#pragma data_seg(OBJECTS)
KDPC K11Dpc = {0};
KTIMER K11Timer = {0};
KEVENT K11Event = {0};
KMUTEX K11Mutex = {0};
KSEMAPHORE K11Semaphore = {0};
KSPIN_LOCK K11SpinLock = 0;
FAST_MUTEX K11FastMutex = {0};
ERESOURCE K11Resource = {0};
WORK_QUEUE_ITEM K11Item = {0};
#pragma data_seg()

static KEVENT K11Done;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH K11DeviceControl;
KDEFERRED_ROUTINE K11Nothing;
VOID NTAPI K11Work(PVOID Context);

#pragma alloc_text(INIT, DriverEntry)

VOID K11Nothing(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
}

VOID NTAPI K11Work(PVOID Context)
{
    KeSetEvent(Context, IO_NO_INCREMENT, FALSE);
}

static VOID K11Initialise(VOID)
{
    KIRQL irql;
    KeInitializeDpc(&K11Dpc, K11Nothing, NULL);
    KeInitializeTimer(&K11Timer);
    KeInitializeEvent(&K11Event, NotificationEvent, TRUE);
    KeInitializeMutex(&K11Mutex, 0);
    KeInitializeSemaphore(&K11Semaphore, 1, 1);
    KeInitializeSpinLock(&K11SpinLock);
    KeAcquireSpinLock(&K11SpinLock, &irql);
    KeReleaseSpinLock(&K11SpinLock, irql);
    ExInitializeFastMutex(&K11FastMutex);
    ExAcquireFastMutex(&K11FastMutex);
    ExReleaseFastMutex(&K11FastMutex);
    ExInitializeResourceLite(&K11Resource);
    ExDeleteResourceLite(&K11Resource);
    ExInitializeWorkItem(&K11Item, K11Work, &K11Done);
    ExQueueWorkItem(&K11Item, DelayedWorkQueue);
    KeWaitForSingleObject(&K11Done, Executive, KernelMode, FALSE, NULL);
}

NTSTATUS K11DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    K11Initialise();
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"K11", 0, &device);
    if (NT_SUCCESS(status)) {
        KeInitializeEvent(&K11Done, SynchronizationEvent, FALSE);
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = K11DeviceControl;
    }
    return status;
}
