// A driver whose code is locked once, however many programs have it open (R207). It counts opens itself: the first one
// locks, the last close unlocks, and the count of the section is 0 or 1.
//
//   PAGEPAR  the transfer, called by a timer's DPC at DISPATCH_LEVEL
//   PAGE     open, close and requests, PASSIVE_LEVEL only
//   .text    the DPC, the cancel routine: the driver does not control when they run (R8)
//
// The "printer" is a buffer: each tick of the timer moves 16 bytes of the current write there.
//
//   write               pended, completed by the DPC; can be cancelled
//   read                the last bytes that were printed
//   ioctl 0x222000      FORM_FEED: lock, run the first and the last page of PAGEPAR at DISPATCH_LEVEL, unlock. Callers on
//                       several processors enter together, and none may return from its lock early (R97, D21).
//                       Output: how many bytes were printed so far
#include "sample.h"

#define IOCTL_PARALLEL_FORM_FEED SAMPLE_IOCTL(0)

#define PAPER_BYTES 256
#define BYTES_PER_TICK 16
#define TICK_100NS (-10 * 1000) // a millisecond

typedef struct _PARALLEL {
    FAST_MUTEX Mutex; // serialises open and close
    ULONG Opens;
    PVOID Code; // handle of PAGEPAR

    KSPIN_LOCK Lock; // guards the rest
    LIST_ENTRY Writes;
    ULONG Position; // in the write at the head
    UCHAR Paper[PAPER_BYTES];
    ULONG Printed;
    KTIMER Timer;
    KDPC Dpc;
} PARALLEL, *PPARALLEL;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH ParallelCreate;
DRIVER_DISPATCH ParallelClose;
DRIVER_DISPATCH ParallelCleanup;
DRIVER_DISPATCH ParallelRead;
DRIVER_DISPATCH ParallelWrite;
DRIVER_DISPATCH ParallelDeviceControl;
DRIVER_CANCEL ParallelCancel;
KDEFERRED_ROUTINE ParallelTick;
static PIRP ParallelTransfer(PPARALLEL Port);
static VOID ParallelFormFeed(PPARALLEL Port);
static VOID ParallelPrint(PPARALLEL Port, UCHAR Byte);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, ParallelCreate)
#pragma alloc_text(PAGE, ParallelClose)
#pragma alloc_text(PAGE, ParallelRead)
#pragma alloc_text(PAGE, ParallelDeviceControl)
#pragma alloc_text(PAGEPAR, ParallelTransfer)
#pragma alloc_text(PAGEPAR, ParallelFormFeed)
#pragma alloc_text(PAGEPAR, ParallelPrint)

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    PPARALLEL port;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"Parallel0", sizeof(PARALLEL), &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    port = device->DeviceExtension;
    ExInitializeFastMutex(&port->Mutex);
    KeInitializeSpinLock(&port->Lock);
    InitializeListHead(&port->Writes);
    KeInitializeTimer(&port->Timer);
    KeInitializeDpc(&port->Dpc, ParallelTick, port);
    Driver->MajorFunction[IRP_MJ_CREATE] = ParallelCreate;
    Driver->MajorFunction[IRP_MJ_CLOSE] = ParallelClose;
    Driver->MajorFunction[IRP_MJ_CLEANUP] = ParallelCleanup;
    Driver->MajorFunction[IRP_MJ_READ] = ParallelRead;
    Driver->MajorFunction[IRP_MJ_WRITE] = ParallelWrite;
    Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = ParallelDeviceControl;
    return STATUS_SUCCESS;
}

// PAGEPAR: resident while the port is open ----------------------------------------------------------------------------

