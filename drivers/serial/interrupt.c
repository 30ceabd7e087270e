// What is always resident: code that an interrupt can reach at any time (R8, R9), and the few lines that run whether
// or not a port is open. Everything here goes to .text because nothing says otherwise (R1).
#include "serial.h"

static VOID SerialTakeReceived(PSERIAL_PORT Port)
{
    ULONG budget = RING_BYTES;
    while (budget-- != 0 && (SerialReadRegister(Port, UART_LINE_STATUS) & LSR_DATA_READY)) {
        if (!SerialRingPut(&Port->Received, SerialReadRegister(Port, UART_DATA))) {
            InterlockedOr(&Port->NewErrors, SERIAL_ERROR_QUEUEOVERRUN);
        }
    }
    InterlockedOr(&Port->NewEvents, SERIAL_EV_RXCHAR);
}

// Fills the transmitter's FIFO, or turns its interrupt off when there is nothing to send.
static VOID SerialFeedTransmitter(PSERIAL_PORT Port)
{
    UCHAR byte;
    ULONG sent = 0;
    while (sent < UART_FIFO_BYTES && SerialRingGet(&Port->Transmit, &byte)) {
        SerialWriteRegister(Port, UART_DATA, byte);
        sent++;
    }
    if (sent == 0) {
        UCHAR enabled = SerialReadRegister(Port, UART_INTERRUPT_ENABLE);
        SerialWriteRegister(Port, UART_INTERRUPT_ENABLE, enabled & ~IER_TRANSMIT);
        InterlockedOr(&Port->NewEvents, SERIAL_EV_TXEMPTY);
    }
}

static VOID SerialNoteLineStatus(PSERIAL_PORT Port)
{
    UCHAR status = SerialReadRegister(Port, UART_LINE_STATUS);
    LONG errors = 0;
    errors |= status & LSR_OVERRUN ? SERIAL_ERROR_OVERRUN : 0;
    errors |= status & LSR_PARITY ? SERIAL_ERROR_PARITY : 0;
    errors |= status & LSR_FRAMING ? SERIAL_ERROR_FRAMING : 0;
    errors |= status & LSR_BREAK ? SERIAL_ERROR_BREAK : 0;
    InterlockedOr(&Port->NewErrors, errors);
    InterlockedOr(&Port->NewEvents, status & LSR_BREAK ? SERIAL_EV_BREAK : SERIAL_EV_ERR);
}

// Reading the register clears its four change bits, so whoever reads it turns them into events.
static UCHAR SerialNoteModemStatus(PSERIAL_PORT Port)
{
    UCHAR status = SerialReadRegister(Port, UART_MODEM_STATUS);
    LONG events = 0;
    events |= status & 0x01 ? SERIAL_EV_CTS : 0;
    events |= status & 0x02 ? SERIAL_EV_DSR : 0;
    events |= status & 0x04 ? SERIAL_EV_RING : 0;
    events |= status & 0x08 ? SERIAL_EV_RLSD : 0;
    InterlockedOr(&Port->NewEvents, events);
    return status;
}

// An interrupt line may be shared and an interrupt may be spurious, so this runs even if our chip has nothing to say.
// That is why a service routine is never pageable, not even while its own device is quiet (R8).
BOOLEAN SerialInterrupt(PKINTERRUPT Interrupt, PVOID Context)
{
    PSERIAL_PORT port = Context;
    BOOLEAN ours = FALSE;
    UNREFERENCED_PARAMETER(Interrupt);

    for (ULONG pass = 0; pass < 64; pass++) {
        UCHAR id = SerialReadRegister(port, UART_INTERRUPT_ID);
        if (id & IIR_NONE_PENDING) {
            break;
        }
        ours = TRUE;
        switch (id & IIR_SOURCE) {
        case IIR_LINE_STATUS:
            SerialNoteLineStatus(port);
            break;
        case IIR_RECEIVE:
        case IIR_RECEIVE_TIMEOUT:
            SerialTakeReceived(port);
            break;
        case IIR_TRANSMIT:
            SerialFeedTransmitter(port);
            break;
        case IIR_MODEM_STATUS:
            SerialNoteModemStatus(port);
            break;
        }
    }
    if (ours) {
        KeInsertQueueDpc(&port->InterruptDpc, NULL, NULL);
    }
    return ours;
}

// The DPC routine itself is resident; what it calls is not, unless PAGESER is locked. It is: the service routine that
// queued us is connected only while the port is open, and close waits for us before it unlocks (R9, R16).
VOID SerialInterruptDpc(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    PSERIAL_PORT port = Context;
    LIST_ENTRY done;
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);

    InitializeListHead(&done);
    KeAcquireSpinLockAtDpcLevel(&port->Lock);
    SerialServicePort(port, &done);
    KeReleaseSpinLockFromDpcLevel(&port->Lock);
    SerialCompleteAll(&done);
}

