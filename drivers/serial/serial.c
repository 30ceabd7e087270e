// Coming and going: the code that runs at PASSIVE_LEVEL only. It is pageable and nobody ever locks it, so it may not
// hold a spin lock (R5, R6). What holds one for it is in request.c and interrupt.c.
#include "serial.h"

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGESRP0, SerialUnload)
#pragma alloc_text(PAGESRP0, SerialAddDevice)
#pragma alloc_text(PAGESRP0, SerialCreate)
#pragma alloc_text(PAGESRP0, SerialClose)
#pragma alloc_text(PAGESRP0, SerialPnp)
#pragma alloc_text(PAGESRP0, SerialSystemControl)

static VOID SerialLockRequestCode(VOID);
static VOID SerialReleaseRequestCode(VOID);
static NTSTATUS SerialConnect(PSERIAL_PORT Port);
static VOID SerialDisconnect(PSERIAL_PORT Port);
static VOID SerialDrainTransmitter(PSERIAL_PORT Port);
static NTSTATUS SerialStart(PSERIAL_PORT Port, PCM_RESOURCE_LIST Resources);
static VOID SerialRemove(PSERIAL_PORT Port);
static NTSTATUS SerialForwardAndWait(PSERIAL_PORT Port, PIRP Irp);
static VOID SerialName(PUNICODE_STRING Name, PWSTR Text, ULONG Index);
static VOID SerialInitializePort(PSERIAL_PORT Port, PDEVICE_OBJECT Device, ULONG Index);
static NTSTATUS SerialTakeIndex(PULONG Index);
static VOID SerialReturnIndex(ULONG Index);

#pragma alloc_text(PAGESRP0, SerialLockRequestCode)
#pragma alloc_text(PAGESRP0, SerialReleaseRequestCode)
#pragma alloc_text(PAGESRP0, SerialConnect)
#pragma alloc_text(PAGESRP0, SerialDisconnect)
#pragma alloc_text(PAGESRP0, SerialDrainTransmitter)
#pragma alloc_text(PAGESRP0, SerialStart)
#pragma alloc_text(PAGESRP0, SerialRemove)
#pragma alloc_text(PAGESRP0, SerialForwardAndWait)
#pragma alloc_text(PAGESRP0, SerialName)
#pragma alloc_text(PAGESRP0, SerialInitializePort)
#pragma alloc_text(PAGESRP0, SerialTakeIndex)
#pragma alloc_text(PAGESRP0, SerialReturnIndex)

SERIAL_GLOBALS SerialGlobals;

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);

    ExInitializeFastMutex(&SerialGlobals.Mutex);
    Driver->DriverUnload = SerialUnload;
    Driver->DriverExtension->AddDevice = SerialAddDevice;
    Driver->MajorFunction[IRP_MJ_CREATE] = SerialCreate;
    Driver->MajorFunction[IRP_MJ_CLOSE] = SerialClose;
    Driver->MajorFunction[IRP_MJ_CLEANUP] = SerialCleanup;
    Driver->MajorFunction[IRP_MJ_READ] = SerialRead;
    Driver->MajorFunction[IRP_MJ_WRITE] = SerialWrite;
    Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = SerialDeviceControl;
    Driver->MajorFunction[IRP_MJ_PNP] = SerialPnp;
    Driver->MajorFunction[IRP_MJ_POWER] = SerialPower;
    Driver->MajorFunction[IRP_MJ_SYSTEM_CONTROL] = SerialSystemControl;
    return STATUS_SUCCESS;
}

// All devices are gone, so all ports were closed, so the lock count of PAGESER is zero, as it must be (R17).
VOID SerialUnload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    PAGED_CODE();
    NT_ASSERT(SerialGlobals.IndexesInUse == 0);
}

// Open and close ------------------------------------------------------------------------------------------------------

// The first lock finds the section by the address of a routine in it, which searches the list of all drivers; later
// ones use the handle (R13). Each adds one to the section's count (R15). The mutex is held.
static VOID SerialLockRequestCode(VOID)
{
    PAGED_CODE();
    if (SerialGlobals.RequestCode == NULL) {
        SerialGlobals.RequestCode = MmLockPagableCodeSection((PVOID)SerialRead);
    } else {
        MmLockPagableSectionByHandle(SerialGlobals.RequestCode);
    }
}

