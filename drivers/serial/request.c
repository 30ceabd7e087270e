// Everything that serves a request of an open port. This whole file is section PAGESER: it is in memory exactly while
// a port is open, because open locks the section and close unlocks it. So it may hold spin locks and be called by a
// DPC (R5), although it is pageable code.
#include "serial.h"

#pragma code_seg("PAGESER")

// The queues ----------------------------------------------------------------------------------------------------------

// Takes a request out of its queue; the lock is held. A timer that runs for it must not hit the next one: if it can
// be stopped neither as a timer nor as a DPC, its DPC is waiting for our lock, and is told to ignore this expiration.
static VOID SerialUnlink(PSERIAL_PORT Port, PIRP Irp)
{
    PLIST_ENTRY entry = &Irp->Tail.Overlay.ListEntry;
    if (Port->TimerArmed && Port->Reads.Flink == entry) {
        Port->TimerArmed = FALSE;
        if (!KeCancelTimer(&Port->ReadTimer) && !KeRemoveQueueDpc(&Port->ReadTimerDpc)) {
            Port->StaleTimeouts++;
        }
    }
    RemoveEntryList(entry);
    InitializeListHead(entry);
}

// Moves a request from its queue to Done, unless it is being cancelled: then SerialCancel waits for the lock and will
// complete it.
static VOID SerialRetire(PSERIAL_PORT Port, PIRP Irp, NTSTATUS Status, PLIST_ENTRY Done)
{
    SerialUnlink(Port, Irp);
    if (IoSetCancelRoutine(Irp, NULL) != NULL) {
        Irp->IoStatus.Status = Status;
        InsertTailList(Done, &Irp->Tail.Overlay.ListEntry);
    }
}

static VOID SerialRetireAll(PSERIAL_PORT Port, PLIST_ENTRY Queue, NTSTATUS Status, PLIST_ENTRY Done)
{
    while (!IsListEmpty(Queue)) {
        SerialRetire(Port, CONTAINING_RECORD(Queue->Flink, IRP, Tail.Overlay.ListEntry), Status, Done);
    }
}

// Called with the cancel spin lock held, at DISPATCH_LEVEL.
VOID SerialCancel(PDEVICE_OBJECT Device, PIRP Irp)
{
    PSERIAL_PORT port = Device->DeviceExtension;
    LIST_ENTRY done;
    KIRQL irql;
    PAGED_CODE_LOCKED();

    IoReleaseCancelSpinLock(Irp->CancelIrql);
    InitializeListHead(&done);
    KeAcquireSpinLock(&port->Lock, &irql);
    SerialUnlink(port, Irp);
    SerialServicePort(port, &done);
    KeReleaseSpinLock(&port->Lock, irql);
    SerialComplete(Irp, STATUS_CANCELLED, 0);
    SerialCompleteAll(&done);
}

// The service routines: what the hardware delivered meets what was asked for. The lock is held, IRQL is DISPATCH_LEVEL -

// The one combination of timeouts that means "return what is there".
static BOOLEAN SerialReturnsAtOnce(PSERIAL_PORT Port)
{
    return Port->Timeouts.ReadIntervalTimeout == MAXULONG && Port->Timeouts.ReadTotalTimeoutMultiplier == 0 &&
           Port->Timeouts.ReadTotalTimeoutConstant == 0;
}

static VOID SerialArmReadTimer(PSERIAL_PORT Port, ULONG Length)
{
    ULONGLONG milliseconds = (ULONGLONG)Port->Timeouts.ReadTotalTimeoutMultiplier * Length +
                             Port->Timeouts.ReadTotalTimeoutConstant;
    LARGE_INTEGER due;
    if (milliseconds == 0 || Port->TimerArmed) {
        return;
    }
    due.QuadPart = -(LONGLONG)milliseconds * 10000;
    Port->TimerArmed = TRUE;
    KeSetTimer(&Port->ReadTimer, due, &Port->ReadTimerDpc);
}