// Prints some bytes of the write at the head, with the lock held. Returns the write once it is through: out of its
// queue, no longer cancellable, its status filled in.
static PIRP ParallelTransfer(PPARALLEL Port)
{
    PIRP irp = CONTAINING_RECORD(Port->Writes.Flink, IRP, Tail.Overlay.ListEntry);
    ULONG length = IoGetCurrentIrpStackLocation(irp)->Parameters.Write.Length;
    PUCHAR buffer = irp->AssociatedIrp.SystemBuffer;
    PAGED_CODE_LOCKED();

    for (ULONG i = 0; i < BYTES_PER_TICK && Port->Position < length; i++) {
        ParallelPrint(Port, buffer[Port->Position++]);
    }
    if (Port->Position < length || IoSetCancelRoutine(irp, NULL) == NULL) {
        return NULL;
    }
    RemoveEntryList(&irp->Tail.Overlay.ListEntry);
    Port->Position = 0;
    irp->IoStatus.Status = STATUS_SUCCESS;
    irp->IoStatus.Information = length;
    return irp;
}

static VOID ParallelFormFeed(PPARALLEL Port)
{
    PAGED_CODE_LOCKED();
    ParallelPrint(Port, '\f');
}

SECTION_FILLER(ParallelFiller, "PAGEPAR", 8192)

static VOID ParallelPrint(PPARALLEL Port, UCHAR Byte)
{
    PAGED_CODE_LOCKED();
    Port->Paper[Port->Printed++ % PAPER_BYTES] = Byte;
}

// .text ---------------------------------------------------------------------------------------------------------------

VOID ParallelTick(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    PPARALLEL port = Context;
    LARGE_INTEGER due;
    PIRP done = NULL;
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);

    KeAcquireSpinLockAtDpcLevel(&port->Lock);
    if (!IsListEmpty(&port->Writes)) {
        done = ParallelTransfer(port);
    }
    if (!IsListEmpty(&port->Writes)) {
        due.QuadPart = TICK_100NS;
        KeSetTimer(&port->Timer, due, &port->Dpc);
    }
    KeReleaseSpinLockFromDpcLevel(&port->Lock);
    if (done != NULL) {
        IoCompleteRequest(done, IO_PARALLEL_INCREMENT);
    }
}

// Takes a write out of the queue; the lock is held.
static VOID ParallelUnlink(PPARALLEL Port, PIRP Irp)
{
    PLIST_ENTRY entry = &Irp->Tail.Overlay.ListEntry;
    if (Port->Writes.Flink == entry) {
        Port->Position = 0;
    }
    RemoveEntryList(entry);
    InitializeListHead(entry);
}

VOID ParallelCancel(PDEVICE_OBJECT Device, PIRP Irp)
{
    PPARALLEL port = Device->DeviceExtension;
    KIRQL irql;

    IoReleaseCancelSpinLock(Irp->CancelIrql);
    KeAcquireSpinLock(&port->Lock, &irql);
    ParallelUnlink(port, Irp);
    KeReleaseSpinLock(&port->Lock, irql);
    SampleComplete(Irp, STATUS_CANCELLED, 0);
}

NTSTATUS ParallelWrite(PDEVICE_OBJECT Device, PIRP Irp)
{
    PPARALLEL port = Device->DeviceExtension;
    LARGE_INTEGER due;
    BOOLEAN cancelled;
    KIRQL irql;

    due.QuadPart = TICK_100NS;
    IoMarkIrpPending(Irp);
    KeAcquireSpinLock(&port->Lock, &irql);
    if (IsListEmpty(&port->Writes)) {
        KeSetTimer(&port->Timer, due, &port->Dpc);
    }
    InsertTailList(&port->Writes, &Irp->Tail.Overlay.ListEntry);
    IoSetCancelRoutine(Irp, ParallelCancel);
    cancelled = Irp->Cancel && IoSetCancelRoutine(Irp, NULL) != NULL;
    if (cancelled) {
        ParallelUnlink(port, Irp);
    }
    KeReleaseSpinLock(&port->Lock, irql);
    if (cancelled) {
        SampleComplete(Irp, STATUS_CANCELLED, 0);
    }
    return STATUS_PENDING;
}

