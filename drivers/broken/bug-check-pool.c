// Pool and contiguous memory that are given back wrongly. One define each:
//
//   FREE_TWICE       a block is freed where the work ends and where all is cleaned up     0xC2 (0x44, the block, 0, 0)
//   FREE_PAGED_TWICE the same with paged pool                                             0xC2 (0x48, the block, 0, 0)
//   WRONG_TAG        a block is freed with the tag of another part of the driver          0xC2 (0x0A, the block, its tag,
//                                                                                         the other tag)
//   INSIDE           the pointer to a block was moved along while it was read             0xC2 (0x46, in the block, 0, 0)
//   NEVER_POOL       what may be a buffer of the driver's own is freed as if it were pool 0xC2 (0x42, the buffer, 0, 0)
//   NO_KERNEL        the buffer of the program is freed by who only borrowed it           0xC2 (0x40, the buffer, the first
//                                                                                         address of the system, 0)
//   CONTIGUOUS       the physical address of contiguous memory is freed                   0xC2 (0x60, the address, 0, 0)
//
// With the verifier INSIDE, NEVER_POOL and NO_KERNEL are 0xC4 (0x10, the address, 0, 0): no routine has returned it.
//
//   trigger   ioctl 0x222000
//   repaired  what was allocated is freed, once, with its address and tag
#include "bug-check.h"
#include "program-memory.h"

#if defined(FREE_TWICE) || defined(FREE_PAGED_TWICE)

#ifdef FREE_PAGED_TWICE
#define POOL PagedPool
#else
#define POOL NonPagedPool
#endif

ULONG FatalAct(PFATAL Fatal)
{
    PULONG block = ExAllocatePoolWithTag(POOL, 64, FATAL_TAG);
    ULONG seen = 0;
    UNREFERENCED_PARAMETER(Fatal);
    if (block != NULL) {
        *block = 7;
        seen = *(volatile ULONG *)block;
        ExFreePoolWithTag(block, FATAL_TAG);
#ifdef FIXED
        block = NULL;
#endif
    }
    if (block != NULL) {
        ExFreePoolWithTag(block, FATAL_TAG);
    }
    return seen;
}

#elif defined(WRONG_TAG)

#ifdef FIXED
#define TAG_OF_FREE FATAL_TAG
#else
#define TAG_OF_FREE TAG('F', 'a', 't', 'e')
#endif

ULONG FatalAct(PFATAL Fatal)
{
    PVOID block = ExAllocatePoolWithTag(NonPagedPool, 64, FATAL_TAG);
    UNREFERENCED_PARAMETER(Fatal);
    if (block != NULL) {
        ExFreePoolWithTag(block, TAG_OF_FREE);
    }
    return 0;
}

#elif defined(INSIDE)

ULONG FatalAct(PFATAL Fatal)
{
    PULONG block = ExAllocatePoolWithTag(NonPagedPool, 64, FATAL_TAG);
    PULONG next = block;
    ULONG sum = 0;
    UNREFERENCED_PARAMETER(Fatal);
    if (block != NULL) {
        RtlZeroMemory(block, 64);
        while (next < block + 4) {
            sum += *next++;
        }
#ifdef FIXED
        ExFreePoolWithTag(block, FATAL_TAG);
#else
        ExFreePoolWithTag(next, FATAL_TAG);
#endif
    }
    return sum;
}

#elif defined(NEVER_POOL)

ULONG FatalFew[4];

// Few entries have their place already, more need pool.
ULONG FatalAct(PFATAL Fatal)
{
    PULONG entries = FatalFew;
    UNREFERENCED_PARAMETER(Fatal);
    entries[0] = 7;
#ifdef FIXED
    if (entries != FatalFew) {
        ExFreePoolWithTag(entries, FATAL_TAG);
    }
#else
    ExFreePoolWithTag(entries, FATAL_TAG);
#endif
    return FatalFew[0];
}

#elif defined(NO_KERNEL)

ULONG FatalAct(PFATAL Fatal)
{
    PVOID buffer = ProgramAllocatePage();
    UNREFERENCED_PARAMETER(Fatal);
    if (buffer != NULL) {
#ifndef FIXED
        ExFreePoolWithTag(buffer, FATAL_TAG);
#endif
        ProgramFreePage(buffer);
    }
    return 0;
}

#else

ULONG FatalAct(PFATAL Fatal)
{
    PHYSICAL_ADDRESS highest;
    PVOID buffer;
    UNREFERENCED_PARAMETER(Fatal);
    highest.QuadPart = 0xFFFFFFFF;
    buffer = MmAllocateContiguousMemory(2 * PAGE_SIZE, highest);
    if (buffer != NULL) {
#ifdef FIXED
        MmFreeContiguousMemory(buffer);
#else
        PHYSICAL_ADDRESS physical = MmGetPhysicalAddress(buffer);
        MmFreeContiguousMemory((PVOID)(ULONG_PTR)physical.QuadPart); // the address for the device
#endif
    }
    return 0;
}

#endif
