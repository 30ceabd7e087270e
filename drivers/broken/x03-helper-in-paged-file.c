// A whole file is PAGE by `code_seg`, and a helper that a DPC needs was written into it. Public origin:
// Windows-driver-samples #313.
//
//   expected  out: 0xD1 (X03Helper, 2, 8, X03Helper); else K13
//   trigger   ioctl 0x222000
//   repaired  the helper stands outside the `code_seg`
#include "sample.h"

typedef struct _X03 {
    KDPC Dpc;
    ULONG Count;
} X03, *PX03;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH X03DeviceControl;
KDEFERRED_ROUTINE X03Dpc;
VOID X03Helper(PX03 Device);

#pragma alloc_text(INIT, DriverEntry)

VOID X03Dpc(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    X03Helper(Context);
}

#ifdef FIXED
VOID X03Helper(PX03 Device)
{
    Device->Count++;
}
#endif

#pragma code_seg(push, "PAGE")

SECTION_FILLER(X03Filler, "PAGE", 4096)

#ifndef FIXED
VOID X03Helper(PX03 Device)
{
    Device->Count++;
}
#endif

NTSTATUS X03DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PX03 x03 = Device->DeviceExtension;
    PAGED_CODE();

    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    KeInsertQueueDpc(&x03->Dpc, NULL, NULL);
    KeFlushQueuedDpcs();
    return SampleOutput(Irp, STATUS_SUCCESS, x03->Count);
}

#pragma code_seg(pop)

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X03", sizeof(X03), &device);
    if (NT_SUCCESS(status)) {
        PX03 x03 = device->DeviceExtension;
        KeInitializeDpc(&x03->Dpc, X03Dpc, x03);
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = X03DeviceControl;
    }
    return status;
}
