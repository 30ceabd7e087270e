// A filter is put above a device object whose power requests come at PASSIVE_LEVEL, and does not take DO_POWER_PAGABLE from it.
// Power requests to the filter then come at DISPATCH_LEVEL, and it passes them on to a device that may be pageable.
//
//   expected  with I/O verification 0xC9 (0x23F, 0, 0, 0) when AddDevice returns
//   trigger   AddDevice
//   repaired  the filter takes the flag
#include "attached.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_ADD_DEVICE C9AddDevice;

#pragma alloc_text(INIT, DriverEntry)

// A device object above the stack, with these flags and, where it is right, those of the one below.
static PDEVICE_OBJECT C9Attach(PDRIVER_OBJECT Driver, PDEVICE_OBJECT Physical, ULONG Own, ULONG Inherited)
{
    PDEVICE_OBJECT device;
    if (!NT_SUCCESS(AttachedCreate(Driver, Physical, sizeof(ATTACHED), &device))) {
        return NULL;
    }
    device->Flags |= Own | (((PATTACHED)device->DeviceExtension)->Below->Flags & Inherited);
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    return device;
}

NTSTATUS C9AddDevice(PDRIVER_OBJECT Driver, PDEVICE_OBJECT Physical)
{
    PDEVICE_OBJECT function = C9Attach(Driver, Physical, DO_POWER_PAGABLE, 0);
    if (function == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
#ifdef FIXED
    if (C9Attach(Driver, Physical, 0, DO_POWER_PAGABLE) == NULL) {
#else
    if (C9Attach(Driver, Physical, 0, 0) == NULL) {
#endif
        AttachedDelete(function);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    return STATUS_SUCCESS;
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    AttachedSetRoutines(Driver);
    Driver->DriverExtension->AddDevice = C9AddDevice;
    return STATUS_SUCCESS;
}
