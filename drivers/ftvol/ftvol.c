// A fault-tolerant volume driver: code for three kinds of volume, of which a computer uses one or two (R207). The kinds
// lie in sections of their own, and only those in use are locked.
//
//   PAGEMIRR  mirrors: every byte on both disks
//   PAGESTRP  stripe sets: blocks on alternating disks
//   PAGEVOLS  volume sets: the second disk continues the first
//
// The driver may be in the paging path, so the read, write, device control and power dispatch routines are resident (R8,
// R19), transfers run at DISPATCH_LEVEL, and DO_POWER_PAGABLE is clear while a paging file is on the volume (R20).
//
// Repartitioning, and R16: no handle is released while the driver has outstanding requests in its queues. Which section a
// request uses does not matter, nor which volume it is for; so "no request uses the old code any more" is not enough, and a
// driver that goes on queueing new requests meanwhile breaks the rule. FtRepartition goes in this order:
//
//   1  lock the code of the new kind, while requests still flow. Its pages may come from a paging file on this very volume:
//      behind a closed gate, the read that brings them in would wait for the repartition that waits for the pages
//   2  close the gate: nothing is marked pending from here on. Between 2 and 5 the driver touches no pageable memory, and
//      it waits in kernel mode, so that its stack stays; the two things below are right only because of that
//   3  wait until what was pending is complete, switch, and unlock the code of the old kind
//   4  open the gate
//
// What becomes of a request that meets a closed gate depends on the IRQL it comes at:
//
//   PASSIVE_LEVEL, APC_LEVEL  it waits in its dispatch routine, which is not pending. In-paging reads come at APC_LEVEL: a
//                             thread may wait there, and does not wait for itself because of 2
//   DISPATCH_LEVEL            nobody may wait. It is served at once, under the spin lock that guards the switch, by the
//                             kind that is current: at every moment the code of the current kind is locked
//
// Registry: the DWORD values Volume0 and Volume1 of the driver's own key name the
// kind (0 mirror, 1 stripe set, 2 volume set). Without them both volumes are mirrors.
//
//   read, write          at a byte offset, up to 32 KiB; pended, done by a DPC
//   ioctl 0x222000       REPARTITION: input: the new kind. What is on the volume is lost
//   ioctl 0x222004       KIND: output: the kind
//   usage notification   of a paging file: accepted; the device can then be neither stopped, removed nor disabled
//
// FT_PAGEABLE_POWER puts the power dispatch routine into PAGE. Expected: K23 when the volume accepts a paging file.
#include "sample.h"

#define IOCTL_FT_REPARTITION SAMPLE_IOCTL(0)
#define IOCTL_FT_KIND SAMPLE_IOCTL(1)

#define VOLUME_BYTES 32768
#define BLOCK_BYTES 512

enum { FtMirror, FtStripeSet, FtVolumeSet, FtKinds };

typedef struct _FT_VOLUME FT_VOLUME, *PFT_VOLUME;
typedef VOID FT_TRANSFER(PFT_VOLUME Volume, ULONG Offset, PUCHAR Buffer, ULONG Bytes, BOOLEAN Write);

struct _FT_VOLUME {
    UNICODE_STRING Link;
    PDEVICE_OBJECT Physical;
    PDEVICE_OBJECT Below;
    PUCHAR Disks[2];
    FAST_MUTEX Repartition; // one at a time
    KEVENT Paging; // guards PagingFiles
    LONG PagingFiles;
    KDPC Dpc;

    ULONG Kind; // these two are guarded by FtGate.Lock
    LIST_ENTRY Requests;
};

// What all requests of the driver go through.
static struct {
    KSPIN_LOCK Lock; // guards the rest
    ULONG Closed; // by so many repartitions
    KEVENT Opened;
    ULONG Pending; // requests that are marked pending, of both volumes
    KEVENT Idle;
} FtGate;

