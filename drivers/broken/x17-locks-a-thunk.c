// An incremental link reaches each function through a jump in .text, and the address of the function is that of the jump.
// So the lock pins .text, and PAGEX17 stays pageable. Here the jump is written by hand.
//
//   expected  K01, which names PAGEX17, and trimmed: 0xD1 (X17Work, 2, 8, X17Work), else K13
//   trigger   ioctl 0x222000
//   repaired  the function's own address is locked
#include "sample.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X17DeviceControl;
ULONG X17Work(ULONG Value);
ULONG X17Thunk(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGEX17, X17Work)

ULONG X17Work(ULONG Value)
{
    PAGED_CODE_LOCKED();
    return Value + 1;
}

SECTION_FILLER(X17Filler, "PAGEX17", 8192)

__attribute__((naked)) ULONG X17Thunk(ULONG Value)
{
    __asm__("jmp X17Work");
}

#ifdef FIXED
#define X17_WORK X17Work
#else
#define X17_WORK X17Thunk
#endif

NTSTATUS X17DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PVOID code;
    ULONG value;
    KIRQL irql;
    UNREFERENCED_PARAMETER(Device);

    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    code = MmLockPagableCodeSection((PVOID)X17_WORK);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    value = X17_WORK(1);
    KeLowerIrql(irql);
    MmUnlockPagableImageSection(code);
    return SampleOutput(Irp, STATUS_SUCCESS, value);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X17", 0, &device);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = X17DeviceControl;
    }
    return status;
}
