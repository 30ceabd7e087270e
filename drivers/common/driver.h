// What every sample includes: the WDK names, and the three things the tools need to be told.
#pragma once

// wdm.h defines two functions that intrin.h has declared extern; under names of their own they stay static, as meant.
#include <intrin.h>
#define InterlockedBitTestAndSet WdmInterlockedBitTestAndSet
#define InterlockedBitTestAndReset WdmInterlockedBitTestAndReset
#include <ntddk.h>

#include "layout.h"

// lld sorts sections by name, except that discardable ones go last. An INIT that is declared discardable before any
// function is put into it therefore ends the image, which is where the loader can give its pages back (R54).
#ifdef INIT_NOT_LAST
#define INIT_SECTION ".section INIT,\"xr\"\n"
#else
#define INIT_SECTION ".section INIT,\"xrD\"\n"
#endif
__asm__(INIT_SECTION);

// Stands for the code that a real driver has in this place. It makes a section longer than two pages, so that a lock
// covers several, and it moves the functions before and after it to different pages.
#define SECTION_FILLER(name, section_name, bytes)                                                   \
    __attribute__((naked, used, section(section_name))) VOID name(VOID)                             \
    {                                                                                               \
        __asm__(".fill " #bytes ", 1, 0xCC");                                                       \
    }

// An array that is zero implicitly: no bytes in the file, only a virtual size (R35, R44). Microsoft's compiler does this
// for `bss_seg`; clang would write the zeros out.
#define BSS_ARRAY(type, name, count, section_name, bytes)                                           \
    extern type name[count];                                                                        \
    _Static_assert(sizeof(name) == (bytes), #name);                                                 \
    __asm__(".section " section_name ",\"bw\"\n.balign 16\n.globl " #name "\n" #name ": .zero " #bytes "\n");

#define TAG(a, b, c, d) ((ULONG)(a) | (ULONG)(b) << 8 | (ULONG)(c) << 16 | (ULONG)(d) << 24)

// Input and output codes of the samples: 0x222000, 0x222004, 0x222008, ...
#define SAMPLE_IOCTL(n) CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800 + (n), METHOD_BUFFERED, FILE_ANY_ACCESS)
