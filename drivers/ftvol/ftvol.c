// A fault-tolerant volume driver: code for three kinds of volume, of which a computer uses one or two (R207). The kinds
// lie in sections of their own, and only those in use are locked.
//
//   PAGEMIRR  mirrors: every byte on both disks
//   PAGESTRP  stripe sets: blocks on alternating disks
//   PAGEVOLS  volume sets: the second disk continues the first
//
// The driver is in the paging path, so the read, write and power dispatch routines are resident (R8, R19), transfers
// run at DISPATCH_LEVEL, and DO_POWER_PAGABLE is clear (R20). Repartitioning locks what is needed next before it switches
// and unlocks what was needed before once no request uses it any more.
//
// Registry: the DWORD values Volume0 and Volume1 of the driver's own key name the
// kind (0 mirror, 1 stripe set, 2 volume set). Without them both volumes are mirrors.
//
//   read, write          at a byte offset, up to 32 KiB; pended, done by a DPC
//   ioctl 0x222000       REPARTITION: input: the new kind. What is on the volume is lost
//   ioctl 0x222004       KIND: output: the kind
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
    PUCHAR Disks[2];
    FAST_MUTEX Repartition; // one at a time

    KSPIN_LOCK Lock; // guards the rest
    ULONG Kind;
    LIST_ENTRY Requests;
    ULONG InFlight[FtKinds]; // requests that use the code of a kind
    KEVENT Drained;
    KDPC Dpc;
};

// By kind: the code, and the handle of its section once that has been locked.
static struct {
    FT_TRANSFER *Transfer;
    volatile PVOID Section;
} FtCode[FtKinds];

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD FtUnload;
DRIVER_DISPATCH FtReadWrite;
DRIVER_DISPATCH FtPower;
DRIVER_DISPATCH FtDeviceControl;
KDEFERRED_ROUTINE FtDpc;
static FT_TRANSFER FtMirrorTransfer;
static FT_TRANSFER FtStripeSetTransfer;
static FT_TRANSFER FtVolumeSetTransfer;
static NTSTATUS FtCreateVolume(PDRIVER_OBJECT Driver, PCWSTR DeviceName, PCWSTR LinkName, ULONG Kind);
static ULONG FtConfiguredKind(PUNICODE_STRING Key, PCWSTR Value);
static VOID FtLockKind(ULONG Kind);
static NTSTATUS FtRepartition(PFT_VOLUME Volume, ULONG Kind);
static VOID FtDeleteVolume(PDEVICE_OBJECT Device);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(INIT, FtCreateVolume)
#pragma alloc_text(INIT, FtConfiguredKind)
#pragma alloc_text(PAGE, FtUnload)
#pragma alloc_text(PAGE, FtDeleteVolume)
#pragma alloc_text(PAGE, FtLockKind)
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

// A request uses the kind that is current when it arrives, to its end.
#define REQUEST_KIND(Irp) ((Irp)->Tail.Overlay.DriverContext[0])

NTSTATUS FtReadWrite(PDEVICE_OBJECT Device, PIRP Irp)
{
    PFT_VOLUME volume = Device->DeviceExtension;
    NTSTATUS status = FtCheck(IoGetCurrentIrpStackLocation(Irp));
    KIRQL irql;

    if (!NT_SUCCESS(status)) {
        return SampleComplete(Irp, status, 0);
    }
    IoMarkIrpPending(Irp);
    KeAcquireSpinLock(&volume->Lock, &irql);
    REQUEST_KIND(Irp) = (PVOID)(ULONG_PTR)volume->Kind;
    volume->InFlight[volume->Kind]++;
    InsertTailList(&volume->Requests, &Irp->Tail.Overlay.ListEntry);
    KeInsertQueueDpc(&volume->Dpc, NULL, NULL);
    KeReleaseSpinLock(&volume->Lock, irql);
    return STATUS_PENDING;
}

static VOID FtTransfer(PFT_VOLUME Volume, PIRP Irp, ULONG Kind)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG offset = (ULONG)stack->Parameters.Read.ByteOffset.QuadPart;
    ULONG bytes = stack->Parameters.Read.Length;

    FtCode[Kind].Transfer(Volume, offset, Irp->AssociatedIrp.SystemBuffer, bytes, stack->MajorFunction == IRP_MJ_WRITE);
    SampleComplete(Irp, STATUS_SUCCESS, bytes);
}

