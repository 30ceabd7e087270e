// Pool that is used beside or after its blocks, which special pool makes visible at once, or when the block is freed. Without it
// nothing is seen: what lies there is slack, or was not given to anybody else yet. One define each:
//
//   READ_FREED       a block is read after it was freed                               0xD5 (in the block, 0, in FatalAct, 0)
//   WRITE_BEYOND     the entry after the last one of a block of paged pool is written 0xD6 (its end, 1, in FatalAct, 0)
//   KERNEL_FREED     a string in a freed block is handed to the system                0xCC (the block, 0, in the kernel, 0)
//   KERNEL_BEYOND    a string that nobody ended is                                    0xCD (its end, 0, in the kernel, 0)
//   WRITE_BEFORE     the entry before the first one is written; the allocation asks   0xD6 (before the block, 1, in FatalAct,
//                    for special pool that tells of underruns                              0)
//   OVERRUN          bytes after a block whose size is no multiple of 16              0xC1 (the block, its end, 0, 0x24)
//   UNDERRUN         the entry before a block                                         0xC1 (the block, before it, 0, 0x23)
//   ONE_BIT          a flag in the entry before a block                               0xC1 (the block, before it, 0, 0x32)
//
//   trigger   ioctl 0x222000, with the verifier's flag 0x1
//   repaired  blocks are used within their bounds, until they are freed
#include "bug-check.h"

#define COUNT 252 // entries of a block

#if defined(READ_FREED)

ULONG FatalAct(PFATAL Fatal)
{
    PULONG block = ExAllocatePoolWithTag(NonPagedPool, COUNT * sizeof(ULONG), FATAL_TAG);
    ULONG seen = 0;
    UNREFERENCED_PARAMETER(Fatal);
    if (block != NULL) {
        block[0] = 7;
#ifdef FIXED
        seen = *(volatile ULONG *)block;
        ExFreePoolWithTag(block, FATAL_TAG);
#else
        ExFreePoolWithTag(block, FATAL_TAG);
        seen = *(volatile ULONG *)block;
#endif
    }
    return seen;
}

#elif defined(WRITE_BEYOND)

ULONG FatalAct(PFATAL Fatal)
{
    volatile ULONG *block = ExAllocatePoolWithTag(PagedPool, COUNT * sizeof(ULONG), FATAL_TAG);
    UNREFERENCED_PARAMETER(Fatal);
    if (block != NULL) {
#ifdef FIXED
        for (ULONG index = 0; index < COUNT; index++) {
#else
        for (ULONG index = 0; index <= COUNT; index++) {
#endif
            block[index] = index;
        }
        ExFreePoolWithTag((PVOID)block, FATAL_TAG);
    }
    return 0;
}

#elif defined(KERNEL_FREED) || defined(KERNEL_BEYOND)

#define UNITS (2 * COUNT)

ULONG FatalAct(PFATAL Fatal)
{
    volatile WCHAR *text = ExAllocatePoolWithTag(NonPagedPool, UNITS * sizeof(WCHAR), FATAL_TAG);
    UNICODE_STRING string = {0};
    UNREFERENCED_PARAMETER(Fatal);
    if (text != NULL) {
        for (ULONG index = 0; index < UNITS; index++) {
            text[index] = L'x';
        }
#if defined(FIXED) || defined(KERNEL_FREED)
        text[UNITS - 1] = 0;
#endif
#if defined(KERNEL_FREED) && !defined(FIXED)
        ExFreePoolWithTag((PVOID)text, FATAL_TAG);
        RtlInitUnicodeString(&string, (PCWSTR)text);
#else
        RtlInitUnicodeString(&string, (PCWSTR)text);
        ExFreePoolWithTag((PVOID)text, FATAL_TAG);
#endif
    }
    return string.Length;
}

#elif defined(WRITE_BEFORE)

ULONG FatalAct(PFATAL Fatal)
{
    PVOID spare = ExAllocatePoolWithTag(NonPagedPool, COUNT * sizeof(ULONG), FATAL_TAG);
    volatile ULONG *block = ExAllocatePoolWithTagPriority(NonPagedPool, COUNT * sizeof(ULONG), FATAL_TAG,
                                                          NormalPoolPrioritySpecialPoolUnderrun);
    UNREFERENCED_PARAMETER(Fatal);
    if (spare != NULL && block != NULL) {
#ifdef FIXED
        for (LONG index = COUNT - 1; index >= 0; index--) {
#else
        for (LONG index = COUNT - 1; index >= -1; index--) {
#endif
            block[index] = (ULONG)index;
        }
    }
    if (block != NULL) {
        ExFreePoolWithTag((PVOID)block, FATAL_TAG);
    }
    if (spare != NULL) {
        ExFreePoolWithTag(spare, FATAL_TAG);
    }
    return 0;
}

#else

#ifdef OVERRUN
#define BYTES (COUNT * sizeof(ULONG) - 8)
#else
#define BYTES (COUNT * sizeof(ULONG))
#endif

// What is wrong with the second of two blocks.
VOID FatalSpoil(volatile ULONG *Block)
{
    Block[0] = 7;
#ifndef FIXED
#if defined(OVERRUN)
    Block[COUNT - 2] = 7;
#elif defined(UNDERRUN)
    Block[-1] = 7;
#else
    Block[-1] |= 2;
#endif
#endif
}

ULONG FatalAct(PFATAL Fatal)
{
    PVOID first = ExAllocatePoolWithTag(PagedPool, BYTES, FATAL_TAG);
    PVOID second = ExAllocatePoolWithTag(PagedPool, BYTES, FATAL_TAG);
    UNREFERENCED_PARAMETER(Fatal);
    if (second != NULL) {
        FatalSpoil(second);
        ExFreePoolWithTag(second, FATAL_TAG);
    }
    if (first != NULL) {
        ExFreePoolWithTag(first, FATAL_TAG);
    }
    return 0;
}

#endif