// By kind: the code, and the handle of its section once that has been locked.
static struct {
    FT_TRANSFER *Transfer;
    volatile PVOID Section;
} FtCode[FtKinds];

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD FtUnload;
DRIVER_DISPATCH FtReadWrite;
DRIVER_DISPATCH FtPower;
DRIVER_DISPATCH FtPnp;
DRIVER_DISPATCH FtPassDown;
DRIVER_DISPATCH FtDeviceControl;
KDEFERRED_ROUTINE FtDpc;
static FT_TRANSFER FtMirrorTransfer;
static FT_TRANSFER FtStripeSetTransfer;
static FT_TRANSFER FtVolumeSetTransfer;
static NTSTATUS FtCreateVolume(PDRIVER_OBJECT Driver, PCWSTR DeviceName, PCWSTR LinkName, ULONG Kind);
static ULONG FtConfiguredKind(PUNICODE_STRING Key, PCWSTR Value);
static VOID FtLockKind(ULONG Kind);
static NTSTATUS FtRepartition(PFT_VOLUME Volume, ULONG Kind);
static NTSTATUS FtPagingFile(PDEVICE_OBJECT Device, PIRP Irp);
static VOID FtDeleteVolume(PDEVICE_OBJECT Device);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(INIT, FtCreateVolume)
#pragma alloc_text(INIT, FtConfiguredKind)
#pragma alloc_text(PAGE, FtUnload)
#pragma alloc_text(PAGE, FtDeleteVolume)
#pragma alloc_text(PAGE, FtLockKind)
#pragma alloc_text(PAGE, FtPnp)
#pragma alloc_text(PAGE, FtPagingFile)
#ifdef FT_PAGEABLE_POWER
#pragma alloc_text(PAGE, FtPower)
#endif
#pragma alloc_text(PAGEMIRR, FtMirrorTransfer)
#pragma alloc_text(PAGESTRP, FtStripeSetTransfer)
#pragma alloc_text(PAGEVOLS, FtVolumeSetTransfer)

// The three kinds -----------------------------------------------------------------------------------------------------

static VOID FtMirrorTransfer(PFT_VOLUME Volume, ULONG Offset, PUCHAR Buffer, ULONG Bytes, BOOLEAN Write)
{
    PAGED_CODE_LOCKED();
    if (Write) {
        RtlCopyMemory(Volume->Disks[0] + Offset, Buffer, Bytes);
        RtlCopyMemory(Volume->Disks[1] + Offset, Buffer, Bytes);
    } else {
        RtlCopyMemory(Buffer, Volume->Disks[0] + Offset, Bytes);
    }
}

SECTION_FILLER(FtMirrorFiller, "PAGEMIRR", 8192)

static VOID FtStripeSetTransfer(PFT_VOLUME Volume, ULONG Offset, PUCHAR Buffer, ULONG Bytes, BOOLEAN Write)
{
    PAGED_CODE_LOCKED();
    while (Bytes != 0) {
        ULONG block = Offset / BLOCK_BYTES;
        ULONG part = min(Bytes, BLOCK_BYTES - Offset % BLOCK_BYTES);
        PUCHAR disk = Volume->Disks[block % 2] + block / 2 * BLOCK_BYTES + Offset % BLOCK_BYTES;
        RtlCopyMemory(Write ? disk : Buffer, Write ? Buffer : disk, part);
        Offset += part;
        Buffer += part;
        Bytes -= part;
    }
}

SECTION_FILLER(FtStripeSetFiller, "PAGESTRP", 8192)

static VOID FtVolumeSetTransfer(PFT_VOLUME Volume, ULONG Offset, PUCHAR Buffer, ULONG Bytes, BOOLEAN Write)
{
    PAGED_CODE_LOCKED();
    while (Bytes != 0) {
        ULONG within = Offset % (VOLUME_BYTES / 2);
        ULONG part = min(Bytes, VOLUME_BYTES / 2 - within);
        PUCHAR disk = Volume->Disks[Offset / (VOLUME_BYTES / 2)] + within;
        RtlCopyMemory(Write ? disk : Buffer, Write ? Buffer : disk, part);
        Offset += part;
        Buffer += part;
        Bytes -= part;
    }
}

