// The last handle is closed while a read is queued. The section is unlocked at once, and the read is completed later, by a
// timer's DPC, with code of that section (R16).
//
//   expected  K08; trimmed: 0xD1 (X20Finish, 2, 8, X20Finish)
//   trigger   open, read (waits), close the handle; 10 ms
//   repaired  cleanup lets no further read be queued, cancels the timer and completes the read; only then it unlocks
#include "sample.h"

typedef struct _X20 {
    PVOID Code;
    KSPIN_LOCK Lock;
    PIRP Read; // the queued read, if any; under the lock, so that one side completes it
    KTIMER Timer;
    KDPC Dpc;
#ifdef FIXED
    LONG Opens; // under the lock; without any, no read is queued
#endif
} X20, *PX20;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X20Create;
DRIVER_DISPATCH X20Cleanup;
DRIVER_DISPATCH X20Read;
KDEFERRED_ROUTINE X20Dpc;
PIRP X20Exchange(PX20 Device, PIRP Irp);
VOID X20Finish(PIRP Irp, NTSTATUS Status);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGEX20, X20Finish)

// Queues a read, or nothing, and returns what was queued.
PIRP X20Exchange(PX20 Device, PIRP Irp)
{
    PIRP before;
    KIRQL irql;
    KeAcquireSpinLock(&Device->Lock, &irql);
    before = Device->Read;
    Device->Read = Irp;
    KeReleaseSpinLock(&Device->Lock, irql);
    return before;
}

#ifdef FIXED
// Counts files in or out.
static VOID X20Count(PX20 Device, LONG More)
{
    KIRQL irql;
    KeAcquireSpinLock(&Device->Lock, &irql);
    Device->Opens += More;
    KeReleaseSpinLock(&Device->Lock, irql);
}

// Queues a read, unless the last file was cleaned up while it was on its way.
static BOOLEAN X20Queue(PX20 Device, PIRP Irp, LARGE_INTEGER Due)
{
    BOOLEAN open;
    KIRQL irql;
    KeAcquireSpinLock(&Device->Lock, &irql);
    open = Device->Opens > 0 && Device->Read == NULL;
    if (open) {
        IoMarkIrpPending(Irp);
        Device->Read = Irp;
        KeSetTimer(&Device->Timer, Due, &Device->Dpc);
    }
    KeReleaseSpinLock(&Device->Lock, irql);
    return open;
}
#endif

VOID X20Finish(PIRP Irp, NTSTATUS Status)
{
    PAGED_CODE_LOCKED();
    if (Irp != NULL) {
        SampleComplete(Irp, Status, 0);
    }
}

SECTION_FILLER(X20Filler, "PAGEX20", 8192)

VOID X20Dpc(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    X20Finish(X20Exchange(Context, NULL), STATUS_SUCCESS);
}

NTSTATUS X20Read(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX20 x20 = Device->DeviceExtension;
    LARGE_INTEGER due;
    due.QuadPart = -10 * 10000;
#ifdef FIXED
    if (!X20Queue(x20, Irp, due)) {
        return SampleComplete(Irp, STATUS_DEVICE_NOT_READY, 0);
    }
#else
    IoMarkIrpPending(Irp);
    X20Exchange(x20, Irp);
    KeSetTimer(&x20->Timer, due, &x20->Dpc);
#endif
    return STATUS_PENDING;
}

NTSTATUS X20Create(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX20 x20 = Device->DeviceExtension;
    x20->Code = MmLockPagableCodeSection((PVOID)X20Finish);
#ifdef FIXED
    X20Count(x20, 1);
#endif
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS X20Cleanup(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX20 x20 = Device->DeviceExtension;
#ifdef FIXED
    X20Count(x20, -1);
    KeCancelTimer(&x20->Timer);
    KeFlushQueuedDpcs();
    X20Finish(X20Exchange(x20, NULL), STATUS_CANCELLED);
#endif
    MmUnlockPagableImageSection(x20->Code);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X20", sizeof(X20), &device);
    if (NT_SUCCESS(status)) {
        PX20 x20 = device->DeviceExtension;
        KeInitializeSpinLock(&x20->Lock);
        KeInitializeTimer(&x20->Timer);
        KeInitializeDpc(&x20->Dpc, X20Dpc, x20);
        Driver->MajorFunction[IRP_MJ_CREATE] = X20Create;
        Driver->MajorFunction[IRP_MJ_CLEANUP] = X20Cleanup;
        Driver->MajorFunction[IRP_MJ_READ] = X20Read;
    }
    return status;
}
