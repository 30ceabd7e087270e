// A driver names itself to MmPageEntireDriver by an address that lies in no driver: memory that it has just allocated. Nothing
// is paged (R120, D37). Here the image shows it; in k28-pages-nothing the address comes from memory.
//
//   expected  K28 in DriverEntry; MmPageEntireDriver returns NULL
//   trigger   load
//   repaired  the address is that of a routine
#include "sample.h"

#define K28_TAG TAG('K', '2', '8', ' ')

DRIVER_INITIALIZE DriverEntry;

#pragma alloc_text(INIT, DriverEntry)

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    PVOID state;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"K28", 0, &device);
    if (NT_SUCCESS(status)) {
        state = ExAllocatePoolWithTag(NonPagedPool, 64, K28_TAG);
        if (state == NULL) {
            SampleDeleteDevice(Driver);
            return STATUS_INSUFFICIENT_RESOURCES;
        }
#ifdef FIXED
        MmPageEntireDriver((PVOID)DriverEntry);
#else
        MmPageEntireDriver(state);
#endif
        ExFreePoolWithTag(state, K28_TAG);
    }
    return status;
}
