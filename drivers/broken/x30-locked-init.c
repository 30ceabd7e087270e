// DriverEntry locks INIT, hoping to keep it. It is discarded all the same (R38, D13).
//
//   expected  K25 when INIT is discarded; the unlock in Unload succeeds and changes no page
//   trigger   load, unload
//   repaired  INIT is not locked
#include "sample.h"

#ifndef FIXED
PVOID X30Init;
#endif

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD X30Unload;

#pragma alloc_text(INIT, DriverEntry)

VOID X30Unload(PDRIVER_OBJECT Driver)
{
#ifndef FIXED
    MmUnlockPagableImageSection(X30Init);
#endif
    SampleDeleteDevice(Driver);
}

SECTION_FILLER(X30Filler, "INIT", 8192)

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"X30", 0, &device);
    if (NT_SUCCESS(status)) {
#ifndef FIXED
        X30Init = MmLockPagableCodeSection((PVOID)DriverEntry);
#endif
        Driver->DriverUnload = X30Unload;
    }
    return status;
}
