// A driver for the 16550 UART whose code leaves memory while no port is open.
//
// Three kinds of code, one file each:
//
//   interrupt.c  .text     always resident: the service routine, the DPCs, and what runs synchronised with them (R8)
//   request.c    PAGESER   resident while a port is open: every request, some of it at DISPATCH_LEVEL (R5)
//   serial.c     PAGESRP0  pageable, never locked: create, close, Plug and Play, Unload; PASSIVE_LEVEL only (R6)
//                INIT      DriverEntry, discarded when it has returned (R38)
//
// The rule that connects them: whoever opens a port locks PAGESER first, and whoever closes it unlocks PAGESER last,
// when no interrupt, DPC or queued request can run its code any more (R9, R16).
#pragma once

#include "driver.h"

#include <ntddser.h>

// Offsets of the registers from the first port of the device.
#define UART_DATA 0             // receive and transmit; low byte of the divisor while LCR_DIVISOR is set
#define UART_INTERRUPT_ENABLE 1 // high byte of the divisor while LCR_DIVISOR is set
#define UART_INTERRUPT_ID 2     // when read
#define UART_FIFO_CONTROL 2     // when written
#define UART_LINE_CONTROL 3
#define UART_MODEM_CONTROL 4
#define UART_LINE_STATUS 5
#define UART_MODEM_STATUS 6

#define IER_RECEIVE 0x01
#define IER_TRANSMIT 0x02
#define IER_LINE_STATUS 0x04
#define IER_MODEM_STATUS 0x08

#define IIR_NONE_PENDING 0x01
#define IIR_SOURCE 0x0E
#define IIR_MODEM_STATUS 0x00
#define IIR_TRANSMIT 0x02
#define IIR_RECEIVE 0x04
#define IIR_LINE_STATUS 0x06
#define IIR_RECEIVE_TIMEOUT 0x0C

#define FCR_ENABLE 0x01
#define FCR_CLEAR_RECEIVE 0x02
#define FCR_CLEAR_TRANSMIT 0x04
#define FCR_TRIGGER_8 0x80

#define LCR_BREAK 0x40
#define LCR_DIVISOR 0x80

#define MCR_DTR 0x01
#define MCR_RTS 0x02
#define MCR_INTERRUPT 0x08 // OUT2: connects the chip to the interrupt line

#define LSR_DATA_READY 0x01
#define LSR_OVERRUN 0x02
#define LSR_PARITY 0x04
#define LSR_FRAMING 0x08
#define LSR_BREAK 0x10
#define LSR_TRANSMIT_EMPTY 0x20

#define UART_FIFO_BYTES 16
#define UART_CLOCK 115200 // clock divided by 16: the highest rate

#define RING_BYTES 1024 // a power of two

// One writer and one reader: the service routine is one of them, code that holds the port's lock is the other. Each
// moves only its own index, so neither needs to stop the other.
typedef struct _SERIAL_RING {
    volatile ULONG In;
    volatile ULONG Out;
    volatile UCHAR Data[RING_BYTES];
} SERIAL_RING, *PSERIAL_RING;

// The device extension. It comes from nonpaged pool, as it must: the service routine reads it, and it holds a spin
// lock, a timer and DPCs (R22).
typedef struct _SERIAL_PORT {
    PDEVICE_OBJECT Device;
    PDEVICE_OBJECT Below; // the next lower device of the stack
    ULONG Index;          // 0 for \Device\Serial0 and COM1

    PUCHAR Registers;
    CM_PARTIAL_RESOURCE_DESCRIPTOR InterruptResource;
    PKINTERRUPT Interrupt; // connected from open to close
    BOOLEAN Started;
    BOOLEAN Opened; // under SerialGlobals.Mutex

    // What the service routine leaves for the DPC.
    SERIAL_RING Received;
    SERIAL_RING Transmit;
    volatile LONG NewEvents; // SERIAL_EV_*
    volatile LONG NewErrors; // SERIAL_ERROR_*

    KSPIN_LOCK Lock; // guards everything below
    LIST_ENTRY Reads;
    LIST_ENTRY Writes;
    LIST_ENTRY Waits;
    ULONG WaitMask;
    ULONG EventHistory;
    ULONG Errors;
    ULONG BaudRate;
    SERIAL_LINE_CONTROL LineControl;
    SERIAL_TIMEOUTS Timeouts;
    BOOLEAN TimerArmed;   // the timer belongs to the read at the head of Reads
    ULONG StaleTimeouts;  // expirations on their way that belong to no read any more
    KTIMER ReadTimer;
    KDPC ReadTimerDpc;
    KDPC InterruptDpc;
} SERIAL_PORT, *PSERIAL_PORT;

