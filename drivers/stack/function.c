// A function driver on a device that another driver's bus reports.
//
//   \Device\StackFunction  opens while the device is started
//   ioctl 0x222000         PORT: output: the port that the device was started with
//   ioctl 0x222004         LATER: output: how many requests there were, answered by a timer DPC
//
// WMI sees the same number as a block with one instance (WMILIB): it can be queried and set, as a whole or as its item 1, and
// method 1 sets it to zero and returns what it was.
#include "stack.h"

#include <wmilib.h>
#include <wmistr.h>

typedef struct _FUNCTION {
    LAYER Layer;
    PDEVICE_OBJECT Physical;
    BOOLEAN Started;
    LONG Opens;
    LONG Requests;
    ULONG Port;
    PIRP Waiting; // for the timer; the DPC is the only one who completes it
    KTIMER Timer;
    KDPC Dpc;
} FUNCTION, *PFUNCTION;

DRIVER_INITIALIZE DriverEntry;
DRIVER_ADD_DEVICE FunctionAddDevice;
DRIVER_UNLOAD FunctionUnload;
DRIVER_DISPATCH FunctionCreate;
DRIVER_DISPATCH FunctionClose;
DRIVER_DISPATCH FunctionCleanup;
DRIVER_DISPATCH FunctionDeviceControl;
DRIVER_DISPATCH FunctionPnp;
DRIVER_DISPATCH FunctionPower;
DRIVER_DISPATCH FunctionSystemControl;
static KDEFERRED_ROUTINE FunctionTimer;
static NTSTATUS FunctionStart(PFUNCTION Function, PIRP Irp);
static WMI_QUERY_REGINFO_CALLBACK FunctionQueryRegInfo;
static WMI_QUERY_DATABLOCK_CALLBACK FunctionQueryDataBlock;
static WMI_SET_DATABLOCK_CALLBACK FunctionSetDataBlock;
static WMI_SET_DATAITEM_CALLBACK FunctionSetDataItem;
static WMI_EXECUTE_METHOD_CALLBACK FunctionExecuteMethod;

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, FunctionAddDevice)
#pragma alloc_text(PAGE, FunctionUnload)
#pragma alloc_text(PAGE, FunctionCreate)
#pragma alloc_text(PAGE, FunctionClose)
#pragma alloc_text(PAGE, FunctionCleanup)
#pragma alloc_text(PAGE, FunctionPnp)
#pragma alloc_text(PAGE, FunctionStart)
#pragma alloc_text(PAGE, FunctionSystemControl)
#pragma alloc_text(PAGE, FunctionQueryRegInfo)
#pragma alloc_text(PAGE, FunctionQueryDataBlock)
#pragma alloc_text(PAGE, FunctionSetDataBlock)
#pragma alloc_text(PAGE, FunctionSetDataItem)
#pragma alloc_text(PAGE, FunctionExecuteMethod)

static UNICODE_STRING RegistryPathOfDriver;

// {6E6F6E70-6167-6564-0000-737461636B00}
static const GUID RequestsGuid = { 0x6E6F6E70, 0x6167, 0x6564, { 0, 0, 0x73, 0x74, 0x61, 0x63, 0x6B, 0 } };
static WMIGUIDREGINFO Blocks[] = { { &RequestsGuid, 1, WMIREG_FLAG_INSTANCE_PDO } };
static WMILIB_CONTEXT Wmi = { 1,
                              Blocks,
                              FunctionQueryRegInfo,
                              FunctionQueryDataBlock,
                              FunctionSetDataBlock,
                              FunctionSetDataItem,
                              FunctionExecuteMethod,
                              NULL };

NTSTATUS FunctionAddDevice(PDRIVER_OBJECT Driver, PDEVICE_OBJECT Physical)
{
    PFUNCTION function;
    PLAYER layer;
    NTSTATUS status;
    PAGED_CODE();

    status = LayerAttach(Driver, Physical, L"\\Device\\StackFunction", sizeof(FUNCTION), &layer);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    function = (PFUNCTION)layer;
    function->Physical = Physical;
    KeInitializeTimer(&function->Timer);
    KeInitializeDpc(&function->Dpc, FunctionTimer, function);
    layer->Self->Flags |= DO_BUFFERED_IO;
    layer->Self->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}

