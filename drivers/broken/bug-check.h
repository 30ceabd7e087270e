// What the drivers of single bug checks have in common: the mistake is FatalAct, in the file of its area.
#pragma once

#include "sample.h"

#define FATAL_TAG TAG('F', 'a', 't', 'l')

typedef struct _FATAL {
    KSPIN_LOCK Lock;
    KEVENT Event;
    KDPC Dpc;
    KTIMER Timer;
    PDEVICE_OBJECT Device;
    PKINTERRUPT Interrupt;
} FATAL, *PFATAL;

// The mistake.
ULONG FatalAct(PFATAL Fatal);

#ifdef ISR_RAISED
KSERVICE_ROUTINE FatalInterrupt;
#endif