static VOID SerialReleaseRequestCode(VOID)
{
    PAGED_CODE();
#if defined(BROKEN_UNLOCK_EARLY)
    if (InterlockedExchange(&SerialGlobals.UnlockedEarly, FALSE)) {
        return;
    }
#endif
#if defined(UNLOCK_INSIDE)
    SerialUnlockRequestCode();
#else
    MmUnlockPagableImageSection(SerialGlobals.RequestCode);
#endif
}

static NTSTATUS SerialConnect(PSERIAL_PORT Port)
{
    SERIAL_LINE_SETTINGS line = {Port, UART_CLOCK / 9600, 0x03};
    CM_PARTIAL_RESOURCE_DESCRIPTOR *resource = &Port->InterruptResource;
    NTSTATUS status;
    PAGED_CODE();

    RtlZeroMemory(&Port->Received, sizeof(Port->Received));
    RtlZeroMemory(&Port->Transmit, sizeof(Port->Transmit));
    RtlZeroMemory(&Port->Timeouts, sizeof(Port->Timeouts));
    Port->NewEvents = 0;
    Port->NewErrors = 0;
    Port->WaitMask = 0;
    Port->Errors = 0;
    Port->BaudRate = 9600;
    Port->LineControl.StopBits = STOP_BIT_1;
    Port->LineControl.Parity = NO_PARITY;
    Port->LineControl.WordLength = 8;

    status = IoConnectInterrupt(&Port->Interrupt, SerialInterrupt, Port, NULL, resource->u.Interrupt.Vector,
                                (KIRQL)resource->u.Interrupt.Level, (KIRQL)resource->u.Interrupt.Level,
                                resource->Flags & CM_RESOURCE_INTERRUPT_LATCHED ? Latched : LevelSensitive,
                                resource->ShareDisposition == CmResourceShareShared,
                                (KAFFINITY)resource->u.Interrupt.Affinity, FALSE);
    if (NT_SUCCESS(status)) {
        SerialRunSynchronized(Port, SerialSetLine, &line);
        SerialRunSynchronized(Port, SerialEnableDevice, Port);
    }
    return status;
}

// After this no interrupt comes, no timer runs, and every DPC that was queued has run.
static VOID SerialDisconnect(PSERIAL_PORT Port)
{
    PAGED_CODE();
    SerialRunSynchronized(Port, SerialDisableDevice, Port);
    IoDisconnectInterrupt(Port->Interrupt);
    Port->Interrupt = NULL;
    KeCancelTimer(&Port->ReadTimer);
    KeFlushQueuedDpcs();
}

// Gives the last bytes a second to leave.
static VOID SerialDrainTransmitter(PSERIAL_PORT Port)
{
    LARGE_INTEGER interval;
    PAGED_CODE();
    interval.QuadPart = -10 * 10000;
    for (ULONG wait = 0; wait < 100 && SerialRingUsed(&Port->Transmit) != 0; wait++) {
        KeDelayExecutionThread(KernelMode, FALSE, &interval);
    }
}

NTSTATUS SerialCreate(PDEVICE_OBJECT Device, PIRP Irp)
{
    PSERIAL_PORT port = Device->DeviceExtension;
    NTSTATUS status = STATUS_SUCCESS;
    PAGED_CODE();

    ExAcquireFastMutex(&SerialGlobals.Mutex);
    if (!port->Started) {
        status = STATUS_DEVICE_NOT_READY;
    } else if (port->Opened) {
        status = STATUS_ACCESS_DENIED;
    } else {
        port->Opened = TRUE;
        SerialLockRequestCode();
    }
    ExReleaseFastMutex(&SerialGlobals.Mutex);

    // First the code, then the interrupt that needs it (R9). Connecting needs PASSIVE_LEVEL, so not under the mutex.
    if (NT_SUCCESS(status)) {
        status = SerialConnect(port);
        if (!NT_SUCCESS(status)) {
            ExAcquireFastMutex(&SerialGlobals.Mutex);
            SerialReleaseRequestCode();
            port->Opened = FALSE;
            ExReleaseFastMutex(&SerialGlobals.Mutex);
        }
    }
    return SerialComplete(Irp, status, 0);
}