NTSTATUS FunctionCreate(PDEVICE_OBJECT Device, PIRP Irp)
{
    PFUNCTION function = Device->DeviceExtension;
    PAGED_CODE();
    if (!function->Started) {
        return SampleComplete(Irp, STATUS_DEVICE_NOT_READY, 0);
    }
    InterlockedIncrement(&function->Opens);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS FunctionCleanup(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    PAGED_CODE();
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS FunctionClose(PDEVICE_OBJECT Device, PIRP Irp)
{
    PAGED_CODE();
    InterlockedDecrement(&((PFUNCTION)Device->DeviceExtension)->Opens);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static VOID FunctionTimer(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    PFUNCTION function = Context;
    PIRP irp = InterlockedExchangePointer((PVOID *)&function->Waiting, NULL);
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    if (irp != NULL) {
        SampleOutput(irp, STATUS_SUCCESS, function->Requests);
        IoReleaseRemoveLock(&function->Layer.RemoveLock, irp);
    }
}

NTSTATUS FunctionDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PFUNCTION function = Device->DeviceExtension;
    LARGE_INTEGER soon;
    NTSTATUS status = IoAcquireRemoveLock(&function->Layer.RemoveLock, Irp);

    if (!NT_SUCCESS(status)) {
        return SampleComplete(Irp, status, 0);
    }
    InterlockedIncrement(&function->Requests);
    switch (SampleControlCode(Irp)) {
    case SAMPLE_IOCTL(0):
        status = SampleOutput(Irp, STATUS_SUCCESS, function->Port);
        break;
    case SAMPLE_IOCTL(1):
        IoMarkIrpPending(Irp);
        if (InterlockedCompareExchangePointer((PVOID *)&function->Waiting, Irp, NULL) == NULL) {
            soon.QuadPart = -10 * 1000; // 1 ms
            KeSetTimer(&function->Timer, soon, &function->Dpc);
            return STATUS_PENDING; // the DPC gives the remove lock back
        }
        SampleComplete(Irp, STATUS_DEVICE_BUSY, 0);
        status = STATUS_PENDING;
        break;
    default:
        status = SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
        break;
    }
    IoReleaseRemoveLock(&function->Layer.RemoveLock, Irp);
    return status;
}

// The devices below have started: the resources are the driver's.
static NTSTATUS FunctionStart(PFUNCTION Function, PIRP Irp)
{
    PCM_RESOURCE_LIST list = IoGetCurrentIrpStackLocation(Irp)->Parameters.StartDevice.AllocatedResourcesTranslated;
    PCM_PARTIAL_RESOURCE_DESCRIPTOR port;
    PAGED_CODE();

    if (list == NULL || list->Count == 0 || list->List[0].PartialResourceList.Count == 0) {
        return STATUS_DEVICE_CONFIGURATION_ERROR;
    }
    port = &list->List[0].PartialResourceList.PartialDescriptors[0];
    if (port->Type != CmResourceTypePort) {
        return STATUS_DEVICE_CONFIGURATION_ERROR;
    }
    Function->Port = port->u.Port.Start.LowPart;
    Function->Started = TRUE;
    return IoWMIRegistrationControl(Function->Layer.Self, WMIREG_ACTION_REGISTER);
}

NTSTATUS FunctionPnp(PDEVICE_OBJECT Device, PIRP Irp)
{
    PFUNCTION function = Device->DeviceExtension;
    NTSTATUS status = IoAcquireRemoveLock(&function->Layer.RemoveLock, Irp);
    PAGED_CODE();

    if (!NT_SUCCESS(status)) {
        return SampleComplete(Irp, status, 0);
    }
    switch (IoGetCurrentIrpStackLocation(Irp)->MinorFunction) {
    case IRP_MN_START_DEVICE:
        status = LayerForward(&function->Layer, Irp);
        if (NT_SUCCESS(status)) {
            status = FunctionStart(function, Irp);
        }
        IoReleaseRemoveLock(&function->Layer.RemoveLock, Irp);
        return SampleComplete(Irp, status, 0);
    case IRP_MN_QUERY_STOP_DEVICE:
    case IRP_MN_QUERY_REMOVE_DEVICE: // not while somebody uses it: the request goes no further down
        if (function->Opens != 0) {
            IoReleaseRemoveLock(&function->Layer.RemoveLock, Irp);
            return SampleComplete(Irp, STATUS_DEVICE_BUSY, 0);
        }
        function->Started = FALSE;
        Irp->IoStatus.Status = STATUS_SUCCESS;
        break;
    case IRP_MN_CANCEL_STOP_DEVICE:
    case IRP_MN_CANCEL_REMOVE_DEVICE: // the devices below are back first
        status = LayerForward(&function->Layer, Irp);
        function->Started = TRUE;
        IoReleaseRemoveLock(&function->Layer.RemoveLock, Irp);
        return SampleComplete(Irp, STATUS_SUCCESS, 0);
    case IRP_MN_STOP_DEVICE:
    case IRP_MN_SURPRISE_REMOVAL:
        function->Started = FALSE;
        IoWMIRegistrationControl(function->Layer.Self, WMIREG_ACTION_DEREGISTER);
        Irp->IoStatus.Status = STATUS_SUCCESS;
        break;
    case IRP_MN_REMOVE_DEVICE:
        if (function->Port != 0) {
            IoWMIRegistrationControl(function->Layer.Self, WMIREG_ACTION_DEREGISTER);
        }
        Irp->IoStatus.Status = STATUS_SUCCESS;
        status = LayerPassDown(&function->Layer, Irp);
        LayerDetach(&function->Layer, Irp);
        return status;
    }
    status = LayerPassDown(&function->Layer, Irp);
    IoReleaseRemoveLock(&function->Layer.RemoveLock, Irp);
    return status;
}

// At DISPATCH_LEVEL. The devices below hold the power.
NTSTATUS FunctionPower(PDEVICE_OBJECT Device, PIRP Irp)
{
    IoSkipCurrentIrpStackLocation(Irp);
    return PoCallDriver(((PFUNCTION)Device->DeviceExtension)->Layer.Below, Irp);
}

NTSTATUS FunctionSystemControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    SYSCTL_IRP_DISPOSITION disposition;
    NTSTATUS status = WmiSystemControl(&Wmi, Device, Irp, &disposition);
    PAGED_CODE();

    switch (disposition) {
    case IrpProcessed:
        return status;
    case IrpNotCompleted:
        IoCompleteRequest(Irp, IO_NO_INCREMENT);
        return status;
    default:
        return LayerPassDown(Device->DeviceExtension, Irp);
    }
}

static NTSTATUS FunctionQueryRegInfo(PDEVICE_OBJECT Device, PULONG RegFlags, PUNICODE_STRING InstanceName,
                                     PUNICODE_STRING *RegistryPath, PUNICODE_STRING MofResourceName, PDEVICE_OBJECT *Pdo)
{
    UNREFERENCED_PARAMETER(InstanceName);
    UNREFERENCED_PARAMETER(MofResourceName);
    PAGED_CODE();
    *RegFlags = WMIREG_FLAG_INSTANCE_PDO;
    *RegistryPath = &RegistryPathOfDriver;
    *Pdo = ((PFUNCTION)Device->DeviceExtension)->Physical;
    return STATUS_SUCCESS;
}

static NTSTATUS FunctionQueryDataBlock(PDEVICE_OBJECT Device, PIRP Irp, ULONG GuidIndex, ULONG InstanceIndex,
                                       ULONG InstanceCount, PULONG InstanceLengthArray, ULONG BufferAvail, PUCHAR Buffer)
{
    PFUNCTION function = Device->DeviceExtension;
    PAGED_CODE();
    if (GuidIndex != 0 || InstanceIndex != 0 || InstanceCount != 1) {
        return WmiCompleteRequest(Device, Irp, STATUS_WMI_INSTANCE_NOT_FOUND, 0, IO_NO_INCREMENT);
    }
    if (BufferAvail < sizeof(ULONG)) {
        return WmiCompleteRequest(Device, Irp, STATUS_BUFFER_TOO_SMALL, sizeof(ULONG), IO_NO_INCREMENT);
    }
    *(PULONG)Buffer = function->Requests;
    *InstanceLengthArray = sizeof(ULONG);
    return WmiCompleteRequest(Device, Irp, STATUS_SUCCESS, sizeof(ULONG), IO_NO_INCREMENT);
}

static NTSTATUS FunctionSetDataBlock(PDEVICE_OBJECT Device, PIRP Irp, ULONG GuidIndex, ULONG InstanceIndex,
                                     ULONG BufferSize, PUCHAR Buffer)
{
    PFUNCTION function = Device->DeviceExtension;
    NTSTATUS status = STATUS_SUCCESS;
    PAGED_CODE();
    if (GuidIndex != 0 || InstanceIndex != 0) {
        status = STATUS_WMI_INSTANCE_NOT_FOUND;
    } else if (BufferSize != sizeof(ULONG)) {
        status = STATUS_WMI_SET_FAILURE;
    } else {
        InterlockedExchange(&function->Requests, *(PLONG)Buffer);
    }
    return WmiCompleteRequest(Device, Irp, status, 0, IO_NO_INCREMENT);
}

static NTSTATUS FunctionSetDataItem(PDEVICE_OBJECT Device, PIRP Irp, ULONG GuidIndex, ULONG InstanceIndex,
                                    ULONG DataItemId, ULONG BufferSize, PUCHAR Buffer)
{
    PAGED_CODE();
    if (DataItemId != 1) {
        return WmiCompleteRequest(Device, Irp, STATUS_WMI_ITEMID_NOT_FOUND, 0, IO_NO_INCREMENT);
    }
    return FunctionSetDataBlock(Device, Irp, GuidIndex, InstanceIndex, BufferSize, Buffer);
}

static NTSTATUS FunctionExecuteMethod(PDEVICE_OBJECT Device, PIRP Irp, ULONG GuidIndex, ULONG InstanceIndex,
                                      ULONG MethodId, ULONG InBufferSize, ULONG OutBufferSize, PUCHAR Buffer)
{
    PFUNCTION function = Device->DeviceExtension;
    UNREFERENCED_PARAMETER(InBufferSize);
    PAGED_CODE();
    if (GuidIndex != 0 || InstanceIndex != 0 || MethodId != 1) {
        return WmiCompleteRequest(Device, Irp, STATUS_WMI_ITEMID_NOT_FOUND, 0, IO_NO_INCREMENT);
    }
    if (OutBufferSize < sizeof(ULONG)) {
        return WmiCompleteRequest(Device, Irp, STATUS_BUFFER_TOO_SMALL, sizeof(ULONG), IO_NO_INCREMENT);
    }
    *(PLONG)Buffer = InterlockedExchange(&function->Requests, 0);
    return WmiCompleteRequest(Device, Irp, STATUS_SUCCESS, sizeof(ULONG), IO_NO_INCREMENT);
}

VOID FunctionUnload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    PAGED_CODE();
    ExFreePoolWithTag(RegistryPathOfDriver.Buffer, STACK_TAG);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    RegistryPathOfDriver.Length = RegistryPath->Length;
    RegistryPathOfDriver.MaximumLength = RegistryPath->Length;
    RegistryPathOfDriver.Buffer = ExAllocatePoolWithTag(PagedPool, RegistryPath->Length, STACK_TAG);
    if (RegistryPathOfDriver.Buffer == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlCopyMemory(RegistryPathOfDriver.Buffer, RegistryPath->Buffer, RegistryPath->Length);
    Driver->DriverUnload = FunctionUnload;
    Driver->DriverExtension->AddDevice = FunctionAddDevice;
    Driver->MajorFunction[IRP_MJ_CREATE] = FunctionCreate;
    Driver->MajorFunction[IRP_MJ_CLEANUP] = FunctionCleanup;
    Driver->MajorFunction[IRP_MJ_CLOSE] = FunctionClose;
    Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = FunctionDeviceControl;
    Driver->MajorFunction[IRP_MJ_PNP] = FunctionPnp;
    Driver->MajorFunction[IRP_MJ_POWER] = FunctionPower;
    Driver->MajorFunction[IRP_MJ_SYSTEM_CONTROL] = FunctionSystemControl;
    return STATUS_SUCCESS;
}