static VOID SerialServiceReads(PSERIAL_PORT Port, PLIST_ENTRY Done)
{
    while (!IsListEmpty(&Port->Reads)) {
        PIRP irp = CONTAINING_RECORD(Port->Reads.Flink, IRP, Tail.Overlay.ListEntry);
        ULONG length = IoGetCurrentIrpStackLocation(irp)->Parameters.Read.Length;
        PUCHAR buffer = irp->AssociatedIrp.SystemBuffer;

        while (irp->IoStatus.Information < length &&
               SerialRingGet(&Port->Received, buffer + irp->IoStatus.Information)) {
            irp->IoStatus.Information++;
        }
        if (irp->IoStatus.Information < length && !SerialReturnsAtOnce(Port)) {
            SerialArmReadTimer(Port, length);
            return;
        }
        SerialRetire(Port, irp, STATUS_SUCCESS, Done);
    }
}

SECTION_FILLER(SerialRequestFiller1, "PAGESER", 4096)

// A write is complete when its last byte is in the ring; close waits until the ring is empty.
static VOID SerialServiceWrites(PSERIAL_PORT Port, PLIST_ENTRY Done)
{
    BOOLEAN full = FALSE;
    while (!full && !IsListEmpty(&Port->Writes)) {
        PIRP irp = CONTAINING_RECORD(Port->Writes.Flink, IRP, Tail.Overlay.ListEntry);
        ULONG length = IoGetCurrentIrpStackLocation(irp)->Parameters.Write.Length;
        PUCHAR buffer = irp->AssociatedIrp.SystemBuffer;

        while (!full && irp->IoStatus.Information < length) {
            full = !SerialRingPut(&Port->Transmit, buffer[irp->IoStatus.Information]);
            irp->IoStatus.Information += full ? 0 : 1;
        }
        if (!full) {
            SerialRetire(Port, irp, STATUS_SUCCESS, Done);
        }
    }
    if (SerialRingUsed(&Port->Transmit) != 0) {
        SerialRunSynchronized(Port, SerialStartTransmit, Port);
    }
}

static VOID SerialServiceWaits(PSERIAL_PORT Port, PLIST_ENTRY Done)
{
    Port->Errors |= InterlockedExchange(&Port->NewErrors, 0);
    Port->EventHistory |= InterlockedExchange(&Port->NewEvents, 0) & Port->WaitMask;
    if (Port->EventHistory != 0 && !IsListEmpty(&Port->Waits)) {
        PIRP irp = CONTAINING_RECORD(Port->Waits.Flink, IRP, Tail.Overlay.ListEntry);
        *(PULONG)irp->AssociatedIrp.SystemBuffer = Port->EventHistory;
        irp->IoStatus.Information = sizeof(ULONG);
        Port->EventHistory = 0;
        SerialRetire(Port, irp, STATUS_SUCCESS, Done);
    }
}

// Called by the interrupt's DPC and by whoever queues or cancels a request.
VOID SerialServicePort(PSERIAL_PORT Port, PLIST_ENTRY Done)
{
    PAGED_CODE_LOCKED();
    SerialServiceReads(Port, Done);
    SerialServiceWrites(Port, Done);
    SerialServiceWaits(Port, Done);
}

// Called by the timer's DPC.
VOID SerialReadTimedOut(PSERIAL_PORT Port, PLIST_ENTRY Done)
{
    PAGED_CODE_LOCKED();
    if (Port->StaleTimeouts != 0) {
        Port->StaleTimeouts--;
        return;
    }
    if (Port->TimerArmed) {
        Port->TimerArmed = FALSE;
        SerialRetire(Port, CONTAINING_RECORD(Port->Reads.Flink, IRP, Tail.Overlay.ListEntry), STATUS_TIMEOUT, Done);
        SerialServicePort(Port, Done);
    }
}

// Reads and writes ----------------------------------------------------------------------------------------------------