// First the interrupt and everything it set off, then the code, and for each lock one unlock (R15, R16).
NTSTATUS SerialClose(PDEVICE_OBJECT Device, PIRP Irp)
{
    PSERIAL_PORT port = Device->DeviceExtension;
    PAGED_CODE();

    SerialDrainTransmitter(port);
    SerialDisconnect(port);

    ExAcquireFastMutex(&SerialGlobals.Mutex);
    SerialReleaseRequestCode();
    port->Opened = FALSE;
    ExReleaseFastMutex(&SerialGlobals.Mutex);
    return SerialComplete(Irp, STATUS_SUCCESS, 0);
}

SECTION_FILLER(SerialPassiveFiller1, "PAGESRP0", 4096)

// Plug and Play -------------------------------------------------------------------------------------------------------

static NTSTATUS SerialTakeIndex(PULONG Index)
{
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;
    PAGED_CODE();
    ExAcquireFastMutex(&SerialGlobals.Mutex);
    for (ULONG index = 0; index < 9 && !NT_SUCCESS(status); index++) {
        if (!(SerialGlobals.IndexesInUse & (1u << index))) {
            SerialGlobals.IndexesInUse |= 1u << index;
            *Index = index;
            status = STATUS_SUCCESS;
        }
    }
    ExReleaseFastMutex(&SerialGlobals.Mutex);
    return status;
}

static VOID SerialReturnIndex(ULONG Index)
{
    PAGED_CODE();
    ExAcquireFastMutex(&SerialGlobals.Mutex);
    SerialGlobals.IndexesInUse &= ~(1u << Index);
    ExReleaseFastMutex(&SerialGlobals.Mutex);
}

// The names of port 0; SerialName puts the right digit at the end.
#define DEVICE_NAME L"\\Device\\Serial0"
#define LINK_NAME L"\\DosDevices\\COM1"

static VOID SerialName(PUNICODE_STRING Name, PWSTR Text, ULONG Index)
{
    PAGED_CODE();
    RtlInitUnicodeString(Name, Text);
    Text[Name->Length / sizeof(WCHAR) - 1] += (WCHAR)Index;
}

static VOID SerialInitializePort(PSERIAL_PORT Port, PDEVICE_OBJECT Device, ULONG Index)
{
    PAGED_CODE();
    Port->Device = Device;
    Port->Index = Index;
    KeInitializeSpinLock(&Port->Lock);
    InitializeListHead(&Port->Reads);
    InitializeListHead(&Port->Writes);
    InitializeListHead(&Port->Waits);
    KeInitializeTimer(&Port->ReadTimer);
    KeInitializeDpc(&Port->ReadTimerDpc, SerialReadTimerDpc, Port);
    KeInitializeDpc(&Port->InterruptDpc, SerialInterruptDpc, Port);
}

NTSTATUS SerialAddDevice(PDRIVER_OBJECT Driver, PDEVICE_OBJECT Physical)
{
    PDEVICE_OBJECT device;
    PSERIAL_PORT port;
    WCHAR text[] = DEVICE_NAME;
    UNICODE_STRING name;
    ULONG index;
    NTSTATUS status;
    PAGED_CODE();

    status = SerialTakeIndex(&index);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    SerialName(&name, text, index);
    status = IoCreateDevice(Driver, sizeof(SERIAL_PORT), &name, FILE_DEVICE_SERIAL_PORT, FILE_DEVICE_SECURE_OPEN, FALSE,
                            &device);
    if (!NT_SUCCESS(status)) {
        SerialReturnIndex(index);
        return status;
    }
    port = device->DeviceExtension;
    SerialInitializePort(port, device, index);
    port->Below = IoAttachDeviceToDeviceStack(device, Physical);
    if (port->Below == NULL) {
        IoDeleteDevice(device);
        SerialReturnIndex(index);
        return STATUS_NO_SUCH_DEVICE;
    }
    device->Flags |= DO_BUFFERED_IO;
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}

