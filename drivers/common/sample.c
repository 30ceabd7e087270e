#include "sample.h"

// Declared by ntddk.h for drivers that do without Plug and Play; these headers leave it out.
NTHALAPI ULONG NTAPI HalGetInterruptVector(INTERFACE_TYPE InterfaceType, ULONG BusNumber, ULONG BusInterruptLevel,
                                           ULONG BusInterruptVector, PKIRQL Irql, PKAFFINITY Affinity);

static UNICODE_STRING SampleLink;

NTSTATUS SampleCreateDevice(PDRIVER_OBJECT Driver, PCWSTR DeviceName, PCWSTR LinkName, ULONG ExtensionBytes,
                            PDEVICE_OBJECT *Device)
{
    UNICODE_STRING name;
    NTSTATUS status;

    RtlInitUnicodeString(&name, DeviceName);
    RtlInitUnicodeString(&SampleLink, LinkName);
    status = IoCreateDevice(Driver, ExtensionBytes, &name, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN, FALSE, Device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = IoCreateSymbolicLink(&SampleLink, &name);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(*Device);
        return status;
    }
    (*Device)->Flags |= DO_BUFFERED_IO;
    for (ULONG i = 0; i <= IRP_MJ_MAXIMUM_FUNCTION; i++) {
        Driver->MajorFunction[i] = SampleSucceed;
    }
    Driver->DriverUnload = SampleDeleteDevice;
    return STATUS_SUCCESS;
}

VOID SampleDeleteDevice(PDRIVER_OBJECT Driver)
{
    IoDeleteSymbolicLink(&SampleLink);
    IoDeleteDevice(Driver->DeviceObject);
}

NTSTATUS SampleSucceed(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS SampleComplete(PIRP Irp, NTSTATUS Status, ULONG_PTR Information)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = Information;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

NTSTATUS SampleOutput(PIRP Irp, NTSTATUS Status, ULONG Value)
{
    if (IoGetCurrentIrpStackLocation(Irp)->Parameters.DeviceIoControl.OutputBufferLength < sizeof(ULONG)) {
        return SampleComplete(Irp, Status, 0);
    }
    *(PULONG)Irp->AssociatedIrp.SystemBuffer = Value;
    return SampleComplete(Irp, Status, NT_SUCCESS(Status) ? sizeof(ULONG) : 0);
}

NTSTATUS SampleConnectInterrupt(ULONG Line, PKSERVICE_ROUTINE Routine, PVOID Context, PKSPIN_LOCK Lock,
                                PKINTERRUPT *Interrupt)
{
    KAFFINITY affinity;
    KIRQL irql;
    ULONG vector = HalGetInterruptVector(Isa, 0, Line, Line, &irql, &affinity);
    return IoConnectInterrupt(Interrupt, Routine, Context, Lock, vector, irql, irql, Latched, FALSE, affinity, FALSE);
}