VOID FtDpc(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    PFT_VOLUME volume = Context;
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);

    KeAcquireSpinLockAtDpcLevel(&volume->Lock);
    while (!IsListEmpty(&volume->Requests)) {
        PIRP irp = CONTAINING_RECORD(RemoveHeadList(&volume->Requests), IRP, Tail.Overlay.ListEntry);
        ULONG kind = (ULONG)(ULONG_PTR)REQUEST_KIND(irp);
        KeReleaseSpinLockFromDpcLevel(&volume->Lock);
        FtTransfer(volume, irp, kind);
        KeAcquireSpinLockAtDpcLevel(&volume->Lock);
        if (--volume->InFlight[kind] == 0 && kind != volume->Kind) {
            KeSetEvent(&volume->Drained, IO_NO_INCREMENT, FALSE);
        }
    }
    KeReleaseSpinLockFromDpcLevel(&volume->Lock);
}

// The lowest driver of its stack: it says what became of the request.
NTSTATUS FtPower(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

// Makes `kind` the current one. Returns whether requests that use the old one are left; Drained will be set for them.
static BOOLEAN FtSwitch(PFT_VOLUME Volume, ULONG Kind, PULONG Old)
{
    BOOLEAN busy;
    KIRQL irql;
    KeAcquireSpinLock(&Volume->Lock, &irql);
    *Old = Volume->Kind;
    Volume->Kind = Kind;
    busy = *Old != Kind && Volume->InFlight[*Old] != 0;
    KeClearEvent(&Volume->Drained);
    KeReleaseSpinLock(&Volume->Lock, irql);
    return busy;
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

// A device-control routine in the paging path is resident; it may call pageable helpers (R19).
static NTSTATUS FtRepartition(PFT_VOLUME Volume, ULONG Kind)
{
    ULONG old;
    if (Kind >= FtKinds) {
        return STATUS_INVALID_PARAMETER;
    }
    SampleEnter(&Volume->Repartition);
    FtLockKind(Kind);
    if (FtSwitch(Volume, Kind, &old)) {
        KeWaitForSingleObject(&Volume->Drained, Executive, KernelMode, FALSE, NULL);
    }
    MmUnlockPagableImageSection(FtCode[old].Section);
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

static VOID FtDeleteVolume(PDEVICE_OBJECT Device)
{
    PFT_VOLUME volume = Device->DeviceExtension;
    PAGED_CODE();
    KeFlushQueuedDpcs();
    MmUnlockPagableImageSection(FtCode[volume->Kind].Section);
    IoDeleteSymbolicLink(&volume->Link);
    ExFreePoolWithTag(volume->Disks[0], TAG('F', 't', 'V', 'o'));
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

static NTSTATUS FtCreateVolume(PDRIVER_OBJECT Driver, PCWSTR DeviceName, PCWSTR LinkName, ULONG Kind)
{
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
    status = IoCreateDevice(Driver, sizeof(FT_VOLUME), &name, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        ExFreePoolWithTag(disks, TAG('F', 't', 'V', 'o'));
        return status;
    }
    volume = device->DeviceExtension;
    volume->Kind = Kind;
    volume->Disks[0] = disks;
    volume->Disks[1] = disks + VOLUME_BYTES;
    ExInitializeFastMutex(&volume->Repartition);
    KeInitializeSpinLock(&volume->Lock);
    InitializeListHead(&volume->Requests);
    KeInitializeEvent(&volume->Drained, NotificationEvent, FALSE);
    KeInitializeDpc(&volume->Dpc, FtDpc, volume);
    RtlInitUnicodeString(&volume->Link, LinkName);
    IoCreateSymbolicLink(&volume->Link, &name);
    FtLockKind(Kind);
    device->Flags |= DO_BUFFERED_IO;
    return STATUS_SUCCESS;
}

// From here on a volume can be used, so from here on the code of its kind is locked.
NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    NTSTATUS status;

    FtCode[FtMirror].Transfer = FtMirrorTransfer;
    FtCode[FtStripeSet].Transfer = FtStripeSetTransfer;
    FtCode[FtVolumeSet].Transfer = FtVolumeSetTransfer;
    Driver->DriverUnload = FtUnload;
    Driver->MajorFunction[IRP_MJ_CREATE] = SampleSucceed;
    Driver->MajorFunction[IRP_MJ_CLOSE] = SampleSucceed;
    Driver->MajorFunction[IRP_MJ_CLEANUP] = SampleSucceed;
    Driver->MajorFunction[IRP_MJ_READ] = FtReadWrite;
    Driver->MajorFunction[IRP_MJ_WRITE] = FtReadWrite;
    Driver->MajorFunction[IRP_MJ_POWER] = FtPower;
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
