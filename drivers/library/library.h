// What library.sys exports.
#pragma once

#include "driver.h"

#ifdef LIBRARY
#define LIBRARY_EXPORT __declspec(dllexport)
#else
#define LIBRARY_EXPORT __declspec(dllimport)
#endif

// The sum of some bytes, in a way of the library's own. At DISPATCH_LEVEL only between ChecksumLock and ChecksumUnlock.
LIBRARY_EXPORT ULONG ChecksumOf(const UCHAR *Bytes, ULONG Length);

// Keep the code in memory; each lock wants one unlock. <= APC_LEVEL.
LIBRARY_EXPORT VOID ChecksumLock(VOID);
LIBRARY_EXPORT VOID ChecksumUnlock(VOID);