// Queues a request and serves what can be served now. Returns whether the queue still holds requests.
static BOOLEAN SerialQueue(PSERIAL_PORT Port, PLIST_ENTRY Queue, PIRP Irp)
{
    LIST_ENTRY done;
    KIRQL irql;
    BOOLEAN queued;

    Irp->IoStatus.Information = 0;
    InitializeListHead(&done);
    IoMarkIrpPending(Irp);
    KeAcquireSpinLock(&Port->Lock, &irql);
    InsertTailList(Queue, &Irp->Tail.Overlay.ListEntry);
    IoSetCancelRoutine(Irp, SerialCancel);
    if (Irp->Cancel) {
        SerialRetire(Port, Irp, STATUS_CANCELLED, &done);
    }
    SerialServicePort(Port, &done);
    queued = !IsListEmpty(Queue);
    KeReleaseSpinLock(&Port->Lock, irql);
    SerialCompleteAll(&done);
    return queued;
}

#ifdef BROKEN_UNLOCK_EARLY
// The mistake of serial-broken: "the request is on its way, so the code can go". The request is completed by the
// interrupt's DPC, which needs this very section (R16).
static VOID SerialUnlockTooEarly(BOOLEAN Queued)
{
    if (Queued && InterlockedExchange(&SerialGlobals.UnlockedEarly, TRUE) == FALSE) {
        MmUnlockPagableImageSection(SerialGlobals.RequestCode);
    }
}
#endif

NTSTATUS SerialRead(PDEVICE_OBJECT Device, PIRP Irp)
{
    PSERIAL_PORT port = Device->DeviceExtension;
    PAGED_CODE_LOCKED();
#ifdef BROKEN_UNLOCK_EARLY
    SerialUnlockTooEarly(SerialQueue(port, &port->Reads, Irp));
#else
    SerialQueue(port, &port->Reads, Irp);
#endif
    return STATUS_PENDING;
}

NTSTATUS SerialWrite(PDEVICE_OBJECT Device, PIRP Irp)
{
    PSERIAL_PORT port = Device->DeviceExtension;
    PAGED_CODE_LOCKED();
    SerialQueue(port, &port->Writes, Irp);
    return STATUS_PENDING;
}

// The last handle is gone: nobody waits for these requests any more, and none may be left when close unlocks (R16).
NTSTATUS SerialCleanup(PDEVICE_OBJECT Device, PIRP Irp)
{
    PSERIAL_PORT port = Device->DeviceExtension;
    LIST_ENTRY done;
    KIRQL irql;
    PAGED_CODE_LOCKED();

    InitializeListHead(&done);
    KeAcquireSpinLock(&port->Lock, &irql);
    SerialRetireAll(port, &port->Reads, STATUS_CANCELLED, &done);
    SerialRetireAll(port, &port->Writes, STATUS_CANCELLED, &done);
    SerialRetireAll(port, &port->Waits, STATUS_CANCELLED, &done);
    KeReleaseSpinLock(&port->Lock, irql);
    SerialCompleteAll(&done);
    return SerialComplete(Irp, STATUS_SUCCESS, 0);
}

SECTION_FILLER(SerialRequestFiller2, "PAGESER", 4096)

// Device control ------------------------------------------------------------------------------------------------------

typedef struct _SERIAL_REQUEST {
    PVOID Buffer; // input and output
    ULONG InputLength;
    ULONG OutputLength;
    ULONG_PTR Information;
} SERIAL_REQUEST, *PSERIAL_REQUEST;

// The buffer as a Type, or NULL if it is too short.
#define SERIAL_INPUT(Request, Type) ((Request)->InputLength < sizeof(Type) ? NULL : (Type *)(Request)->Buffer)
#define SERIAL_OUTPUT(Request, Type)                                                                \
    ((Request)->OutputLength < sizeof(Type) ? NULL                                                  \
                                            : ((Request)->Information = sizeof(Type), (Type *)(Request)->Buffer))

static UCHAR SerialLineControlByte(const SERIAL_LINE_CONTROL *Line)
{
    static const UCHAR parity[] = {0x00, 0x08, 0x18, 0x28, 0x38};
    return (UCHAR)(Line->WordLength - 5) | (Line->StopBits == STOP_BIT_1 ? 0x00 : 0x04) | parity[Line->Parity];
}

