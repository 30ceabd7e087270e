// The driver around the mistakes of bug-check-*.c: ioctl 0x222000 makes the mistake, on a thread of its own where that matters.
#include "bug-check.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH FatalDeviceControl;
KSTART_ROUTINE FatalThread;
DRIVER_UNLOAD FatalUnload;

#pragma alloc_text(INIT, DriverEntry)

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
