// A service routine in a pageable section. Locking the section first makes it work, and it is forbidden all the same: vectors
// are shared and interrupts may be spurious (R8). UNLOCK_EARLY unlocks while the interrupt is still connected.
//
//   expected  K09, no bug check; with UNLOCK_EARLY also, trimmed: 0xD1 (X19Interrupt, DIRQL, 8, X19Interrupt)
//   trigger   open, interrupt line 7, ioctl 0x222000, interrupt line 7, close
//   repaired  the service routine is in .text
#include "sample.h"

typedef struct _X19 {
    FAST_MUTEX Mutex;
    ULONG Opens;
    PKINTERRUPT Interrupt;
    PVOID Code;
    volatile LONG Count;
} X19, *PX19;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X19Create;
DRIVER_DISPATCH X19Close;
DRIVER_DISPATCH X19DeviceControl;
KSERVICE_ROUTINE X19Interrupt;
KSYNCHRONIZE_ROUTINE X19Restart;
ULONG X19Work(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGEISR, X19Work)
#ifndef FIXED
#pragma alloc_text(PAGEISR, X19Interrupt)
#endif

BOOLEAN X19Interrupt(PKINTERRUPT Interrupt, PVOID Context)
{
    UNREFERENCED_PARAMETER(Interrupt);
    ((PX19)Context)->Count++;
    return TRUE;
}

ULONG X19Work(ULONG Value)
{
    PAGED_CODE_LOCKED();
    return Value * 2;
}

SECTION_FILLER(X19Filler, "PAGEISR", 8192)

// While this runs the service routine does not.
BOOLEAN X19Restart(PVOID Context)
{
    ((PX19)Context)->Count = 0;
    return TRUE;
}

NTSTATUS X19Create(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX19 x19 = Device->DeviceExtension;
    NTSTATUS status = STATUS_SUCCESS;
    SampleEnter(&x19->Mutex);
    if (x19->Opens == 0) {
        x19->Code = MmLockPagableCodeSection((PVOID)X19Work);
        status = SampleConnectInterrupt(7, X19Interrupt, x19, NULL, &x19->Interrupt);
        if (!NT_SUCCESS(status)) {
            MmUnlockPagableImageSection(x19->Code);
        }
    }
    if (NT_SUCCESS(status)) {
        x19->Opens++;
    }
    SampleLeave(&x19->Mutex);
    return SampleComplete(Irp, status, 0);
}

NTSTATUS X19Close(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX19 x19 = Device->DeviceExtension;
    SampleEnter(&x19->Mutex);
    if (--x19->Opens == 0) {
        IoDisconnectInterrupt(x19->Interrupt);
        if (x19->Code != NULL) {
            MmUnlockPagableImageSection(x19->Code);
        }
    }
    SampleLeave(&x19->Mutex);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS X19DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX19 x19 = Device->DeviceExtension;
    ULONG value;

    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    value = X19Work(1);
#if defined(UNLOCK_EARLY) && !defined(FIXED)
    MmUnlockPagableImageSection(x19->Code);
    x19->Code = NULL;
#endif
    KeSynchronizeExecution(x19->Interrupt, X19Restart, x19);
    return SampleOutput(Irp, STATUS_SUCCESS, value);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X19", sizeof(X19), &device);
    if (NT_SUCCESS(status)) {
        ExInitializeFastMutex(&((PX19)device->DeviceExtension)->Mutex);
        Driver->MajorFunction[IRP_MJ_CREATE] = X19Create;
        Driver->MajorFunction[IRP_MJ_CLOSE] = X19Close;
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = X19DeviceControl;
    }
    return status;
}
