// Accesses that are not about paging, and end in the bug checks that mistakes about paging are taken for. One define each:
//
//   WRITE_CODE       a counter that was put among constants is written             0xBE (the counter, its PTE, -, -)
//   RUN_DATA         a routine is called that lies in data                         0xFC (the routine, its PTE, -, -)
//   HALF_A_POINTER   an event is set, at DISPATCH_LEVEL, by a pointer that went    0x0A (in the event, 2, 0 or 1, in the
//                    through a ULONG                                                     kernel)
//   BAD_POINTER      that pointer is read instead, at PASSIVE_LEVEL                0x1E (STATUS_ACCESS_VIOLATION, in
//                                                                                  FatalAct, 0, the pointer)
//   NO_POINTER       the same on a system thread                                   0x7E (STATUS_ACCESS_VIOLATION, in
//                                                                                  FatalAct, .., ..)
//   NO_ADDRESS       a pointer with a byte too many, which no processor accepts    0x50 (the pointer, 0, in FatalAct, 4)
//   RECURSE          a routine calls itself until the stack ends                   0x7F (8, ..)
//   STACK_BUFFER     a buffer on the stack is too short for what is copied to it   0xF7 (what was written over the cookie,
//                                                                                  the cookie, ~the cookie, 0)
//   EXECUTABLE_POOL  pool for data that may be executed                            with code integrity checks 0xC4 (0x2000,
//                                                                                  in FatalAct, 0, the tag)
//
//   trigger   ioctl 0x222000
//   repaired  does what was meant
#include "bug-check.h"

#if defined(WRITE_CODE)

#ifdef FIXED
volatile ULONG FatalCount = 1;
#else
const volatile ULONG FatalCount = 1;
#endif

ULONG FatalAct(PFATAL Fatal)
{
    UNREFERENCED_PARAMETER(Fatal);
    return ++*(volatile ULONG *)&FatalCount;
}

#elif defined(RUN_DATA)

// xor eax, eax; ret
UCHAR FatalRoutine[] = {0x31, 0xC0, 0xC3};

ULONG FatalZero(VOID)
{
    return 0;
}

ULONG FatalAct(PFATAL Fatal)
{
#ifdef FIXED
    ULONG (*routine)(VOID) = FatalZero;
#else
    ULONG (*volatile routine)(VOID) = (PVOID)FatalRoutine;
#endif
    UNREFERENCED_PARAMETER(Fatal);
    return routine() + FatalRoutine[0];
}

#elif defined(HALF_A_POINTER) || defined(BAD_POINTER) || defined(NO_POINTER)

#ifdef FIXED
typedef ULONG_PTR KEPT; // what a pointer fits into
#else
typedef ULONG KEPT;
#endif

ULONG FatalAct(PFATAL Fatal)
{
    volatile KEPT kept = (KEPT)(ULONG_PTR)&Fatal->Event;
    PKEVENT event = (PKEVENT)(ULONG_PTR)kept;
#ifdef HALF_A_POINTER
    KIRQL irql;
    KeAcquireSpinLock(&Fatal->Lock, &irql);
    KeSetEvent(event, IO_NO_INCREMENT, FALSE);
    KeReleaseSpinLock(&Fatal->Lock, irql);
    return 0;
#else
    UNREFERENCED_PARAMETER(Fatal);
    return event->Header.Type;
#endif
}

#elif defined(NO_ADDRESS)

ULONG FatalAct(PFATAL Fatal)
{
#ifdef FIXED
    volatile ULONG_PTR kept = (ULONG_PTR)&Fatal->Event;
#else
    volatile ULONG_PTR kept = (ULONG_PTR)&Fatal->Event & 0x00FFFFFFFFFFFFFF; // the top byte was used for a flag
#endif
    return ((PKEVENT)kept)->Header.Type;
}

#elif defined(RECURSE)

// Each level keeps a buffer, as code that walks a tree does.
ULONG FatalWalk(ULONG Depth)
{
    volatile UCHAR buffer[512];
    buffer[0] = (UCHAR)Depth;
    if (Depth == 0) {
        return 0;
    }
    return FatalWalk(Depth - 1) + buffer[0];
}

ULONG FatalAct(PFATAL Fatal)
{
    UNREFERENCED_PARAMETER(Fatal);
#ifdef FIXED
    return FatalWalk(8);
#else
    return FatalWalk(1000);
#endif
}

#elif defined(STACK_BUFFER)

volatile ULONG FatalLength = 24;

DECLSPEC_NOINLINE ULONG FatalCopy(PCSTR From, ULONG Length)
{
    volatile CHAR name[16];
#ifdef FIXED
    Length = Length < sizeof(name) ? Length : sizeof(name);
#endif
    for (ULONG index = 0; index < Length; ++index) {
        name[index] = From[index];
    }
    return name[0];
}

ULONG FatalAct(PFATAL Fatal)
{
    UNREFERENCED_PARAMETER(Fatal);
    return FatalCopy("a name of many letters, and more than that", FatalLength);
}

#elif defined(EXECUTABLE_POOL)

ULONG FatalAct(PFATAL Fatal)
{
#ifdef FIXED
    PVOID data = ExAllocatePoolWithTag(NonPagedPoolNx, 64, FATAL_TAG);
#else
    PVOID data = ExAllocatePoolWithTag(NonPagedPool, 64, FATAL_TAG); // from before there was another
#endif
    UNREFERENCED_PARAMETER(Fatal);
    if (data != NULL) {
        ExFreePoolWithTag(data, FATAL_TAG);
    }
    return 0;
}

#endif