// Nonpaged as well: the fast mutex must be (R22).
typedef struct _SERIAL_GLOBALS {
    FAST_MUTEX Mutex;   // serialises open, close, and the choice of an index
    PVOID RequestCode;  // the handle of PAGESER; valid as long as the driver is loaded, at any count (R14)
    ULONG IndexesInUse; // one bit a port
#ifdef BROKEN_UNLOCK_EARLY
    volatile LONG UnlockedEarly;
#endif
} SERIAL_GLOBALS;

extern SERIAL_GLOBALS SerialGlobals;

// serial.c
DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD SerialUnload;
DRIVER_ADD_DEVICE SerialAddDevice;
__drv_dispatchType(IRP_MJ_CREATE) DRIVER_DISPATCH SerialCreate;
__drv_dispatchType(IRP_MJ_CLOSE) DRIVER_DISPATCH SerialClose;
__drv_dispatchType(IRP_MJ_PNP) DRIVER_DISPATCH SerialPnp;
__drv_dispatchType(IRP_MJ_SYSTEM_CONTROL) DRIVER_DISPATCH SerialSystemControl;

// request.c
__drv_dispatchType(IRP_MJ_READ) DRIVER_DISPATCH SerialRead;
__drv_dispatchType(IRP_MJ_WRITE) DRIVER_DISPATCH SerialWrite;
__drv_dispatchType(IRP_MJ_DEVICE_CONTROL) DRIVER_DISPATCH SerialDeviceControl;
__drv_dispatchType(IRP_MJ_CLEANUP) DRIVER_DISPATCH SerialCleanup;
DRIVER_CANCEL SerialCancel;
VOID SerialServicePort(PSERIAL_PORT Port, PLIST_ENTRY Done);
VOID SerialReadTimedOut(PSERIAL_PORT Port, PLIST_ENTRY Done);
#ifdef UNLOCK_INSIDE
NTSTATUS SerialUnlockRequestCode(VOID);
#endif

// interrupt.c
KSERVICE_ROUTINE SerialInterrupt;
KDEFERRED_ROUTINE SerialInterruptDpc;
KDEFERRED_ROUTINE SerialReadTimerDpc;
IO_COMPLETION_ROUTINE SerialSignalEvent;
__drv_dispatchType(IRP_MJ_POWER) DRIVER_DISPATCH SerialPower;
NTSTATUS SerialComplete(PIRP Irp, NTSTATUS Status, ULONG_PTR Information);
VOID SerialCompleteAll(PLIST_ENTRY Done);
BOOLEAN SerialRunSynchronized(PSERIAL_PORT Port, PKSYNCHRONIZE_ROUTINE Routine, PVOID Context);
KSYNCHRONIZE_ROUTINE SerialEnableDevice;
KSYNCHRONIZE_ROUTINE SerialDisableDevice;
KSYNCHRONIZE_ROUTINE SerialSetLine;
KSYNCHRONIZE_ROUTINE SerialGetModemStatus;
KSYNCHRONIZE_ROUTINE SerialStartTransmit;
KSYNCHRONIZE_ROUTINE SerialClearTransmit;

typedef struct _SERIAL_LINE_SETTINGS {
    PSERIAL_PORT Port;
    USHORT Divisor;
    UCHAR LineControl;
} SERIAL_LINE_SETTINGS, *PSERIAL_LINE_SETTINGS;

typedef struct _SERIAL_MODEM_STATUS {
    PSERIAL_PORT Port;
    UCHAR Status;
} SERIAL_MODEM_STATUS, *PSERIAL_MODEM_STATUS;

FORCEINLINE UCHAR SerialReadRegister(PSERIAL_PORT Port, ULONG Register)
{
    return READ_PORT_UCHAR(Port->Registers + Register);
}

FORCEINLINE VOID SerialWriteRegister(PSERIAL_PORT Port, ULONG Register, UCHAR Value)
{
    WRITE_PORT_UCHAR(Port->Registers + Register, Value);
}

FORCEINLINE ULONG SerialRingUsed(PSERIAL_RING Ring)
{
    return Ring->In - Ring->Out;
}

FORCEINLINE BOOLEAN SerialRingPut(PSERIAL_RING Ring, UCHAR Byte)
{
    if (SerialRingUsed(Ring) == RING_BYTES) {
        return FALSE;
    }
    Ring->Data[Ring->In % RING_BYTES] = Byte;
    Ring->In++;
    return TRUE;
}

FORCEINLINE BOOLEAN SerialRingGet(PSERIAL_RING Ring, PUCHAR Byte)
{
    if (SerialRingUsed(Ring) == 0) {
        return FALSE;
    }
    *Byte = Ring->Data[Ring->Out % RING_BYTES];
    Ring->Out++;
    return TRUE;
}
