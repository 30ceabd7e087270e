// ExInterlocked routines mask interrupts for as long as they hold the caller's lock: what they touch must be resident at all IRQLs,
// wherever they are called. One define each:
//
//   LIST_IN_SECTION  the head of the list lies in PAGEDATA          0xD3 (the head, 15, 0, in the kernel); without a trim K13
//   ENTRY_IN_POOL    an entry lies in paged pool                    0x0A (the entry, 15, 1, in the kernel); without a trim K13
//   LOCK_IN_SECTION  the lock lies in PAGEDATA                      K11, and 0xD3 (the lock, 15, 1, in the kernel); without a trim
//                                                                   K11 and K13
//
//   trigger   ioctl 0x222000, at PASSIVE_LEVEL
//   repaired  what the routines touch lies in .data and in nonpaged pool
#include "bug-check.h"

#if defined(LIST_IN_SECTION) && !defined(FIXED)
#pragma data_seg("PAGEDATA")
#endif
LIST_ENTRY FatalList = {0};
#pragma data_seg()

#if defined(LOCK_IN_SECTION) && !defined(FIXED)
#pragma data_seg("PAGEDATA")
#endif
KSPIN_LOCK FatalListLock = 0;
#pragma data_seg()

#if defined(ENTRY_IN_POOL) && !defined(FIXED)
#define POOL PagedPool
#else
#define POOL NonPagedPool
#endif

ULONG FatalAct(PFATAL Fatal)
{
    PLIST_ENTRY entry = ExAllocatePoolWithTag(POOL, sizeof(LIST_ENTRY), FATAL_TAG);
    UNREFERENCED_PARAMETER(Fatal);
    if (entry != NULL) {
        FatalList.Flink = FatalList.Blink = &FatalList;
        entry->Flink = entry;
        ExInterlockedInsertTailList(&FatalList, entry, &FatalListLock);
        entry = ExInterlockedRemoveHeadList(&FatalList, &FatalListLock);
        ExFreePoolWithTag(entry, FATAL_TAG);
    }
    return 0;
}
