// A driver pages itself as a whole, and names itself by its device extension. That lies in pool, in no driver, so that
// nothing is paged (R120, D37). The returned base says so.
//
//   expected  K28 in DriverEntry; MmPageEntireDriver returns NULL
//   trigger   load
//   repaired  any address in the driver will do; DriverEntry is the usual one
#include "sample.h"

typedef struct _K28 {
    PVOID Base;
} K28, *PK28;

DRIVER_INITIALIZE DriverEntry;

#pragma alloc_text(INIT, DriverEntry)

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    PK28 k28;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"K28", sizeof(K28), &device);
    if (NT_SUCCESS(status)) {
        k28 = device->DeviceExtension;
#ifdef FIXED
        k28->Base = MmPageEntireDriver((PVOID)DriverEntry);
#else
        k28->Base = MmPageEntireDriver(k28);
#endif
    }
    return status;
}
