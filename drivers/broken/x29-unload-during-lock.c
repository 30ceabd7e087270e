// Unload returns while a thread of the driver is inside the first lock of a section.
//
//   expected  K20: the unload waits for the call; then K05, because the lock was completed. A schedule that lets the thread
//             go on in the driver's code ends in 0xCE
//   trigger   ioctl 0x222000 (starts the thread), close, unload, while the section is being read in
//   repaired  Unload waits for the thread, which gives its lock back
#include "sample.h"

PVOID X29ThreadObject;

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD X29Unload;
DRIVER_DISPATCH X29DeviceControl;
KSTART_ROUTINE X29Thread;
ULONG X29Work(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGEX29, X29Work)

ULONG X29Work(ULONG Value)
{
    PAGED_CODE_LOCKED();
    return Value + 1;
}

SECTION_FILLER(X29Filler, "PAGEX29", 8192)

VOID X29Thread(PVOID Context)
{
    PVOID code = MmLockPagableCodeSection((PVOID)X29Work);
    UNREFERENCED_PARAMETER(Context);
    MmUnlockPagableImageSection(code);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

NTSTATUS X29DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    HANDLE handle;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(Device);

    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    if (X29ThreadObject != NULL) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_STATE, 0);
    }
    status = PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, X29Thread, NULL);
    if (NT_SUCCESS(status)) {
        ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, NULL, KernelMode, &X29ThreadObject, NULL);
        ZwClose(handle);
    }
    return SampleComplete(Irp, status, 0);
}

VOID X29Unload(PDRIVER_OBJECT Driver)
{
    if (X29ThreadObject != NULL) {
#ifdef FIXED
        KeWaitForSingleObject(X29ThreadObject, Executive, KernelMode, FALSE, NULL);
#endif
        ObDereferenceObject(X29ThreadObject);
    }
    SampleDeleteDevice(Driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X29", 0, &device);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = X29DeviceControl;
        Driver->DriverUnload = X29Unload;
    }
    return status;
}
