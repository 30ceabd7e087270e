// KeSetEvent and KeReleaseMutex with Wait set return at DISPATCH_LEVEL, because a wait is to follow at once. The caller has
// to be resident (R5). RELEASE_MUTEX uses the mutex, RELEASE_SEMAPHORE KeReleaseSemaphore.
//
//   expected  trimmed: 0xD1 (the return address of the call, 2, 8, the same); in any case K14
//   trigger   ioctl 0x222000
//   repaired  Wait is FALSE
#include "sample.h"

#ifdef FIXED
#define WAIT FALSE
#else
#define WAIT TRUE
#endif

typedef struct _X09 {
    KEVENT Request;
    KEVENT Answer;
    KMUTEX Mutex;
    KSEMAPHORE Semaphore;
} X09, *PX09;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X09DeviceControl;

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, X09DeviceControl)

SECTION_FILLER(X09Filler, "PAGE", 4096)

NTSTATUS X09DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX09 x09 = Device->DeviceExtension;
    PAGED_CODE();

    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
#ifdef RELEASE_MUTEX
    KeWaitForSingleObject(&x09->Mutex, Executive, KernelMode, FALSE, NULL);
    KeReleaseMutex(&x09->Mutex, WAIT);
#elif defined(RELEASE_SEMAPHORE)
    KeReleaseSemaphore(&x09->Semaphore, IO_NO_INCREMENT, 1, WAIT);
#else
    KeSetEvent(&x09->Request, IO_NO_INCREMENT, WAIT);
#endif
    KeWaitForSingleObject(&x09->Answer, Executive, KernelMode, FALSE, NULL);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X09", sizeof(X09), &device);
    if (NT_SUCCESS(status)) {
        PX09 x09 = device->DeviceExtension;
        KeInitializeEvent(&x09->Request, SynchronizationEvent, FALSE);
        KeInitializeEvent(&x09->Answer, NotificationEvent, TRUE);
        KeInitializeMutex(&x09->Mutex, 0);
        KeInitializeSemaphore(&x09->Semaphore, 0, MAXLONG);
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = X09DeviceControl;
    }
    return status;
}
