// Memory of the program that asks.
#pragma once

#include "driver.h"

// A page in the address space of this thread's process, or NULL. PASSIVE_LEVEL.
PVOID ProgramAllocatePage(VOID);
VOID ProgramFreePage(PVOID Page);
