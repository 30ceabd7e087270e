// How often a section is locked, and how often it is unlocked.
//
//   CLOSE_TWICE    a close unlocks twice what the open locked once      0x1A (0x1010, the handle, 6, ..., BalanceClose)
//   REQUEST_TWICE  a request unlocks twice what it locked once          0x1A (0x1010, the handle, 6, ..., BalanceRequest)
//   ONE_WAY_TWICE  the same, on one of its ways                         0x1A (0x1010, the handle, 6, ..., BalanceRequest)
//   LOCKED_TWICE   DriverEntry locks twice, Unload unlocks once         K05, count 1, at unload
//   OPEN_TWICE     an open locks twice, the close unlocks once          K05, count 1, at unload
//   SKIPPED        Unload unlocks only after a second request           K05, count 1, at unload
//   ONE_WAY        a request does not unlock on one of its ways         K05, count 1, at unload
//   OPEN_FAILS     an open fails as a call did, and forgets the handle  K05, count 1, at unload
//   ENTRY_FAILS    DriverEntry fails as a call did, with the lock       K05 on the way out of DriverEntry
//
//   trigger   open, ioctl 0x222000, close, unload; load for ENTRY_FAILS
//   repaired  there is one unlock for each lock, on every way
#include "sample.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD BalanceUnload;
DRIVER_DISPATCH BalanceCreate;
DRIVER_DISPATCH BalanceClose;
DRIVER_DISPATCH BalanceRequest;
ULONG BalanceWork(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGEBAL, BalanceWork)

ULONG BalanceWork(ULONG Value)
{
    PAGED_CODE_LOCKED();
    return Value + 1;
}

SECTION_FILLER(BalanceFiller, "PAGEBAL", 8192)

PVOID BalanceCode;
volatile ULONG BalanceRequests;

#if defined(OPEN_FAILS) || defined(ENTRY_FAILS)
// Nobody made this device.
static NTSTATUS BalanceFindBelow(VOID)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\BelowBalance");
    PFILE_OBJECT file;
    PDEVICE_OBJECT below;
    NTSTATUS status = IoGetDeviceObjectPointer(&name, FILE_READ_DATA, &file, &below);

    if (NT_SUCCESS(status)) {
        ObDereferenceObject(file);
    }
    return status;
}
#endif

NTSTATUS BalanceCreate(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
#if defined(CLOSE_TWICE) || defined(OPEN_TWICE)
    BalanceCode = MmLockPagableCodeSection((PVOID)BalanceWork);
#if defined(OPEN_TWICE) && !defined(FIXED)
    MmLockPagableSectionByHandle(BalanceCode);
#endif
#elif defined(OPEN_FAILS)
    PVOID code = MmLockPagableCodeSection((PVOID)BalanceWork);
    NTSTATUS status = BalanceFindBelow();

    if (!NT_SUCCESS(status)) {
#ifdef FIXED
        MmUnlockPagableImageSection(code);
#endif
        return SampleComplete(Irp, status, 0);
    }
    BalanceCode = code;
#endif
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS BalanceClose(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
#if defined(CLOSE_TWICE)
    MmUnlockPagableImageSection(BalanceCode);
#ifndef FIXED
    MmUnlockPagableImageSection(BalanceCode);
#endif
#elif defined(OPEN_FAILS) || defined(OPEN_TWICE)
    MmUnlockPagableImageSection(BalanceCode);
#endif
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS BalanceRequest(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
#if defined(REQUEST_TWICE) || defined(ONE_WAY) || defined(ONE_WAY_TWICE)
    PVOID code = MmLockPagableCodeSection((PVOID)BalanceWork);

    BalanceRequests = BalanceWork(BalanceRequests);
#endif
#if defined(ONE_WAY)
    if (BalanceRequests < 2) {
#ifdef FIXED
        MmUnlockPagableImageSection(code);
#endif
        return SampleComplete(Irp, STATUS_NO_MORE_ENTRIES, 0);
    }
    MmUnlockPagableImageSection(code);
#elif defined(ONE_WAY_TWICE)
    NTSTATUS status = STATUS_SUCCESS;

    if (BalanceRequests < 2) {
        status = STATUS_NO_MORE_ENTRIES;
#ifndef FIXED
        MmUnlockPagableImageSection(code);
#endif
    }
    MmUnlockPagableImageSection(code);
    return SampleComplete(Irp, status, 0);
#elif defined(REQUEST_TWICE)
    MmUnlockPagableImageSection(code);
#ifndef FIXED
    MmUnlockPagableImageSection(code);
#endif
#else
    BalanceRequests++;
#endif
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

VOID BalanceUnload(PDRIVER_OBJECT Driver)
{
#if defined(LOCKED_TWICE)
    MmUnlockPagableImageSection(BalanceCode);
#ifdef FIXED
    MmUnlockPagableImageSection(BalanceCode);
#endif
#elif defined(SKIPPED)
#ifndef FIXED
    if (BalanceRequests > 1)
#endif
        MmUnlockPagableImageSection(BalanceCode);
#endif
    SampleDeleteDevice(Driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"Balance", 0, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
#if defined(LOCKED_TWICE) || defined(SKIPPED) || defined(ENTRY_FAILS)
    BalanceCode = MmLockPagableCodeSection((PVOID)BalanceWork);
#endif
#if defined(LOCKED_TWICE)
    MmLockPagableSectionByHandle(BalanceCode);
#elif defined(ENTRY_FAILS)
    status = BalanceFindBelow();
    if (!NT_SUCCESS(status)) {
#ifdef FIXED
        MmUnlockPagableImageSection(BalanceCode);
#endif
        SampleDeleteDevice(Driver);
        return status;
    }
    MmUnlockPagableImageSection(BalanceCode);
#endif
    Driver->MajorFunction[IRP_MJ_CREATE] = BalanceCreate;
    Driver->MajorFunction[IRP_MJ_CLOSE] = BalanceClose;
    Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = BalanceRequest;
    Driver->DriverUnload = BalanceUnload;
    return STATUS_SUCCESS;
}
