// A special kernel APC whose routine and data are pageable. It runs at APC_LEVEL, where a page fault is legal, so there is
// nothing wrong here and no finding may appear (R160: only above APC_LEVEL is a fault fatal).
//
//   PAGE      the APC's routine
//   PAGEDATA  what it counts
//   .text     nothing but what the common code needs; the KAPC itself is in nonpaged pool
//
//   ioctl 0x222000  RUN: input: a number to add; queues the APC to the current thread, where it runs at once; output: the
//                   sum so far
//   ioctl 0x222004  IRQL: output: the IRQL at which the routine ran last, 1
#include "apc.h"
#include "sample.h"

#define IOCTL_APC_RUN SAMPLE_IOCTL(0)
#define IOCTL_APC_IRQL SAMPLE_IOCTL(1)

#pragma data_seg("PAGEDATA")
volatile ULONG ApcSums[2100] = {[0] = 1, [2099] = 1};
volatile ULONG ApcIrql = 0xFF;
#pragma data_seg()

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH ApcDeviceControl;
VOID NTAPI ApcKernelRoutine(PKAPC Apc, PKNORMAL_ROUTINE *NormalRoutine, PVOID *Context, PVOID *Argument1, PVOID *Argument2);
static NTSTATUS ApcRun(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, ApcDeviceControl)
#pragma alloc_text(PAGE, ApcKernelRoutine)
#pragma alloc_text(PAGE, ApcRun)

// Without a normal routine this is all that runs, and the KAPC is ours to free.
VOID NTAPI ApcKernelRoutine(PKAPC Apc, PKNORMAL_ROUTINE *NormalRoutine, PVOID *Context, PVOID *Argument1, PVOID *Argument2)
{
    ULONG value = (ULONG)(ULONG_PTR)*Argument1;
    UNREFERENCED_PARAMETER(NormalRoutine);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Argument2);
    PAGED_CODE();

    ApcIrql = KeGetCurrentIrql();
    ApcSums[0] += value;
    ApcSums[RTL_NUMBER_OF(ApcSums) - 1] += value;
    ExFreePoolWithTag(Apc, TAG('A', 'p', 'c', 'S'));
}

SECTION_FILLER(ApcFiller, "PAGE", 8192)

static NTSTATUS ApcRun(ULONG Value)
{
    PKAPC apc = ExAllocatePoolWithTag(NonPagedPool, sizeof(KAPC), TAG('A', 'p', 'c', 'S'));
    PAGED_CODE();
    if (apc == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    KeInitializeApc(apc, KeGetCurrentThread(), OriginalApcEnvironment, ApcKernelRoutine, NULL, NULL, KernelMode, NULL);
    if (!KeInsertQueueApc(apc, (PVOID)(ULONG_PTR)Value, NULL, IO_NO_INCREMENT)) {
        ExFreePoolWithTag(apc, TAG('A', 'p', 'c', 'S'));
        return STATUS_UNSUCCESSFUL;
    }
    return STATUS_SUCCESS;
}

NTSTATUS ApcDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    NTSTATUS status;
    UNREFERENCED_PARAMETER(Device);
    PAGED_CODE();
    switch (SampleControlCode(Irp)) {
    case IOCTL_APC_RUN:
        status = ApcRun(SampleInput(Irp));
        return SampleOutput(Irp, status, ApcSums[0] + ApcSums[RTL_NUMBER_OF(ApcSums) - 1]);
    case IOCTL_APC_IRQL:
        return SampleOutput(Irp, STATUS_SUCCESS, ApcIrql);
    default:
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"ApcSample", 0, &device);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = ApcDeviceControl;
    }
    return status;
}
