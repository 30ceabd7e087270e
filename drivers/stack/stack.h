// What the drivers of the stack share: a device object with one below it, and how requests pass it.
#pragma once

#include "sample.h"

// Begins each device extension of a driver that is attached to a device below.
typedef struct _LAYER {
    PDEVICE_OBJECT Self;
    PDEVICE_OBJECT Below;
    IO_REMOVE_LOCK RemoveLock;
} LAYER, *PLAYER;

#define STACK_TAG TAG('S', 't', 'a', 'k')

// Creates a device on top of Physical, with a name or without (NULL). It is left with DO_DEVICE_INITIALIZING set.
NTSTATUS LayerAttach(PDRIVER_OBJECT Driver, PDEVICE_OBJECT Physical, PCWSTR Name, ULONG ExtensionBytes, PLAYER *Layer);

// Undoes it, when all requests have left the driver. The remove lock is held, as it is in any dispatch routine.
VOID LayerDetach(PLAYER Layer, PIRP Irp);

// Sends a request down and forgets it. Power requests may come at DISPATCH_LEVEL, so this is resident.
NTSTATUS LayerPassDown(PLAYER Layer, PIRP Irp);

// Sends a request down and waits for it, with a completion routine; the request is the caller's again. PASSIVE_LEVEL.
NTSTATUS LayerForward(PLAYER Layer, PIRP Irp);
