// An export driver: no device and no dispatch routine, only routines for others (docs: kernel/creating-export-drivers). The
// system calls DllInitialize before the first importer starts and DllUnload when the last one is gone; DriverEntry is never
// called.
//
//   ChecksumOf                    lies in PAGECRC, which is pageable
//   ChecksumLock, ChecksumUnlock  lock it, by address and then by handle (R13), and unlock it
#include "library.h"

DRIVER_INITIALIZE DriverEntry;
__declspec(dllexport) NTSTATUS DllInitialize(PUNICODE_STRING RegistryPath);
__declspec(dllexport) NTSTATUS DllUnload(VOID);
static ULONG ChecksumStep(ULONG Sum, UCHAR Byte);

#pragma alloc_text(PAGE, DllInitialize)
#pragma alloc_text(PAGE, DllUnload)
#pragma alloc_text(PAGE, ChecksumLock)
#pragma alloc_text(PAGE, ChecksumUnlock)
#pragma alloc_text(PAGECRC, ChecksumOf)
#pragma alloc_text(PAGECRC, ChecksumStep)

// What the library needs for all of its clients: a start value for each byte of a machine word, and the handle of PAGECRC with
// the number of clients that need it.
static PULONG Seeds;
static PVOID Section;
static LONG Clients;

#define SEEDS 8
#define LIBRARY_TAG TAG('L', 'i', 'b', 'r')

NTSTATUS DllInitialize(PUNICODE_STRING RegistryPath)
{
    ULONG index;
    UNREFERENCED_PARAMETER(RegistryPath);
    PAGED_CODE();

    Seeds = ExAllocatePoolWithTag(NonPagedPool, SEEDS * sizeof(ULONG), LIBRARY_TAG);
    if (Seeds == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    for (index = 0; index < SEEDS; index++) {
        Seeds[index] = 0x9E3779B9u * (index + 1);
    }
    return STATUS_SUCCESS;
}

NTSTATUS DllUnload(VOID)
{
    PAGED_CODE();
    ExFreePoolWithTag(Seeds, LIBRARY_TAG);
    return STATUS_SUCCESS;
}

VOID ChecksumLock(VOID)
{
    PVOID section;
    PAGED_CODE();
    if (Section != NULL) {
        MmLockPagableSectionByHandle(Section);
    } else {
        section = MmLockPagableCodeSection((PVOID)ChecksumOf);
        InterlockedExchangePointer(&Section, section);
    }
    InterlockedIncrement(&Clients);
}

// The count comes last for a reason: were the unlock the last thing, it would be a jump, and return to the client in this
// driver's stead. A caller is known by where it is returned to (K06).
VOID ChecksumUnlock(VOID)
{
    PAGED_CODE();
    MmUnlockPagableImageSection(Section);
    InterlockedDecrement(&Clients);
}

static ULONG ChecksumStep(ULONG Sum, UCHAR Byte)
{
    PAGED_CODE_LOCKED();
    return (Sum << 5 | Sum >> 27) ^ Byte;
}

ULONG ChecksumOf(const UCHAR *Bytes, ULONG Length)
{
    ULONG sum = 0;
    ULONG index;
    PAGED_CODE_LOCKED();
    for (index = 0; index < Length; index++) {
        sum = ChecksumStep(sum + Seeds[index % SEEDS], Bytes[index]);
    }
    return sum;
}

SECTION_FILLER(ChecksumFiller, "PAGECRC", 8192)

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(Driver);
    UNREFERENCED_PARAMETER(RegistryPath);
    return STATUS_SUCCESS;
}