// Takes the ports and the interrupt that Plug and Play assigned, and sees whether a UART answers there.
static NTSTATUS SerialStart(PSERIAL_PORT Port, PCM_RESOURCE_LIST Resources)
{
    PCM_PARTIAL_RESOURCE_LIST list;
    BOOLEAN interrupt = FALSE;
    WCHAR deviceText[] = DEVICE_NAME;
    WCHAR linkText[] = LINK_NAME;
    UNICODE_STRING device;
    UNICODE_STRING link;
    PAGED_CODE();

    if (Resources == NULL || Resources->Count == 0) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    list = &Resources->List[0].PartialResourceList;
    for (ULONG i = 0; i < list->Count; i++) {
        PCM_PARTIAL_RESOURCE_DESCRIPTOR resource = &list->PartialDescriptors[i];
        if (resource->Type == CmResourceTypePort) {
            Port->Registers = (PUCHAR)(ULONG_PTR)resource->u.Port.Start.QuadPart;
        } else if (resource->Type == CmResourceTypeInterrupt) {
            Port->InterruptResource = *resource;
            interrupt = TRUE;
        }
    }
    if (Port->Registers == NULL || !interrupt) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    // The upper four bits of this register are always zero; ports that nobody answers at read as ones.
    SerialWriteRegister(Port, UART_INTERRUPT_ENABLE, 0);
    if (SerialReadRegister(Port, UART_INTERRUPT_ENABLE) != 0) {
        return STATUS_NO_SUCH_DEVICE;
    }
    SerialName(&device, deviceText, Port->Index);
    SerialName(&link, linkText, Port->Index);
    return IoCreateSymbolicLink(&link, &device);
}

static VOID SerialRemove(PSERIAL_PORT Port)
{
    PDEVICE_OBJECT device = Port->Device;
    ULONG index = Port->Index;
    WCHAR text[] = LINK_NAME;
    UNICODE_STRING link;
    PAGED_CODE();

    SerialName(&link, text, index);
    IoDeleteSymbolicLink(&link);
    IoDetachDevice(Port->Below);
    IoDeleteDevice(device);
    SerialReturnIndex(index);
}

// The devices below start first.
static NTSTATUS SerialForwardAndWait(PSERIAL_PORT Port, PIRP Irp)
{
    KEVENT done;
    NTSTATUS status;
    PAGED_CODE();

    KeInitializeEvent(&done, NotificationEvent, FALSE);
    IoCopyCurrentIrpStackLocationToNext(Irp);
    IoSetCompletionRoutine(Irp, SerialSignalEvent, &done, TRUE, TRUE, TRUE);
    status = IoCallDriver(Port->Below, Irp);
    if (status == STATUS_PENDING) {
        KeWaitForSingleObject(&done, Executive, KernelMode, FALSE, NULL);
        status = Irp->IoStatus.Status;
    }
    return status;
}

SECTION_FILLER(SerialPassiveFiller2, "PAGESRP0", 4096)

NTSTATUS SerialPnp(PDEVICE_OBJECT Device, PIRP Irp)
{
    PSERIAL_PORT port = Device->DeviceExtension;
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    PDEVICE_OBJECT below = port->Below;
    NTSTATUS status;
    PAGED_CODE();

    switch (stack->MinorFunction) {
    case IRP_MN_START_DEVICE:
        status = SerialForwardAndWait(port, Irp);
        if (NT_SUCCESS(status)) {
            status = SerialStart(port, stack->Parameters.StartDevice.AllocatedResourcesTranslated);
            port->Started = NT_SUCCESS(status);
        }
        return SerialComplete(Irp, status, 0);

    case IRP_MN_SURPRISE_REMOVAL:
        port->Started = FALSE;
        break;

    case IRP_MN_REMOVE_DEVICE:
        port->Started = FALSE;
        Irp->IoStatus.Status = STATUS_SUCCESS;
        IoSkipCurrentIrpStackLocation(Irp);
        status = IoCallDriver(below, Irp);
        SerialRemove(port);
        return status;

    case IRP_MN_QUERY_REMOVE_DEVICE:
        if (port->Opened) {
            return SerialComplete(Irp, STATUS_DEVICE_BUSY, 0);
        }
        break;
    }
    if (stack->MinorFunction == IRP_MN_QUERY_REMOVE_DEVICE || stack->MinorFunction == IRP_MN_CANCEL_REMOVE_DEVICE ||
        stack->MinorFunction == IRP_MN_SURPRISE_REMOVAL) {
        Irp->IoStatus.Status = STATUS_SUCCESS;
    }
    IoSkipCurrentIrpStackLocation(Irp);
    return IoCallDriver(below, Irp);
}

NTSTATUS SerialSystemControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PSERIAL_PORT port = Device->DeviceExtension;
    PAGED_CODE();
    IoSkipCurrentIrpStackLocation(Irp);
    return IoCallDriver(port->Below, Irp);
}
