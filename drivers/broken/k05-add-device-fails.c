// AddDevice locks a section for the device, finds that it cannot drive it, and fails. The device is not removed, because it
// was never added, and the lock stays (R17).
//
//   expected  K05 n = 1 at unload, with the call in K05AddDevice
//   trigger   load, add a device, unload
//   repaired  AddDevice gives the lock back
#include "sample.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_ADD_DEVICE K05AddDevice;
DRIVER_UNLOAD K05Unload;
ULONG K05Work(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGEK05, K05Work)

ULONG K05Work(ULONG Value)
{
    PAGED_CODE_LOCKED();
    return Value + 1;
}

SECTION_FILLER(K05Filler, "PAGEK05", 8192)

static PVOID K05Code;
static volatile ULONG K05Devices;

// The first device is one too many.
static BOOLEAN K05CanDriveAnother(VOID)
{
    K05Devices = K05Work(K05Devices);
    return K05Devices == 0;
}

NTSTATUS K05AddDevice(PDRIVER_OBJECT Driver, PDEVICE_OBJECT PhysicalDevice)
{
    PVOID code = MmLockPagableCodeSection((PVOID)K05Work);
    UNREFERENCED_PARAMETER(Driver);
    UNREFERENCED_PARAMETER(PhysicalDevice);

    if (!K05CanDriveAnother()) {
#ifdef FIXED
        MmUnlockPagableImageSection(code);
#endif
        return STATUS_NO_SUCH_DEVICE;
    }
    K05Code = code;
    return STATUS_SUCCESS;
}

VOID K05Unload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    if (K05Code != NULL) {
        MmUnlockPagableImageSection(K05Code);
    }
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    Driver->DriverExtension->AddDevice = K05AddDevice;
    Driver->DriverUnload = K05Unload;
    return STATUS_SUCCESS;
}