SECTION_FILLER(FtVolumeSetFiller, "PAGEVOLS", 8192)

// The paging path: resident -------------------------------------------------------------------------------------------

// The offset and length of a read or write; both requests have the same parameters.
static NTSTATUS FtCheck(PIO_STACK_LOCATION Stack)
{
    ULONGLONG offset = (ULONGLONG)Stack->Parameters.Read.ByteOffset.QuadPart;
    BOOLEAN inside = offset <= VOLUME_BYTES && Stack->Parameters.Read.Length <= VOLUME_BYTES - offset;
    return inside ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER;
}

static ULONG FtTransfer(PFT_VOLUME Volume, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG offset = (ULONG)stack->Parameters.Read.ByteOffset.QuadPart;
    ULONG bytes = stack->Parameters.Read.Length;

    FtCode[Volume->Kind].Transfer(Volume, offset, Irp->AssociatedIrp.SystemBuffer, bytes,
                                  stack->MajorFunction == IRP_MJ_WRITE);
    return bytes;
}

// Takes the lock of the gate. Returns whether the gate is open, which it always is where the caller could wait for that.
static BOOLEAN FtEnterGate(PKIRQL Irql)
{
    for (;;) {
        KeAcquireSpinLock(&FtGate.Lock, Irql);
        if (FtGate.Closed == 0) {
            return TRUE;
        }
        if (*Irql >= DISPATCH_LEVEL) {
            return FALSE;
        }
        KeReleaseSpinLock(&FtGate.Lock, *Irql);
        KeWaitForSingleObject(&FtGate.Opened, Executive, KernelMode, FALSE, NULL);
    }
}

NTSTATUS FtReadWrite(PDEVICE_OBJECT Device, PIRP Irp)
{
    PFT_VOLUME volume = Device->DeviceExtension;
    NTSTATUS status = FtCheck(IoGetCurrentIrpStackLocation(Irp));
    KIRQL irql;

    if (!NT_SUCCESS(status)) {
        return SampleComplete(Irp, status, 0);
    }
    if (!FtEnterGate(&irql)) {
        ULONG bytes = FtTransfer(volume, Irp);
        KeReleaseSpinLock(&FtGate.Lock, irql);
        return SampleComplete(Irp, STATUS_SUCCESS, bytes);
    }
    IoMarkIrpPending(Irp);
    FtGate.Pending++;
    KeClearEvent(&FtGate.Idle);
    InsertTailList(&volume->Requests, &Irp->Tail.Overlay.ListEntry);
    KeInsertQueueDpc(&volume->Dpc, NULL, NULL);
    KeReleaseSpinLock(&FtGate.Lock, irql);
    return STATUS_PENDING;
}

// A request counts as pending until it is complete; the kind cannot change while one is.
VOID FtDpc(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    PFT_VOLUME volume = Context;
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);

    KeAcquireSpinLockAtDpcLevel(&FtGate.Lock);
    while (!IsListEmpty(&volume->Requests)) {
        PIRP irp = CONTAINING_RECORD(RemoveHeadList(&volume->Requests), IRP, Tail.Overlay.ListEntry);
        KeReleaseSpinLockFromDpcLevel(&FtGate.Lock);
        SampleComplete(irp, STATUS_SUCCESS, FtTransfer(volume, irp));
        KeAcquireSpinLockAtDpcLevel(&FtGate.Lock);
        if (--FtGate.Pending == 0) {
            KeSetEvent(&FtGate.Idle, IO_NO_INCREMENT, FALSE);
        }
    }
    KeReleaseSpinLockFromDpcLevel(&FtGate.Lock);
}

NTSTATUS FtPassDown(PDEVICE_OBJECT Device, PIRP Irp)
{
    PFT_VOLUME volume = Device->DeviceExtension;
    IoSkipCurrentIrpStackLocation(Irp);
    return IoCallDriver(volume->Below, Irp);
}

