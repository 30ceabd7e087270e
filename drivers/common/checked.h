// For checked builds, in which PAGED_CODE asserts.
#pragma once

// Microsoft's compiler puts the text of an assertion into the PDB; clang has no such thing.
#define __annotation(...) ((void)0)
#include "sample.h"
// One instruction that returns if a debugger says so; the intrinsic of clang is one that never returns.
#undef DbgRaiseAssertionFailure
#define DbgRaiseAssertionFailure() ({ __asm__ volatile("int $0x2c"); })
