// The owner of a section, and how another driver asks it. Used by x12 and x25.
#pragma once

#include "sample.h"

#define OWNER_NAME L"SectionOwner"
#define IOCTL_OWNER_HANDLE SAMPLE_IOCTL(0) // output: the handle of the owner's section, which is not counted
#define IOCTL_OWNER_LOCK SAMPLE_IOCTL(1)
#define IOCTL_OWNER_UNLOCK SAMPLE_IOCTL(2)

// Sends a request without input to the owner. Value, if there is one, receives a pointer.
NTSTATUS AskOwner(ULONG Code, PVOID *Value);