NTSTATUS FtPower(PDEVICE_OBJECT Device, PIRP Irp)
{
    PFT_VOLUME volume = Device->DeviceExtension;
    IoSkipCurrentIrpStackLocation(Irp);
    return PoCallDriver(volume->Below, Irp);
}

// The gate, seen from the other side: it is closed when this returns, and nothing is pending.
static VOID FtCloseGate(VOID)
{
    KIRQL irql;
    KeAcquireSpinLock(&FtGate.Lock, &irql);
    FtGate.Closed++;
    KeClearEvent(&FtGate.Opened);
    KeReleaseSpinLock(&FtGate.Lock, irql);
    KeWaitForSingleObject(&FtGate.Idle, Executive, KernelMode, FALSE, NULL);
}

static VOID FtOpenGate(VOID)
{
    KIRQL irql;
    KeAcquireSpinLock(&FtGate.Lock, &irql);
    if (--FtGate.Closed == 0) {
        KeSetEvent(&FtGate.Opened, IO_NO_INCREMENT, FALSE);
    }
    KeReleaseSpinLock(&FtGate.Lock, irql);
}

// Makes `Kind` the current one and returns the one before.
static ULONG FtSwitch(PFT_VOLUME Volume, ULONG Kind)
{
    ULONG old;
    KIRQL irql;
    KeAcquireSpinLock(&FtGate.Lock, &irql);
    old = Volume->Kind;
    Volume->Kind = Kind;
    KeReleaseSpinLock(&FtGate.Lock, irql);
    return old;
}

// Configuration: PASSIVE_LEVEL or APC_LEVEL -----------------------------------------------------------------------------

// The two volumes lock and unlock each for itself; the count of a section is the number of volumes of its kind.
static VOID FtLockKind(ULONG Kind)
{
    PAGED_CODE();
    if (FtCode[Kind].Section == NULL) {
        FtCode[Kind].Section = MmLockPagableCodeSection((PVOID)FtCode[Kind].Transfer);
    } else {
        MmLockPagableSectionByHandle(FtCode[Kind].Section);
    }
}

SECTION_FILLER(FtConfigurationFiller, "PAGE", 8192)

// A device-control routine in the paging path is resident; it may call pageable helpers while the gate is open (R19).
static NTSTATUS FtRepartition(PFT_VOLUME Volume, ULONG Kind)
{
    if (Kind >= FtKinds) {
        return STATUS_INVALID_PARAMETER;
    }
    SampleEnter(&Volume->Repartition);
    FtLockKind(Kind);
    FtCloseGate();
    MmUnlockPagableImageSection(FtCode[FtSwitch(Volume, Kind)].Section);
    FtOpenGate();
    SampleLeave(&Volume->Repartition);
    return STATUS_SUCCESS;
}

