// Power code that is pageable where the device allows it (R20, R204). Every function of this driver's stack that handles
// set-power requests lies in PAGE_PWR; the name begins with PAGE, so the section is pageable (R41).
//
//   DO_POWER_PAGABLE clear  power requests may come at DISPATCH_LEVEL: AddDevice locks PAGE_PWR, removal unlocks it
//   DO_POWER_PAGABLE set    they come at PASSIVE_LEVEL: nothing is locked, and the code is paged in when they do
//
// The flag is inherited from the device below. POWER_PAGABLE sets it in any case, for a stack whose lower devices would.
//
//   IRP_MN_SET_POWER, device power  D0 to D3
//   ioctl 0x222000                  STATE: output: the current device state
#include "sample.h"

#define IOCTL_POWER_STATE SAMPLE_IOCTL(0)

typedef struct _POWER_DEVICE {
    PDEVICE_OBJECT Below;
    UNICODE_STRING Link;
    DEVICE_POWER_STATE State;
    PVOID PowerCode; // handle of PAGE_PWR if AddDevice locked it, else NULL
} POWER_DEVICE, *PPOWER_DEVICE;

DRIVER_INITIALIZE DriverEntry;
DRIVER_ADD_DEVICE PowerAddDevice;
DRIVER_UNLOAD PowerUnload;
DRIVER_DISPATCH PowerPnp;
DRIVER_DISPATCH PowerPower;
DRIVER_DISPATCH PowerDeviceControl;
DRIVER_DISPATCH PowerPassDown;
static NTSTATUS PowerSet(PPOWER_DEVICE Device, DEVICE_POWER_STATE State);
static VOID PowerSetLocked(PPOWER_DEVICE Device, DEVICE_POWER_STATE State);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, PowerAddDevice)
#pragma alloc_text(PAGE, PowerUnload)
#pragma alloc_text(PAGE, PowerPnp)
#pragma alloc_text(PAGE, PowerDeviceControl)
#pragma alloc_text(PAGE, PowerPassDown)
#pragma alloc_text(PAGE_PWR, PowerSet)
#pragma alloc_text(PAGE_PWR, PowerSetLocked)

// The first function takes no lock itself: with the flag set the section is not locked, and code that raises in it would
// lose the ground under its feet (R5).
static NTSTATUS PowerSet(PPOWER_DEVICE Device, DEVICE_POWER_STATE State)
{
    PAGED_CODE_LOCKED();
    if (State < PowerDeviceD0 || State > PowerDeviceD3) {
        return STATUS_INVALID_PARAMETER;
    }
    PowerSetLocked(Device, State);
    return STATUS_SUCCESS;
}

SECTION_FILLER(PowerFiller, "PAGE_PWR", 8192)

static VOID PowerSetLocked(PPOWER_DEVICE Device, DEVICE_POWER_STATE State)
{
    PAGED_CODE_LOCKED();
    InterlockedExchange((volatile LONG *)&Device->State, State);
}

// The dispatch routine is resident: it is the same for both cases, and one of them is DISPATCH_LEVEL.
NTSTATUS PowerPower(PDEVICE_OBJECT Device, PIRP Irp)
{
    PPOWER_DEVICE power = Device->DeviceExtension;
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);

    if (stack->MinorFunction == IRP_MN_SET_POWER && stack->Parameters.Power.Type == DevicePowerState) {
        NTSTATUS status = PowerSet(power, stack->Parameters.Power.State.DeviceState);
        if (!NT_SUCCESS(status)) {
            return SampleComplete(Irp, status, 0);
        }
        Irp->IoStatus.Status = status;
    }
    IoSkipCurrentIrpStackLocation(Irp);
    return PoCallDriver(power->Below, Irp);
}

NTSTATUS PowerPassDown(PDEVICE_OBJECT Device, PIRP Irp)
{
    PPOWER_DEVICE power = Device->DeviceExtension;
    PAGED_CODE();
    IoSkipCurrentIrpStackLocation(Irp);
    return IoCallDriver(power->Below, Irp);
}

NTSTATUS PowerDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PPOWER_DEVICE power = Device->DeviceExtension;
    PAGED_CODE();
    if (SampleControlCode(Irp) != IOCTL_POWER_STATE) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    return SampleOutput(Irp, STATUS_SUCCESS, power->State);
}

NTSTATUS PowerAddDevice(PDRIVER_OBJECT Driver, PDEVICE_OBJECT Physical)
{
    UNICODE_STRING name;
    PDEVICE_OBJECT device;
    PPOWER_DEVICE power;
    NTSTATUS status;
    PAGED_CODE();

    RtlInitUnicodeString(&name, L"\\Device\\Power0");
    status = IoCreateDevice(Driver, sizeof(POWER_DEVICE), &name, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN, FALSE,
                            &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    power = device->DeviceExtension;
    power->Below = IoAttachDeviceToDeviceStack(device, Physical);
    if (power->Below == NULL) {
        IoDeleteDevice(device);
        return STATUS_NO_SUCH_DEVICE;
    }
    RtlInitUnicodeString(&power->Link, L"\\DosDevices\\Power0");
    IoCreateSymbolicLink(&power->Link, &name);
    power->State = PowerDeviceD0;
#ifdef POWER_PAGABLE
    device->Flags |= DO_POWER_PAGABLE;
#else
    device->Flags |= power->Below->Flags & DO_POWER_PAGABLE;
#endif
    if (!(device->Flags & DO_POWER_PAGABLE)) {
        power->PowerCode = MmLockPagableCodeSection((PVOID)PowerSet);
    }
    device->Flags |= DO_BUFFERED_IO;
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}

// Only removal changes anything here; the rest is up to the devices below.
NTSTATUS PowerPnp(PDEVICE_OBJECT Device, PIRP Irp)
{
    PPOWER_DEVICE power = Device->DeviceExtension;
    UCHAR minor = IoGetCurrentIrpStackLocation(Irp)->MinorFunction;
    NTSTATUS status;
    PAGED_CODE();

    if (minor == IRP_MN_START_DEVICE || minor == IRP_MN_QUERY_REMOVE_DEVICE || minor == IRP_MN_REMOVE_DEVICE ||
        minor == IRP_MN_CANCEL_REMOVE_DEVICE || minor == IRP_MN_SURPRISE_REMOVAL) {
        Irp->IoStatus.Status = STATUS_SUCCESS;
    }
    IoSkipCurrentIrpStackLocation(Irp);
    status = IoCallDriver(power->Below, Irp);
    if (minor == IRP_MN_REMOVE_DEVICE) {
        if (power->PowerCode != NULL) {
            MmUnlockPagableImageSection(power->PowerCode);
        }
        IoDeleteSymbolicLink(&power->Link);
        IoDetachDevice(power->Below);
        IoDeleteDevice(Device);
    }
    return status;
}

VOID PowerUnload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    PAGED_CODE();
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    Driver->DriverUnload = PowerUnload;
    Driver->DriverExtension->AddDevice = PowerAddDevice;
    Driver->MajorFunction[IRP_MJ_CREATE] = SampleSucceed;
    Driver->MajorFunction[IRP_MJ_CLOSE] = SampleSucceed;
    Driver->MajorFunction[IRP_MJ_CLEANUP] = SampleSucceed;
    Driver->MajorFunction[IRP_MJ_PNP] = PowerPnp;
    Driver->MajorFunction[IRP_MJ_POWER] = PowerPower;
    Driver->MajorFunction[IRP_MJ_SYSTEM_CONTROL] = PowerPassDown;
    Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = PowerDeviceControl;
    return STATUS_SUCCESS;
}
