// Handles of locks are kept in the device extension.
//
//   LEFT          an open locks two sections, the close unlocks one     K05, count 1, at unload
//   OTHER_HANDLE  a request locks by the handle of the other section    out: 0xD1 (LockFirst, 2, 8, LockFirst); else K13
//   EMPTY_FIELD   the close unlocks what lies in a field never set      0x1A (0x1010, 0, ..., the return address in LockClose)
//   TWICE         a request that fails unlocks, and so does the close   0x1A (0x1010, the handle, 6, ..., LockClose)
//
//   trigger   open, ioctl 0x222000 (0), close, unload
//   repaired  both are unlocked; by the right handle; from the right field; whoever takes a handle out of the field, and
//             nobody else, unlocks by it, however many have the device open
#include "sample.h"

typedef struct _LOCK_EXTENSION {
    ULONG Total;
    PVOID First;
    PVOID Second;
} LOCK_EXTENSION, *PLOCK_EXTENSION;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH LockCreate;
DRIVER_DISPATCH LockClose;
DRIVER_DISPATCH LockDeviceControl;
ULONG LockFirst(ULONG Value);
ULONG LockSecond(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGEA, LockFirst)
#pragma alloc_text(PAGEB, LockSecond)

ULONG LockFirst(ULONG Value)
{
    PAGED_CODE_LOCKED();
    return Value * 2;
}

SECTION_FILLER(LockFillerA, "PAGEA", 8192)

ULONG LockSecond(ULONG Value)
{
    PAGED_CODE_LOCKED();
    return Value + 1;
}

SECTION_FILLER(LockFillerB, "PAGEB", 8192)

#if defined(LEFT)

static VOID LockOpened(PLOCK_EXTENSION Extension)
{
    Extension->First = MmLockPagableCodeSection((PVOID)LockFirst);
    Extension->Second = MmLockPagableCodeSection((PVOID)LockSecond);
}

static VOID LockClosed(PLOCK_EXTENSION Extension)
{
#ifdef FIXED
    MmUnlockPagableImageSection(Extension->Second);
#endif
    MmUnlockPagableImageSection(Extension->First);
}

static NTSTATUS LockRequest(PLOCK_EXTENSION Extension, ULONG Value)
{
    Extension->Total = LockSecond(LockFirst(Value));
    return STATUS_SUCCESS;
}

#elif defined(OTHER_HANDLE)

static VOID LockOpened(PLOCK_EXTENSION Extension)
{
    UNREFERENCED_PARAMETER(Extension);
}

static VOID LockClosed(PLOCK_EXTENSION Extension)
{
    UNREFERENCED_PARAMETER(Extension);
}

static NTSTATUS LockRequest(PLOCK_EXTENSION Extension, ULONG Value)
{
    KIRQL irql;
#ifdef FIXED
    PVOID handle = Extension->First;
#else
    PVOID handle = Extension->Second;
#endif
    MmLockPagableSectionByHandle(handle);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    Extension->Total = LockFirst(Value);
    KeLowerIrql(irql);
    MmUnlockPagableImageSection(handle);
    return STATUS_SUCCESS;
}

#elif defined(EMPTY_FIELD)

static VOID LockOpened(PLOCK_EXTENSION Extension)
{
    Extension->First = MmLockPagableCodeSection((PVOID)LockFirst);
}

static VOID LockClosed(PLOCK_EXTENSION Extension)
{
#ifdef FIXED
    MmUnlockPagableImageSection(Extension->First);
#else
    MmUnlockPagableImageSection(Extension->Second);
#endif
}

static NTSTATUS LockRequest(PLOCK_EXTENSION Extension, ULONG Value)
{
    Extension->Total = LockFirst(Value);
    return STATUS_SUCCESS;
}

#else

static VOID LockOpened(PLOCK_EXTENSION Extension)
{
    PVOID handle = MmLockPagableCodeSection((PVOID)LockFirst);
#ifdef FIXED
    handle = InterlockedExchangePointer(&Extension->First, handle);
    if (handle != NULL) {
        MmUnlockPagableImageSection(handle);
    }
#else
    Extension->First = handle;
#endif
}

static VOID LockClosed(PLOCK_EXTENSION Extension)
{
#ifdef FIXED
    PVOID handle = InterlockedExchangePointer(&Extension->First, NULL);
    if (handle != NULL) {
        MmUnlockPagableImageSection(handle);
    }
#else
    MmUnlockPagableImageSection(Extension->First);
#endif
}

static NTSTATUS LockRequest(PLOCK_EXTENSION Extension, ULONG Value)
{
    if (Value == 0) {
        LockClosed(Extension);
        return STATUS_INVALID_PARAMETER;
    }
    Extension->Total = LockFirst(Value);
    return STATUS_SUCCESS;
}

#endif

NTSTATUS LockCreate(PDEVICE_OBJECT Device, PIRP Irp)
{
    LockOpened(Device->DeviceExtension);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS LockClose(PDEVICE_OBJECT Device, PIRP Irp)
{
    LockClosed(Device->DeviceExtension);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS LockDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    return SampleComplete(Irp, LockRequest(Device->DeviceExtension, SampleInput(Irp)), 0);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"Lock", sizeof(LOCK_EXTENSION), &device);
    if (NT_SUCCESS(status)) {
#ifdef OTHER_HANDLE
        // Handles for later: a lock by address is the only way to come by one.
        PLOCK_EXTENSION extension = device->DeviceExtension;
        extension->First = MmLockPagableCodeSection((PVOID)LockFirst);
        MmUnlockPagableImageSection(extension->First);
        extension->Second = MmLockPagableCodeSection((PVOID)LockSecond);
        MmUnlockPagableImageSection(extension->Second);
#endif
        Driver->MajorFunction[IRP_MJ_CREATE] = LockCreate;
        Driver->MajorFunction[IRP_MJ_CLOSE] = LockClose;
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = LockDeviceControl;
    }
    return status;
}