NTSTATUS FtDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PFT_VOLUME volume = Device->DeviceExtension;
    switch (SampleControlCode(Irp)) {
    case IOCTL_FT_REPARTITION:
        return SampleComplete(Irp, FtRepartition(volume, SampleInput(Irp)), 0);
    case IOCTL_FT_KIND:
        return SampleOutput(Irp, STATUS_SUCCESS, volume->Kind);
    default:
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

// Plug and Play: PASSIVE_LEVEL ----------------------------------------------------------------------------------------

// A paging file comes to the volume or goes. The drivers below decide, so they are asked first. DO_POWER_PAGABLE is clear
// while a paging file is here. For the last one that goes it is set on the way down: no device may be without it above one
// that has it.
static NTSTATUS FtPagingFile(PDEVICE_OBJECT Device, PIRP Irp)
{
    PFT_VOLUME volume = Device->DeviceExtension;
    BOOLEAN comes = IoGetCurrentIrpStackLocation(Irp)->Parameters.UsageNotification.InPath;
    BOOLEAN last;
    NTSTATUS status;
    PAGED_CODE();

    KeWaitForSingleObject(&volume->Paging, Executive, KernelMode, FALSE, NULL);
    last = !comes && volume->PagingFiles == 1;
    if (last) {
        Device->Flags |= DO_POWER_PAGABLE;
    }
    Irp->IoStatus.Status = STATUS_SUCCESS;
    status = IoForwardIrpSynchronously(volume->Below, Irp) ? Irp->IoStatus.Status : STATUS_UNSUCCESSFUL;
    if (NT_SUCCESS(status)) {
        IoAdjustPagingPathCount(&volume->PagingFiles, comes);
    }
    if (NT_SUCCESS(status) ? comes : last) {
        Device->Flags &= ~DO_POWER_PAGABLE;
    }
    KeSetEvent(&volume->Paging, IO_NO_INCREMENT, FALSE);
    // Whether the device can be disabled may have changed.
    IoInvalidateDeviceState(volume->Physical);
    return SampleComplete(Irp, status, 0);
}

NTSTATUS FtPnp(PDEVICE_OBJECT Device, PIRP Irp)
{
    PFT_VOLUME volume = Device->DeviceExtension;
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    PAGED_CODE();

    switch (stack->MinorFunction) {
    case IRP_MN_DEVICE_USAGE_NOTIFICATION:
        if (stack->Parameters.UsageNotification.Type != DeviceUsageTypePaging) {
            return SampleComplete(Irp, STATUS_NOT_SUPPORTED, 0);
        }
        return FtPagingFile(Device, Irp);
    case IRP_MN_QUERY_STOP_DEVICE:
    case IRP_MN_QUERY_REMOVE_DEVICE:
        if (volume->PagingFiles != 0) {
            return SampleComplete(Irp, STATUS_DEVICE_BUSY, 0);
        }
        break;
    case IRP_MN_QUERY_PNP_DEVICE_STATE:
        if (volume->PagingFiles != 0) {
            Irp->IoStatus.Information |= PNP_DEVICE_NOT_DISABLEABLE;
            Irp->IoStatus.Status = STATUS_SUCCESS;
        }
        break;
    }
    return FtPassDown(Device, Irp);
}

static VOID FtDeleteVolume(PDEVICE_OBJECT Device)
{
    PFT_VOLUME volume = Device->DeviceExtension;
    PAGED_CODE();
    KeFlushQueuedDpcs();
    MmUnlockPagableImageSection(FtCode[volume->Kind].Section);
    IoDeleteSymbolicLink(&volume->Link);
    ExFreePoolWithTag(volume->Disks[0], TAG('F', 't', 'V', 'o'));
    IoDetachDevice(volume->Below);
    IoDeleteDevice(Device);
}

// Every volume still holds the lock of its kind: one unlock each (R17).
VOID FtUnload(PDRIVER_OBJECT Driver)
{
    PAGED_CODE();
    while (Driver->DeviceObject != NULL) {
        FtDeleteVolume(Driver->DeviceObject);
    }
}

// INIT ----------------------------------------------------------------------------------------------------------------

static ULONG FtConfiguredKind(PUNICODE_STRING Key, PCWSTR Value)
{
    struct {
        KEY_VALUE_PARTIAL_INFORMATION Header;
        ULONG More;
    } information = {0};
    OBJECT_ATTRIBUTES attributes;
    UNICODE_STRING name;
    ULONG kind = FtMirror;
    ULONG length;
    HANDLE key;

    RtlInitUnicodeString(&name, Value);
    InitializeObjectAttributes(&attributes, Key, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, NULL, NULL);
    if (!NT_SUCCESS(ZwOpenKey(&key, KEY_READ, &attributes))) {
        return kind;
    }
    if (NT_SUCCESS(ZwQueryValueKey(key, &name, KeyValuePartialInformation, &information, sizeof(information), &length)) &&
        information.Header.Type == REG_DWORD && information.Header.DataLength == sizeof(ULONG)) {
        kind = *(ULONG UNALIGNED *)information.Header.Data;
    }
    ZwClose(key);
    return kind < FtKinds ? kind : FtMirror;
}

// A volume is a device that the driver found by itself, so it reports it and becomes its function driver. The Plug and Play
// manager takes it for started: neither AddDevice is called nor a start sent.
static NTSTATUS FtCreateVolume(PDRIVER_OBJECT Driver, PCWSTR DeviceName, PCWSTR LinkName, ULONG Kind)
{
    PDEVICE_OBJECT physical = NULL;
    PDEVICE_OBJECT device;
    PFT_VOLUME volume;
    UNICODE_STRING name;
    NTSTATUS status;
    PUCHAR disks;

    disks = ExAllocatePoolWithTag(NonPagedPool, 2 * VOLUME_BYTES, TAG('F', 't', 'V', 'o'));
    if (disks == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlInitUnicodeString(&name, DeviceName);
    status = IoReportDetectedDevice(Driver, InterfaceTypeUndefined, (ULONG)-1, (ULONG)-1, NULL, NULL, TRUE, &physical);
    if (NT_SUCCESS(status)) {
        status = IoCreateDevice(Driver, sizeof(FT_VOLUME), &name, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN, FALSE,
                                &device);
    }
    if (!NT_SUCCESS(status)) {
        ExFreePoolWithTag(disks, TAG('F', 't', 'V', 'o'));
        return status;
    }
    volume = device->DeviceExtension;
    volume->Kind = Kind;
    volume->Disks[0] = disks;
    volume->Disks[1] = disks + VOLUME_BYTES;
    volume->Physical = physical;
    volume->Below = IoAttachDeviceToDeviceStack(device, physical);
    if (volume->Below == NULL) {
        IoDeleteDevice(device);
        ExFreePoolWithTag(disks, TAG('F', 't', 'V', 'o'));
        return STATUS_NO_SUCH_DEVICE;
    }
    ExInitializeFastMutex(&volume->Repartition);
    InitializeListHead(&volume->Requests);
    KeInitializeEvent(&volume->Paging, SynchronizationEvent, TRUE);
    KeInitializeDpc(&volume->Dpc, FtDpc, volume);
    RtlInitUnicodeString(&volume->Link, LinkName);
    IoCreateSymbolicLink(&volume->Link, &name);
    FtLockKind(Kind);
    device->Flags |= DO_BUFFERED_IO;
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}

// From here on a volume can be used, so from here on the code of its kind is locked.
NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    NTSTATUS status;

    KeInitializeSpinLock(&FtGate.Lock);
    KeInitializeEvent(&FtGate.Opened, NotificationEvent, TRUE);
    KeInitializeEvent(&FtGate.Idle, NotificationEvent, TRUE);
    FtCode[FtMirror].Transfer = FtMirrorTransfer;
    FtCode[FtStripeSet].Transfer = FtStripeSetTransfer;
    FtCode[FtVolumeSet].Transfer = FtVolumeSetTransfer;
    Driver->DriverUnload = FtUnload;
    Driver->MajorFunction[IRP_MJ_CREATE] = SampleSucceed;
    Driver->MajorFunction[IRP_MJ_CLOSE] = SampleSucceed;
    Driver->MajorFunction[IRP_MJ_CLEANUP] = SampleSucceed;
    Driver->MajorFunction[IRP_MJ_READ] = FtReadWrite;
    Driver->MajorFunction[IRP_MJ_WRITE] = FtReadWrite;
    Driver->MajorFunction[IRP_MJ_PNP] = FtPnp;
    Driver->MajorFunction[IRP_MJ_POWER] = FtPower;
    Driver->MajorFunction[IRP_MJ_SYSTEM_CONTROL] = FtPassDown;
    Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = FtDeviceControl;

    status = FtCreateVolume(Driver, L"\\Device\\FtVolume0", L"\\DosDevices\\FtVolume0",
                            FtConfiguredKind(RegistryPath, L"Volume0"));
    if (NT_SUCCESS(status)) {
        status = FtCreateVolume(Driver, L"\\Device\\FtVolume1", L"\\DosDevices\\FtVolume1",
                                FtConfiguredKind(RegistryPath, L"Volume1"));
    }
    if (!NT_SUCCESS(status)) {
        FtUnload(Driver);
    }
    return status;
}
