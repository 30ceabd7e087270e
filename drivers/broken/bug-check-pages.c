// Pages that are described, mapped or unlocked though nobody keeps them in memory. One define each:
//
//   MAP_PHYSICAL     MmMapIoSpace of a page of paged pool                          0x1A (0x1233, its number, 0, 0)
//   PROTECT_UNMAPPED the protection of an MDL that was unmapped through its copy   0x1A (0x1235, the MDL, ..)
//   MAP_UNLOCKED     an MDL is mapped after its pages were unlocked                0x1A (0x1236, the MDL, in it, the number)
//   MAP_UNFILLED     an MDL is mapped that nobody filled                           the same
//   UNLOCK_TWICE     pages of the process are locked once and unlocked twice       0x76 (1, the MDL, 0, 0)
//   UNLOCK_POOL      pages of paged pool are                                       0x4E (7, their first number, 0, 0)
//   UNLOCK_DEVICE    pages of a device are                                         0x1A (0x61948, their first number, 1, it)
//   UNMAP_TWICE      an MDL is unmapped by hand and once more                      0xDA (6, the MDL, the address, 1)
//   PART_OUTSIDE     a partial MDL begins beyond its source                        0x12E (source, target, address, bytes)
//   PART_TOO_LARGE   a partial MDL has room for one page and gets two              0x40 (0, 0, 0, 0)
//
// The verifier is there first: 0xC4 with 0x83, 0xB3, 0x7C, for the device 0x6F, and 0xB6.
//
//   trigger   ioctl 0x222000
//   repaired  does what was meant
#include "bug-check.h"
#include "program-memory.h"

// An MDL of a buffer whose pages are locked, or NULL.
PMDL FatalLock(PVOID Buffer, ULONG Bytes, KPROCESSOR_MODE Mode)
{
    PMDL mdl = IoAllocateMdl(Buffer, Bytes, FALSE, FALSE, NULL);
    if (mdl != NULL) {
        __try {
            MmProbeAndLockPages(mdl, Mode, IoWriteAccess);
        } __except (EXCEPTION_EXECUTE_HANDLER) {
            IoFreeMdl(mdl);
            return NULL;
        }
    }
    return mdl;
}

#if defined(UNLOCK_TWICE)

ULONG FatalAct(PFATAL Fatal)
{
    PVOID buffer = ProgramAllocatePage();
    UNREFERENCED_PARAMETER(Fatal);
    if (buffer != NULL) {
        PMDL mdl = FatalLock(buffer, PAGE_SIZE, UserMode);
        if (mdl != NULL) {
            MmUnlockPages(mdl);
#ifndef FIXED
            MmUnlockPages(mdl); // once where the work ends, and once where all is cleaned up
#endif
            IoFreeMdl(mdl);
        }
        ProgramFreePage(buffer);
    }
    return 0;
}

#elif defined(MAP_PHYSICAL)

ULONG FatalUse(PVOID View)
{
    ULONG seen = 0;
    if (View != NULL) {
        seen = *(volatile ULONG *)View;
        MmUnmapIoSpace(View, PAGE_SIZE);
    }
    return seen;
}

ULONG FatalAct(PFATAL Fatal)
{
    PULONG buffer = ExAllocatePoolWithTag(PagedPool, PAGE_SIZE, FATAL_TAG);
    PHYSICAL_ADDRESS physical;
    ULONG seen = 0;
    UNREFERENCED_PARAMETER(Fatal);
    if (buffer != NULL) {
        *buffer = 7; // so that it is in memory
        physical = MmGetPhysicalAddress(buffer);
#ifdef FIXED
        PMDL mdl = FatalLock(buffer, PAGE_SIZE, KernelMode);
        if (mdl != NULL) {
            physical = MmGetPhysicalAddress(buffer);
            seen = FatalUse(MmMapIoSpace(physical, PAGE_SIZE, MmCached));
            MmUnlockPages(mdl);
            IoFreeMdl(mdl);
        }
#else
        seen = FatalUse(MmMapIoSpace(physical, PAGE_SIZE, MmCached));
#endif
        ExFreePoolWithTag(buffer, FATAL_TAG);
    }
    return seen;
}

#elif defined(UNLOCK_DEVICE)

ULONG FatalAct(PFATAL Fatal)
{
    PHYSICAL_ADDRESS physical;
    PVOID registers;
    UNREFERENCED_PARAMETER(Fatal);
    physical.QuadPart = 0xFE00000000; // where the card has its registers
    registers = MmMapIoSpace(physical, PAGE_SIZE, MmNonCached);
    if (registers != NULL) {
#ifdef FIXED
        PMDL mdl = IoAllocateMdl(registers, PAGE_SIZE, FALSE, FALSE, NULL);
        if (mdl != NULL) {
            MmBuildMdlForNonPagedPool(mdl); // registers need no lock
            IoFreeMdl(mdl);
        }
#else
        PMDL mdl = FatalLock(registers, PAGE_SIZE, KernelMode);
        if (mdl != NULL) {
            MmUnlockPages(mdl);
            MmUnlockPages(mdl);
            IoFreeMdl(mdl);
        }
#endif
        MmUnmapIoSpace(registers, PAGE_SIZE);
    }
    return 0;
}

