// What drivers have in common that put a device above another one and pass on what they are asked.
#pragma once

#include "driver.h"

// Begins the extension of such a device.
typedef struct _ATTACHED {
    PDEVICE_OBJECT Below;
} ATTACHED, *PATTACHED;

// Makes a device on top of those of Physical. It has none of the flags of the one below, and DO_DEVICE_INITIALIZING is set.
NTSTATUS AttachedCreate(PDRIVER_OBJECT Driver, PDEVICE_OBJECT Physical, ULONG ExtensionBytes, PDEVICE_OBJECT *Device);

// Undoes it.
VOID AttachedDelete(PDEVICE_OBJECT Device);

// Sets the routines below for all requests, and one that does nothing for Unload.
VOID AttachedSetRoutines(PDRIVER_OBJECT Driver);

// Send a request down and forget it; when the device was removed, AttachedPnp deletes what AttachedCreate made.
DRIVER_DISPATCH AttachedPassDown;
DRIVER_DISPATCH AttachedPower;
DRIVER_DISPATCH AttachedPnp;