static NTSTATUS SerialApplyLine(PSERIAL_PORT Port, ULONG BaudRate, const SERIAL_LINE_CONTROL *Line)
{
    SERIAL_LINE_SETTINGS settings;
    KIRQL irql;

    settings.Port = Port;
    settings.Divisor = (USHORT)(UART_CLOCK / BaudRate);
    settings.LineControl = SerialLineControlByte(Line);
    KeAcquireSpinLock(&Port->Lock, &irql);
    Port->BaudRate = BaudRate;
    Port->LineControl = *Line;
    SerialRunSynchronized(Port, SerialSetLine, &settings);
    KeReleaseSpinLock(&Port->Lock, irql);
    return STATUS_SUCCESS;
}

static NTSTATUS SerialSetBaudRate(PSERIAL_PORT Port, PSERIAL_REQUEST Request)
{
    SERIAL_BAUD_RATE *rate = SERIAL_INPUT(Request, SERIAL_BAUD_RATE);
    if (rate == NULL) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    // The divisor must come out even, and fit its sixteen bits.
    if (rate->BaudRate < 2 || UART_CLOCK % rate->BaudRate != 0) {
        return STATUS_INVALID_PARAMETER;
    }
    return SerialApplyLine(Port, rate->BaudRate, &Port->LineControl);
}

static NTSTATUS SerialGetBaudRate(PSERIAL_PORT Port, PSERIAL_REQUEST Request)
{
    SERIAL_BAUD_RATE *rate = SERIAL_OUTPUT(Request, SERIAL_BAUD_RATE);
    if (rate == NULL) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    rate->BaudRate = Port->BaudRate;
    return STATUS_SUCCESS;
}

static NTSTATUS SerialSetLineControl(PSERIAL_PORT Port, PSERIAL_REQUEST Request)
{
    SERIAL_LINE_CONTROL *line = SERIAL_INPUT(Request, SERIAL_LINE_CONTROL);
    if (line == NULL) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    if (line->WordLength < 5 || line->WordLength > 8 || line->Parity > SPACE_PARITY || line->StopBits > STOP_BITS_2) {
        return STATUS_INVALID_PARAMETER;
    }
    return SerialApplyLine(Port, Port->BaudRate, line);
}

static NTSTATUS SerialGetLineControl(PSERIAL_PORT Port, PSERIAL_REQUEST Request)
{
    SERIAL_LINE_CONTROL *line = SERIAL_OUTPUT(Request, SERIAL_LINE_CONTROL);
    if (line == NULL) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    *line = Port->LineControl;
    return STATUS_SUCCESS;
}

// This driver knows the total timeout and "return at once", not the time between two characters.
static NTSTATUS SerialSetTimeouts(PSERIAL_PORT Port, PSERIAL_REQUEST Request)
{
    SERIAL_TIMEOUTS *timeouts = SERIAL_INPUT(Request, SERIAL_TIMEOUTS);
    KIRQL irql;
    if (timeouts == NULL) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    if (timeouts->ReadIntervalTimeout != 0 && timeouts->ReadIntervalTimeout != MAXULONG) {
        return STATUS_NOT_SUPPORTED;
    }
    KeAcquireSpinLock(&Port->Lock, &irql);
    Port->Timeouts = *timeouts;
    KeReleaseSpinLock(&Port->Lock, irql);
    return STATUS_SUCCESS;
}

static NTSTATUS SerialGetTimeouts(PSERIAL_PORT Port, PSERIAL_REQUEST Request)
{
    SERIAL_TIMEOUTS *timeouts = SERIAL_OUTPUT(Request, SERIAL_TIMEOUTS);
    if (timeouts == NULL) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    *timeouts = Port->Timeouts;
    return STATUS_SUCCESS;
}

static NTSTATUS SerialChangeModemControl(PSERIAL_PORT Port, UCHAR Clear, UCHAR Set)
{
    KIRQL irql;
    KeAcquireSpinLock(&Port->Lock, &irql);
    SerialWriteRegister(Port, UART_MODEM_CONTROL, (SerialReadRegister(Port, UART_MODEM_CONTROL) & ~Clear) | Set);
    KeReleaseSpinLock(&Port->Lock, irql);
    return STATUS_SUCCESS;
}

