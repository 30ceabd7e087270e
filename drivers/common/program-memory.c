#include "program-memory.h"

// Of ntifs.h, which does not go with ntddk.h in these headers.
NTSYSAPI NTSTATUS NTAPI ZwAllocateVirtualMemory(HANDLE Process, PVOID *Address, ULONG_PTR ZeroBits, PSIZE_T Bytes,
                                                ULONG Type, ULONG Protection);
NTSYSAPI NTSTATUS NTAPI ZwFreeVirtualMemory(HANDLE Process, PVOID *Address, PSIZE_T Bytes, ULONG Type);

PVOID ProgramAllocatePage(VOID)
{
    PVOID page = NULL;
    SIZE_T bytes = PAGE_SIZE;
    NTSTATUS status = ZwAllocateVirtualMemory(ZwCurrentProcess(), &page, 0, &bytes, MEM_COMMIT, PAGE_READWRITE);
    return NT_SUCCESS(status) ? page : NULL;
}

VOID ProgramFreePage(PVOID Page)
{
    SIZE_T bytes = 0;
    ZwFreeVirtualMemory(ZwCurrentProcess(), &Page, &bytes, MEM_RELEASE);
}
