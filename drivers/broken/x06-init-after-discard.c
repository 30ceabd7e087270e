// A function of INIT is needed again when the computer resumes. By then INIT is gone (R38). Public origin: DdiMon #21.
//
//   USE_DATA     it is a table of INIT that is read; with WRITE it is written
//   AT_DISPATCH  the use is at DISPATCH_LEVEL
//
//   expected  0x50 (X06Setup, 0x10, X06Setup, 0) and K12; with USE_DATA 0x50 (in X06Table, 0, in X06Resume, 0) and K12;
//             with AT_DISPATCH 0xD1. Where sections share pages the bytes of INIT may survive on a page that was kept: K12,
//             and a breakpoint, because the discarded bytes are overwritten with 0xCC (D11); data: K12 alone
//   trigger   ioctl 0x222000
//   repaired  what is needed later is in PAGE; in .text and .data if it is needed at DISPATCH_LEVEL
#include "sample.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X06DeviceControl;
ULONG X06Resume(VOID);
ULONG X06Setup(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#if !defined(FIXED)
#pragma alloc_text(INIT, X06Setup)
#elif !defined(AT_DISPATCH)
#pragma alloc_text(PAGE, X06Setup)
#endif

#ifdef WRITE
#define X06_CONST // a table that is filled in later
#else
#define X06_CONST const
#endif

#if defined(FIXED)
X06_CONST volatile ULONG X06Table[2] = {21, 42};
#else
extern X06_CONST volatile ULONG X06Table[2];
__asm__(INIT_SECTION
        ".balign 4\n"
        ".globl X06Table\n"
        "X06Table: .long 21, 42\n");
#endif

ULONG X06Setup(ULONG Value)
{
    return Value * 2;
}

ULONG X06Resume(VOID)
{
    ULONG value;
    KIRQL irql = KeGetCurrentIrql();
#ifdef AT_DISPATCH
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
#endif
#if defined(WRITE)
    value = X06Table[1] = 42;
#elif defined(USE_DATA)
    value = X06Table[1];
#else
    value = X06Setup(21);
#endif
    KeLowerIrql(irql);
    return value;
}

NTSTATUS X06DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);

    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    return SampleOutput(Irp, STATUS_SUCCESS, X06Resume());
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X06", 0, &device);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = X06DeviceControl;
    }
    return status;
}