static NTSTATUS SerialReportModemStatus(PSERIAL_PORT Port, PSERIAL_REQUEST Request)
{
    SERIAL_MODEM_STATUS modem = {Port, 0};
    ULONG *status = SERIAL_OUTPUT(Request, ULONG);
    if (status == NULL) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    SerialRunSynchronized(Port, SerialGetModemStatus, &modem);
    *status = modem.Status;
    return STATUS_SUCCESS;
}

static NTSTATUS SerialReportStatus(PSERIAL_PORT Port, PSERIAL_REQUEST Request)
{
    SERIAL_STATUS *status = SERIAL_OUTPUT(Request, SERIAL_STATUS);
    KIRQL irql;
    if (status == NULL) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    KeAcquireSpinLock(&Port->Lock, &irql);
    status->Errors = Port->Errors;
    status->HoldReasons = 0;
    status->AmountInInQueue = SerialRingUsed(&Port->Received);
    status->AmountInOutQueue = SerialRingUsed(&Port->Transmit);
    status->EofReceived = FALSE;
    status->WaitForImmediate = FALSE;
    Port->Errors = 0;
    KeReleaseSpinLock(&Port->Lock, irql);
    return STATUS_SUCCESS;
}

static NTSTATUS SerialPurge(PSERIAL_PORT Port, PSERIAL_REQUEST Request)
{
    ULONG *mask = SERIAL_INPUT(Request, ULONG);
    LIST_ENTRY done;
    KIRQL irql;
    if (mask == NULL) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    InitializeListHead(&done);
    KeAcquireSpinLock(&Port->Lock, &irql);
    if (*mask & SERIAL_PURGE_RXABORT) {
        SerialRetireAll(Port, &Port->Reads, STATUS_CANCELLED, &done);
    }
    if (*mask & SERIAL_PURGE_TXABORT) {
        SerialRetireAll(Port, &Port->Writes, STATUS_CANCELLED, &done);
    }
    if (*mask & SERIAL_PURGE_RXCLEAR) {
        Port->Received.Out = Port->Received.In;
    }
    if (*mask & SERIAL_PURGE_TXCLEAR) {
        SerialRunSynchronized(Port, SerialClearTransmit, Port);
    }
    SerialServicePort(Port, &done);
    KeReleaseSpinLock(&Port->Lock, irql);
    SerialCompleteAll(&done);
    return STATUS_SUCCESS;
}

// A new mask ends the wait for the old one, which learns that nothing happened.
static NTSTATUS SerialSetWaitMask(PSERIAL_PORT Port, PSERIAL_REQUEST Request)
{
    ULONG *mask = SERIAL_INPUT(Request, ULONG);
    LIST_ENTRY done;
    KIRQL irql;
    if (mask == NULL) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    InitializeListHead(&done);
    KeAcquireSpinLock(&Port->Lock, &irql);
    Port->WaitMask = *mask;
    Port->EventHistory = 0;
    if (!IsListEmpty(&Port->Waits)) {
        PIRP irp = CONTAINING_RECORD(Port->Waits.Flink, IRP, Tail.Overlay.ListEntry);
        *(PULONG)irp->AssociatedIrp.SystemBuffer = 0;
        irp->IoStatus.Information = sizeof(ULONG);
        SerialRetire(Port, irp, STATUS_SUCCESS, &done);
    }
    KeReleaseSpinLock(&Port->Lock, irql);
    SerialCompleteAll(&done);
    return STATUS_SUCCESS;
}

static NTSTATUS SerialGetWaitMask(PSERIAL_PORT Port, PSERIAL_REQUEST Request)
{
    ULONG *mask = SERIAL_OUTPUT(Request, ULONG);
    if (mask == NULL) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    *mask = Port->WaitMask;
    return STATUS_SUCCESS;
}

