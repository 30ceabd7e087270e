// A driver that pages itself as a whole counts its opens correctly, but nothing makes the count and what follows from it
// one step. While a close on one processor is about to page the driver, an open on another connects its interrupt (R28).
//
//   expected  K19 in every schedule in which the two overlap; in some 0xD1 (X08Interrupt, DIRQL, 8, X08Interrupt)
//   trigger   open; then at the same time close it on processor 0 and open again on processor 1; interrupt line 7
//   repaired  a fast mutex around both
#include "sample.h"

typedef struct _X08 {
    FAST_MUTEX Mutex;
    volatile LONG Opens;
    PKINTERRUPT Interrupt;
} X08, *PX08;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X08Create;
DRIVER_DISPATCH X08Close;
KSERVICE_ROUTINE X08Interrupt;

#pragma alloc_text(INIT, DriverEntry)

#ifdef FIXED
#define X08_ENTER(x08) SampleEnter(&(x08)->Mutex)
#define X08_LEAVE(x08) SampleLeave(&(x08)->Mutex)
#else
#define X08_ENTER(x08)
#define X08_LEAVE(x08)
#endif

BOOLEAN X08Interrupt(PKINTERRUPT Interrupt, PVOID Context)
{
    UNREFERENCED_PARAMETER(Interrupt);
    UNREFERENCED_PARAMETER(Context);
    return TRUE;
}

NTSTATUS X08Create(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX08 x08 = Device->DeviceExtension;
    NTSTATUS status = STATUS_SUCCESS;
    X08_ENTER(x08);
    if (InterlockedIncrement(&x08->Opens) == 1) {
        MmResetDriverPaging((PVOID)DriverEntry);
        status = SampleConnectInterrupt(7, X08Interrupt, x08, NULL, &x08->Interrupt);
    }
    X08_LEAVE(x08);
    return SampleComplete(Irp, status, 0);
}

NTSTATUS X08Close(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX08 x08 = Device->DeviceExtension;
    X08_ENTER(x08);
    if (InterlockedDecrement(&x08->Opens) == 0) {
        IoDisconnectInterrupt(x08->Interrupt);
        MmPageEntireDriver((PVOID)DriverEntry);
    }
    X08_LEAVE(x08);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    MmPageEntireDriver((PVOID)DriverEntry);
    status = SAMPLE_CREATE_DEVICE(Driver, L"X08", sizeof(X08), &device);
    if (NT_SUCCESS(status)) {
        ExInitializeFastMutex(&((PX08)device->DeviceExtension)->Mutex);
        Driver->MajorFunction[IRP_MJ_CREATE] = X08Create;
        Driver->MajorFunction[IRP_MJ_CLOSE] = X08Close;
    }
    return status;
}