#else

// What an MDL of two pages of paged pool is put to, here or by a part of it.
ULONG FatalUse(PMDL Mdl)
{
    PULONG view = MmGetSystemAddressForMdlSafe(Mdl, NormalPagePriority);
    return view == NULL ? 0 : *(volatile ULONG *)view;
}

#if defined(PART_OUTSIDE) || defined(PART_TOO_LARGE)

ULONG FatalWork(PMDL Mdl)
{
    PUCHAR start = MmGetMdlVirtualAddress(Mdl);
    ULONG seen = 0;
#if defined(PART_TOO_LARGE) && !defined(FIXED)
    ULONG largest = PAGE_SIZE;
#else
    ULONG largest = 2 * PAGE_SIZE;
#endif
    PMDL part = IoAllocateMdl(start, largest, FALSE, FALSE, NULL);
    if (part != NULL) {
#if defined(PART_OUTSIDE) && !defined(FIXED)
        IoBuildPartialMdl(Mdl, part, (PVOID)(ULONG_PTR)PAGE_SIZE, PAGE_SIZE); // an offset is no address
#elif defined(PART_OUTSIDE)
        IoBuildPartialMdl(Mdl, part, start + PAGE_SIZE, PAGE_SIZE);
#else
        IoBuildPartialMdl(Mdl, part, start, 2 * PAGE_SIZE);
#endif
        seen = FatalUse(part);
        IoFreeMdl(part);
    }
    return seen;
}

#elif defined(PROTECT_UNMAPPED)

ULONG FatalWork(PMDL Mdl)
{
    ULONG seen = FatalUse(Mdl);
    PMDL copy = ExAllocatePoolWithTag(NonPagedPool, Mdl->Size, FATAL_TAG);
    if (copy != NULL) {
        RtlCopyMemory(copy, Mdl, Mdl->Size); // the copy says that it is mapped, too
#ifndef FIXED
        MmUnmapLockedPages(Mdl->MappedSystemVa, Mdl);
#endif
        MmProtectMdlSystemAddress(copy, PAGE_READONLY);
        ExFreePoolWithTag(copy, FATAL_TAG);
    }
    return seen;
}

#elif defined(UNMAP_TWICE)

ULONG FatalWork(PMDL Mdl)
{
    PULONG view = MmGetSystemAddressForMdlSafe(Mdl, NormalPagePriority);
    ULONG seen = 0;
    if (view != NULL) {
        seen = *(volatile ULONG *)view;
        MmUnmapLockedPages(view, Mdl);
#ifndef FIXED
        MmUnmapLockedPages(view, Mdl);
#endif
    }
    return seen;
}

#elif defined(MAP_UNFILLED)

ULONG FatalWork(PMDL Mdl)
{
    ULONG seen;
#ifdef FIXED
    seen = FatalUse(Mdl);
#else
    // As if the MDL in the request were filled by whoever allocated it.
    PMDL own = IoAllocateMdl(MmGetMdlVirtualAddress(Mdl), PAGE_SIZE, FALSE, FALSE, NULL);
    seen = own == NULL ? 0 : FatalUse(own);
#endif
    return seen;
}

#else

ULONG FatalWork(PMDL Mdl)
{
    return FatalUse(Mdl);
}

#endif

ULONG FatalAct(PFATAL Fatal)
{
    PULONG buffer = ExAllocatePoolWithTag(PagedPool, 2 * PAGE_SIZE, FATAL_TAG);
    PMDL mdl = buffer == NULL ? NULL : FatalLock(buffer, 2 * PAGE_SIZE, KernelMode);
    ULONG seen = 0;
    UNREFERENCED_PARAMETER(Fatal);
    if (mdl != NULL) {
#if defined(MAP_UNLOCKED) && !defined(FIXED)
        MmUnlockPages(mdl);
        seen = FatalWork(mdl);
#else
        seen = FatalWork(mdl);
        MmUnlockPages(mdl);
#endif
#if defined(UNLOCK_POOL) && !defined(FIXED)
        MmUnlockPages(mdl);
#endif
        IoFreeMdl(mdl);
    }
    if (buffer != NULL) {
        ExFreePoolWithTag(buffer, FATAL_TAG);
    }
    return seen;
}

#endif