// One wait at a time. Returns STATUS_PENDING once the request is queued: it is not the caller's to complete then.
static NTSTATUS SerialWaitOnMask(PSERIAL_PORT Port, PSERIAL_REQUEST Request, PIRP Irp)
{
    if (Request->OutputLength < sizeof(ULONG)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    if (Port->WaitMask == 0 || !IsListEmpty(&Port->Waits)) {
        return STATUS_INVALID_PARAMETER;
    }
    SerialQueue(Port, &Port->Waits, Irp);
    return STATUS_PENDING;
}

static NTSTATUS SerialLineRequest(PSERIAL_PORT Port, ULONG Code, PSERIAL_REQUEST Request)
{
    switch (Code) {
    case IOCTL_SERIAL_SET_BAUD_RATE:
        return SerialSetBaudRate(Port, Request);
    case IOCTL_SERIAL_GET_BAUD_RATE:
        return SerialGetBaudRate(Port, Request);
    case IOCTL_SERIAL_SET_LINE_CONTROL:
        return SerialSetLineControl(Port, Request);
    case IOCTL_SERIAL_GET_LINE_CONTROL:
        return SerialGetLineControl(Port, Request);
    case IOCTL_SERIAL_SET_TIMEOUTS:
        return SerialSetTimeouts(Port, Request);
    case IOCTL_SERIAL_GET_TIMEOUTS:
        return SerialGetTimeouts(Port, Request);
    default:
        return STATUS_INVALID_DEVICE_REQUEST;
    }
}

static NTSTATUS SerialSignalRequest(PSERIAL_PORT Port, ULONG Code, PSERIAL_REQUEST Request)
{
    switch (Code) {
    case IOCTL_SERIAL_SET_DTR:
        return SerialChangeModemControl(Port, 0, MCR_DTR);
    case IOCTL_SERIAL_CLR_DTR:
        return SerialChangeModemControl(Port, MCR_DTR, 0);
    case IOCTL_SERIAL_SET_RTS:
        return SerialChangeModemControl(Port, 0, MCR_RTS);
    case IOCTL_SERIAL_CLR_RTS:
        return SerialChangeModemControl(Port, MCR_RTS, 0);
    case IOCTL_SERIAL_GET_MODEMSTATUS:
        return SerialReportModemStatus(Port, Request);
    case IOCTL_SERIAL_GET_COMMSTATUS:
        return SerialReportStatus(Port, Request);
    case IOCTL_SERIAL_PURGE:
        return SerialPurge(Port, Request);
    default:
        return STATUS_INVALID_DEVICE_REQUEST;
    }
}

static NTSTATUS SerialEventRequest(PSERIAL_PORT Port, ULONG Code, PSERIAL_REQUEST Request, PIRP Irp)
{
    switch (Code) {
    case IOCTL_SERIAL_SET_WAIT_MASK:
        return SerialSetWaitMask(Port, Request);
    case IOCTL_SERIAL_GET_WAIT_MASK:
        return SerialGetWaitMask(Port, Request);
    case IOCTL_SERIAL_WAIT_ON_MASK:
        return SerialWaitOnMask(Port, Request, Irp);
    default:
        return STATUS_INVALID_DEVICE_REQUEST;
    }
}

NTSTATUS SerialDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG code = stack->Parameters.DeviceIoControl.IoControlCode;
    PSERIAL_PORT port = Device->DeviceExtension;
    SERIAL_REQUEST request;
    NTSTATUS status;
    PAGED_CODE_LOCKED();

    request.Buffer = Irp->AssociatedIrp.SystemBuffer;
    request.InputLength = stack->Parameters.DeviceIoControl.InputBufferLength;
    request.OutputLength = stack->Parameters.DeviceIoControl.OutputBufferLength;
    request.Information = 0;
    status = SerialLineRequest(port, code, &request);
    if (status == STATUS_INVALID_DEVICE_REQUEST) {
        status = SerialSignalRequest(port, code, &request);
    }
    if (status == STATUS_INVALID_DEVICE_REQUEST) {
        status = SerialEventRequest(port, code, &request, Irp);
    }
    if (status == STATUS_PENDING) {
        return status;
    }
    return SerialComplete(Irp, status, NT_SUCCESS(status) ? request.Information : 0);
}

#ifdef UNLOCK_INSIDE
// Code may give up the lock on the section it runs in, at PASSIVE_LEVEL: the instruction after the call may fault, and
// is brought back (D23).
NTSTATUS SerialUnlockRequestCode(VOID)
{
    PAGED_CODE();
    MmUnlockPagableImageSection(SerialGlobals.RequestCode);
    return STATUS_SUCCESS;
}
#endif
