// DriverEntry keeps the handles of two locks in a block of pool, whose address goes into the device extension when both are
// there. Unload gives back one of them (R17).
//
//   expected  K05, count 1, at unload
//   trigger   open, ioctl 0x222000, close, unload
//   repaired  Unload gives back both
#include "sample.h"

typedef struct _BLOCK_LOCKS {
    ULONG Total;
    PVOID First;
    PVOID Second;
} BLOCK_LOCKS, *PBLOCK_LOCKS;

typedef struct _BLOCK_EXTENSION {
    ULONG Requests;
    PBLOCK_LOCKS Locks;
} BLOCK_EXTENSION, *PBLOCK_EXTENSION;

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD BlockUnload;
DRIVER_DISPATCH BlockRequest;
ULONG BlockFirst(ULONG Value);
ULONG BlockSecond(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGEA, BlockFirst)
#pragma alloc_text(PAGEB, BlockSecond)

ULONG BlockFirst(ULONG Value)
{
    PAGED_CODE_LOCKED();
    return Value * 2;
}

SECTION_FILLER(BlockFillerA, "PAGEA", 8192)

ULONG BlockSecond(ULONG Value)
{
    PAGED_CODE_LOCKED();
    return Value + 1;
}

SECTION_FILLER(BlockFillerB, "PAGEB", 8192)

NTSTATUS BlockRequest(PDEVICE_OBJECT Device, PIRP Irp)
{
    PBLOCK_EXTENSION extension = Device->DeviceExtension;
    extension->Locks->Total = BlockSecond(BlockFirst(extension->Requests++));
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static VOID BlockGiveBack(PBLOCK_EXTENSION Extension)
{
    PBLOCK_LOCKS locks = Extension->Locks;

#ifdef FIXED
    MmUnlockPagableImageSection(locks->Second);
#endif
    MmUnlockPagableImageSection(locks->First);
    ExFreePoolWithTag(locks, 'kcoL');
}

VOID BlockUnload(PDRIVER_OBJECT Driver)
{
    BlockGiveBack(Driver->DeviceObject->DeviceExtension);
    SampleDeleteDevice(Driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    PBLOCK_EXTENSION extension;
    PBLOCK_LOCKS locks;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"Block", sizeof(BLOCK_EXTENSION), &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    locks = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*locks), 'kcoL');
    if (locks == NULL) {
        SampleDeleteDevice(Driver);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    locks->First = MmLockPagableCodeSection((PVOID)BlockFirst);
    locks->Second = MmLockPagableCodeSection((PVOID)BlockSecond);
    extension = device->DeviceExtension;
    extension->Locks = locks;
    Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = BlockRequest;
    Driver->DriverUnload = BlockUnload;
    return STATUS_SUCCESS;
}