// Takes one write of this handle out of the queue, if there is one that is not being cancelled already.
static PIRP ParallelTakeWriteOf(PPARALLEL Port, PFILE_OBJECT File)
{
    PIRP found = NULL;
    KIRQL irql;

    KeAcquireSpinLock(&Port->Lock, &irql);
    for (PLIST_ENTRY entry = Port->Writes.Flink; found == NULL && entry != &Port->Writes; entry = entry->Flink) {
        PIRP irp = CONTAINING_RECORD(entry, IRP, Tail.Overlay.ListEntry);
        if (IoGetCurrentIrpStackLocation(irp)->FileObject == File && IoSetCancelRoutine(irp, NULL) != NULL) {
            found = irp;
        }
    }
    if (found != NULL) {
        ParallelUnlink(Port, found);
    }
    KeReleaseSpinLock(&Port->Lock, irql);
    return found;
}

NTSTATUS ParallelCleanup(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIRP irp;
    while ((irp = ParallelTakeWriteOf(Device->DeviceExtension, IoGetCurrentIrpStackLocation(Irp)->FileObject)) != NULL) {
        SampleComplete(irp, STATUS_CANCELLED, 0);
    }
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

// It raises, so it is resident; its caller has locked what it calls.
static ULONG ParallelFeedPaper(PPARALLEL Port)
{
    ULONG printed;
    KIRQL irql;
    KeAcquireSpinLock(&Port->Lock, &irql);
    ParallelFormFeed(Port);
    printed = Port->Printed;
    KeReleaseSpinLock(&Port->Lock, irql);
    return printed;
}

// PAGE ----------------------------------------------------------------------------------------------------------------

NTSTATUS ParallelCreate(PDEVICE_OBJECT Device, PIRP Irp)
{
    PPARALLEL port = Device->DeviceExtension;
    PAGED_CODE();

    SampleEnter(&port->Mutex);
    if (port->Opens++ == 0) {
        if (port->Code == NULL) {
            port->Code = MmLockPagableCodeSection((PVOID)ParallelTransfer);
        } else {
            MmLockPagableSectionByHandle(port->Code);
        }
    }
    SampleLeave(&port->Mutex);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

// No write is queued any more. Once the timer is stopped and its DPC has run, nothing needs the section (R16).
NTSTATUS ParallelClose(PDEVICE_OBJECT Device, PIRP Irp)
{
    PPARALLEL port = Device->DeviceExtension;
    PAGED_CODE();

    SampleEnter(&port->Mutex);
    if (--port->Opens == 0) {
        KeCancelTimer(&port->Timer);
        KeFlushQueuedDpcs();
        MmUnlockPagableImageSection(port->Code);
    }
    SampleLeave(&port->Mutex);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

// The tail of the paper.
NTSTATUS ParallelRead(PDEVICE_OBJECT Device, PIRP Irp)
{
    PPARALLEL port = Device->DeviceExtension;
    PUCHAR buffer = Irp->AssociatedIrp.SystemBuffer;
    ULONG length = min(IoGetCurrentIrpStackLocation(Irp)->Parameters.Read.Length, min(port->Printed, PAPER_BYTES));
    PAGED_CODE();

    for (ULONG i = 0; i < length; i++) {
        buffer[i] = port->Paper[(port->Printed - length + i) % PAPER_BYTES];
    }
    return SampleComplete(Irp, STATUS_SUCCESS, length);
}

NTSTATUS ParallelDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PVOID code;
    ULONG printed;
    PAGED_CODE();

    if (SampleControlCode(Irp) != IOCTL_PARALLEL_FORM_FEED) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    code = MmLockPagableCodeSection((PVOID)ParallelPrint);
    printed = ParallelFeedPaper(Device->DeviceExtension);
    MmUnlockPagableImageSection(code);
    return SampleOutput(Irp, STATUS_SUCCESS, printed);
}
