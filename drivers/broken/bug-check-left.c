// What a driver leaves behind. One define each:
//
//   POOL     a block that its close does not free            with the verifier's flag 0x8 0xC4 (0x62, the name of the driver, 0,
//                                                            1) when the driver is unloaded
//   PAGES    pages of the program that nobody unlocks        0x76 (0, the process, 2, 0) when the program ends, with flag 0x8
//                                                            0xCB (.., 0, the MDL, 2)
//
//   trigger   ioctl 0x222000, of PAGES 0x222003 with a buffer of 8 KiB; close; unload
//   repaired  close undoes what the control request did
#include "sample.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH LeftDeviceControl;
DRIVER_DISPATCH LeftClose;

#pragma alloc_text(INIT, DriverEntry)

#define LEFT_TAG TAG('L', 'e', 'f', 't')

typedef struct _LEFT {
    PVOID Block;
    PMDL Mdl;
} LEFT, *PLEFT;

#if defined(POOL)

NTSTATUS LeftTake(PLEFT Left, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Irp);
    if (Left->Block == NULL) {
        Left->Block = ExAllocatePoolWithTag(PagedPool, 100, LEFT_TAG);
    }
    return Left->Block == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

VOID LeftGive(PLEFT Left)
{
    if (Left->Block != NULL) {
        ExFreePoolWithTag(Left->Block, LEFT_TAG);
        Left->Block = NULL;
    }
}

#else

// In the context of the program, whose buffer the device is to fill later.
NTSTATUS LeftTake(PLEFT Left, PIRP Irp)
{
    ULONG length = IoGetCurrentIrpStackLocation(Irp)->Parameters.DeviceIoControl.OutputBufferLength;
    if (Left->Mdl != NULL) {
        return STATUS_DEVICE_BUSY;
    }
    Left->Mdl = IoAllocateMdl(Irp->UserBuffer, length, FALSE, FALSE, NULL);
    if (Left->Mdl == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    __try {
        MmProbeAndLockPages(Left->Mdl, UserMode, IoWriteAccess);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        IoFreeMdl(Left->Mdl);
        Left->Mdl = NULL;
        return STATUS_INVALID_USER_BUFFER;
    }
    return STATUS_SUCCESS;
}

VOID LeftGive(PLEFT Left)
{
    if (Left->Mdl != NULL) {
        MmUnlockPages(Left->Mdl);
        IoFreeMdl(Left->Mdl);
        Left->Mdl = NULL;
    }
}

#endif

NTSTATUS LeftDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    return SampleComplete(Irp, LeftTake(Device->DeviceExtension, Irp), 0);
}

NTSTATUS LeftClose(PDEVICE_OBJECT Device, PIRP Irp)
{
#ifdef FIXED
    LeftGive(Device->DeviceExtension);
#else
    UNREFERENCED_PARAMETER(Device);
#endif
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"Left", sizeof(LEFT), &device);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = LeftDeviceControl;
        Driver->MajorFunction[IRP_MJ_CLOSE] = LeftClose;
    }
    return status;
}
