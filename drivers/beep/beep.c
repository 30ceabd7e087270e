// A driver that leaves memory as a whole while nobody has it open (R23-R29).
//
//   DriverEntry  MmPageEntireDriver first of all: from then on every page may leave, .text and .data too
//   first open   MmResetDriverPaging, then connect the interrupt
//   last close   disconnect the interrupt, then MmPageEntireDriver
//
// The order matters: while an interrupt is connected, its service routine has to be in memory (R24, R25). A fast mutex
// makes each of the two steps one, or an open on one processor could connect while a close on another pages (R28).
//
// Neither .text nor .data is a safe place while the driver is paged, so what the system itself touches lies in the
// device extension: the mutex, the DPC (R22).
//
//   interrupt line 7  counted by the service routine, and by its DPC
//   ioctl 0x222000    COUNTS: output: interrupts in the low half, DPCs in the high half; they survive a stay outside
//   ioctl 0x222004    TWICE: from now on each call is made twice; the second has no effect (R26)
//
// BEEP_LOCKED: from before the first MmPageEntireDriver until Unload the driver holds a lock on its section PAGELOCK and
// one on .text. Both stay resident whatever is paged (D32). The second is reported as K01, because at the time of the
// lock .text is not pageable (D17).
#include "sample.h"

#define IOCTL_BEEP_COUNTS SAMPLE_IOCTL(0)
#define IOCTL_BEEP_TWICE SAMPLE_IOCTL(1)

#define BEEP_LINE 7

// In the device extension, and so in nonpaged pool.
typedef struct _BEEP {
    FAST_MUTEX Mutex; // over the counter, the interrupt and both paging calls
    ULONG Opens;
    BOOLEAN Twice;
    PKINTERRUPT Interrupt;
    KDPC Dpc;
} BEEP, *PBEEP;

// In .data: written at DIRQL and DISPATCH_LEVEL, so only while the interrupt is connected.
volatile ULONG BeepInterrupts = 0;
volatile ULONG BeepDpcs = 0;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH BeepCreate;
DRIVER_DISPATCH BeepClose;
DRIVER_DISPATCH BeepDeviceControl;
KSERVICE_ROUTINE BeepInterrupt;
KDEFERRED_ROUTINE BeepDpc;
DRIVER_UNLOAD BeepUnload;

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, BeepUnload)
#pragma alloc_text(PAGE, BeepDeviceControl)

#ifdef BEEP_LOCKED

PVOID BeepText;
PVOID BeepLock;
ULONG BeepCount(ULONG Count);
#pragma alloc_text(PAGELOCK, BeepCount)

ULONG BeepCount(ULONG Count)
{
    PAGED_CODE_LOCKED();
    return Count + 1;
}

SECTION_FILLER(BeepLockFiller, "PAGELOCK", 8192)

static VOID BeepHold(VOID)
{
    BeepText = MmLockPagableCodeSection((PVOID)BeepDpc);
    BeepLock = MmLockPagableCodeSection((PVOID)BeepCount);
}

static VOID BeepLetGo(VOID)
{
    MmUnlockPagableImageSection(BeepLock);
    MmUnlockPagableImageSection(BeepText);
}

#else

static ULONG BeepCount(ULONG Count)
{
    return Count + 1;
}

static VOID BeepHold(VOID)
{
}

static VOID BeepLetGo(VOID)
{
}

#endif

BOOLEAN BeepInterrupt(PKINTERRUPT Interrupt, PVOID Context)
{
    PBEEP beep = Context;
    UNREFERENCED_PARAMETER(Interrupt);
    BeepInterrupts++;
    KeInsertQueueDpc(&beep->Dpc, NULL, NULL);
    return TRUE;
}

VOID BeepDpc(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    BeepDpcs = BeepCount(BeepDpcs);
}

SECTION_FILLER(BeepTextFiller, ".text", 8192)

// DriverEntry was discarded long ago. Its address still names the driver, and that is all it is used for (D12).
static VOID BeepReset(PBEEP Beep)
{
    MmResetDriverPaging((PVOID)DriverEntry);
    if (Beep->Twice) {
        MmResetDriverPaging((PVOID)DriverEntry);
    }
}

static VOID BeepPage(PBEEP Beep)
{
    MmPageEntireDriver((PVOID)DriverEntry);
    if (Beep->Twice) {
        MmPageEntireDriver((PVOID)DriverEntry);
    }
}

NTSTATUS BeepCreate(PDEVICE_OBJECT Device, PIRP Irp)
{
    PBEEP beep = Device->DeviceExtension;
    NTSTATUS status = STATUS_SUCCESS;

    SampleEnter(&beep->Mutex);
    if (beep->Opens == 0) {
        BeepReset(beep);
        status = SampleConnectInterrupt(BEEP_LINE, BeepInterrupt, beep, NULL, &beep->Interrupt);
        if (!NT_SUCCESS(status)) {
            BeepPage(beep);
        }
    }
    beep->Opens += NT_SUCCESS(status) ? 1 : 0;
    SampleLeave(&beep->Mutex);
    return SampleComplete(Irp, status, 0);
}

// MmPageEntireDriver waits for the DPCs that were queued before it (R124); no more come once we have disconnected.
NTSTATUS BeepClose(PDEVICE_OBJECT Device, PIRP Irp)
{
    PBEEP beep = Device->DeviceExtension;

    SampleEnter(&beep->Mutex);
    if (--beep->Opens == 0) {
        IoDisconnectInterrupt(beep->Interrupt);
        BeepPage(beep);
    }
    SampleLeave(&beep->Mutex);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS BeepDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PBEEP beep = Device->DeviceExtension;
    PAGED_CODE();

    switch (SampleControlCode(Irp)) {
    case IOCTL_BEEP_COUNTS:
        return SampleOutput(Irp, STATUS_SUCCESS, (BeepInterrupts & 0xFFFF) | BeepDpcs << 16);
    case IOCTL_BEEP_TWICE:
        beep->Twice = TRUE;
        return SampleComplete(Irp, STATUS_SUCCESS, 0);
    default:
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

VOID BeepUnload(PDRIVER_OBJECT Driver)
{
    PAGED_CODE();
    BeepLetGo();
    SampleDeleteDevice(Driver);
}

static NTSTATUS BeepCreateDevice(PDRIVER_OBJECT Driver)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    PBEEP beep;

    status = SAMPLE_CREATE_DEVICE(Driver, L"Beep", sizeof(BEEP), &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    beep = device->DeviceExtension;
    ExInitializeFastMutex(&beep->Mutex);
    KeInitializeDpc(&beep->Dpc, BeepDpc, beep);
    Driver->MajorFunction[IRP_MJ_CREATE] = BeepCreate;
    Driver->MajorFunction[IRP_MJ_CLOSE] = BeepClose;
    Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = BeepDeviceControl;
    Driver->DriverUnload = BeepUnload;
    return STATUS_SUCCESS;
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    NTSTATUS status = STATUS_UNSUCCESSFUL;
    UNREFERENCED_PARAMETER(RegistryPath);

    BeepHold();
    // The base of the image comes back; nothing else does for an address in a driver (R120).
    if (MmPageEntireDriver((PVOID)DriverEntry) == Driver->DriverStart) {
        status = BeepCreateDevice(Driver);
    }
    if (!NT_SUCCESS(status)) {
        BeepLetGo();
    }
    return status;
}