VOID SerialReadTimerDpc(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    PSERIAL_PORT port = Context;
    LIST_ENTRY done;
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);

    InitializeListHead(&done);
    KeAcquireSpinLockAtDpcLevel(&port->Lock);
    SerialReadTimedOut(port, &done);
    KeReleaseSpinLockFromDpcLevel(&port->Lock);
    SerialCompleteAll(&done);
}

// A completion routine may run at DISPATCH_LEVEL, so it is resident (K21).
NTSTATUS SerialSignalEvent(PDEVICE_OBJECT Device, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(Device);
    UNREFERENCED_PARAMETER(Irp);
    KeSetEvent(Context, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

// Our device objects do not have DO_POWER_PAGABLE, so power requests may come at DISPATCH_LEVEL (R20).
NTSTATUS SerialPower(PDEVICE_OBJECT Device, PIRP Irp)
{
    PSERIAL_PORT port = Device->DeviceExtension;
    IoSkipCurrentIrpStackLocation(Irp);
    return PoCallDriver(port->Below, Irp);
}

NTSTATUS SerialComplete(PIRP Irp, NTSTATUS Status, ULONG_PTR Information)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = Information;
    IoCompleteRequest(Irp, NT_SUCCESS(Status) ? IO_SERIAL_INCREMENT : IO_NO_INCREMENT);
    return Status;
}

// Completes the requests that were retired while the lock was held. Their IoStatus is filled in.
VOID SerialCompleteAll(PLIST_ENTRY Done)
{
    while (!IsListEmpty(Done)) {
        PIRP irp = CONTAINING_RECORD(RemoveHeadList(Done), IRP, Tail.Overlay.ListEntry);
        IoCompleteRequest(irp, NT_SUCCESS(irp->IoStatus.Status) ? IO_SERIAL_INCREMENT : IO_NO_INCREMENT);
    }
}

// Runs Routine at the interrupt's IRQL, with its spin lock held. Pageable code comes this way too: the call that raises the
// IRQL returns here, and so it must be a call and not a jump.
__attribute__((disable_tail_calls))
BOOLEAN SerialRunSynchronized(PSERIAL_PORT Port, PKSYNCHRONIZE_ROUTINE Routine, PVOID Context)
{
    return KeSynchronizeExecution(Port->Interrupt, Routine, Context);
}

BOOLEAN SerialEnableDevice(PVOID Context)
{
    PSERIAL_PORT port = Context;
    SerialWriteRegister(port, UART_FIFO_CONTROL,
                        FCR_ENABLE | FCR_CLEAR_RECEIVE | FCR_CLEAR_TRANSMIT | FCR_TRIGGER_8);
    SerialWriteRegister(port, UART_MODEM_CONTROL, MCR_INTERRUPT | MCR_DTR | MCR_RTS);
    SerialWriteRegister(port, UART_INTERRUPT_ENABLE, IER_RECEIVE | IER_LINE_STATUS | IER_MODEM_STATUS);
    return TRUE;
}

BOOLEAN SerialDisableDevice(PVOID Context)
{
    PSERIAL_PORT port = Context;
    SerialWriteRegister(port, UART_INTERRUPT_ENABLE, 0);
    SerialWriteRegister(port, UART_MODEM_CONTROL, 0);
    return TRUE;
}

// While LCR_DIVISOR is set the first two registers mean something else; the service routine must not see that.
BOOLEAN SerialSetLine(PVOID Context)
{
    PSERIAL_LINE_SETTINGS line = Context;
    UCHAR enabled = SerialReadRegister(line->Port, UART_INTERRUPT_ENABLE);
    SerialWriteRegister(line->Port, UART_LINE_CONTROL, line->LineControl | LCR_DIVISOR);
    SerialWriteRegister(line->Port, UART_DATA, (UCHAR)line->Divisor);
    SerialWriteRegister(line->Port, UART_INTERRUPT_ENABLE, (UCHAR)(line->Divisor >> 8));
    SerialWriteRegister(line->Port, UART_LINE_CONTROL, line->LineControl);
    SerialWriteRegister(line->Port, UART_INTERRUPT_ENABLE, enabled);
    return TRUE;
}

BOOLEAN SerialGetModemStatus(PVOID Context)
{
    PSERIAL_MODEM_STATUS modem = Context;
    modem->Status = SerialNoteModemStatus(modem->Port);
    return TRUE;
}

// The transmitter is idle if its interrupt is off. Enabling the interrupt while the FIFO is empty raises it.
BOOLEAN SerialStartTransmit(PVOID Context)
{
    PSERIAL_PORT port = Context;
    UCHAR enabled = SerialReadRegister(port, UART_INTERRUPT_ENABLE);
    if (!(enabled & IER_TRANSMIT)) {
        SerialWriteRegister(port, UART_INTERRUPT_ENABLE, enabled | IER_TRANSMIT);
    }
    return TRUE;
}

BOOLEAN SerialClearTransmit(PVOID Context)
{
    PSERIAL_PORT port = Context;
    port->Transmit.Out = port->Transmit.In;
    return TRUE;
}
