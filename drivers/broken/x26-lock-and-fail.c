// DriverEntry locks a section and then finds that it cannot go on. There is no Unload after a failed DriverEntry (R57), so
// nobody gives the lock back.
//
//   expected  K05 on the way out of DriverEntry; the image is freed, the pages of PAGEX26 are lost (D28)
//   trigger   load
//   repaired  the error path unlocks; DriverEntry fails as before
#include "sample.h"

DRIVER_INITIALIZE DriverEntry;
ULONG X26Work(ULONG Value);
BOOLEAN X26FindHardware(VOID);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(INIT, X26FindHardware)
#pragma alloc_text(PAGEX26, X26Work)

ULONG X26Work(ULONG Value)
{
    PAGED_CODE_LOCKED();
    return Value + 1;
}

SECTION_FILLER(X26Filler, "PAGEX26", 8192)

BOOLEAN X26FindHardware(VOID)
{
    return X26Work(0) == 0;
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PVOID code = MmLockPagableCodeSection((PVOID)X26Work);
    UNREFERENCED_PARAMETER(Driver);
    UNREFERENCED_PARAMETER(RegistryPath);

    if (!X26FindHardware()) {
#ifdef FIXED
        MmUnlockPagableImageSection(code);
#endif
        return STATUS_NO_SUCH_DEVICE;
    }
    MmUnlockPagableImageSection(code);
    return STATUS_SUCCESS;
}
