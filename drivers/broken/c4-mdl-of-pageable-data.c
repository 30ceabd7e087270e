// An MDL for nonpaged memory is made of a buffer in PAGEDATA. It describes the pages that the buffer has at the moment, and
// nothing keeps them there; the address that it gives is that of the buffer, which may leave memory.
//
//   expected  verifier: 0xC4 (0x140, 0, the MDL, the buffer); trimmed: 0x1A (0x1240, the MDL, the PTE of the buffer, 0);
//             else K13
//   trigger   ioctl 0x222000
//   repaired  MmProbeAndLockPages keeps the pages until MmUnlockPages
#include "sample.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH C4DeviceControl;
VOID C4Fill(PUCHAR Buffer);

#pragma alloc_text(INIT, DriverEntry)

#pragma data_seg("PAGEDATA")
UCHAR C4Buffer[3 * PAGE_SIZE] = { 1 };
#pragma data_seg()

KSPIN_LOCK C4Lock;

DECLSPEC_NOINLINE VOID C4Fill(PUCHAR Buffer)
{
    KIRQL irql;
    KeAcquireSpinLock(&C4Lock, &irql);
    *Buffer = 2;
    KeReleaseSpinLock(&C4Lock, irql);
}

VOID C4Use(PMDL Mdl)
{
    PUCHAR buffer = MmGetSystemAddressForMdlSafe(Mdl, NormalPagePriority);
    if (buffer != NULL) {
        C4Fill(buffer);
    }
}

NTSTATUS C4DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PMDL mdl;
    UNREFERENCED_PARAMETER(Device);

    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    mdl = IoAllocateMdl(C4Buffer, sizeof(C4Buffer), FALSE, FALSE, NULL);
    if (mdl == NULL) {
        return SampleComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
#ifdef FIXED
    __try {
        MmProbeAndLockPages(mdl, KernelMode, IoWriteAccess);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        IoFreeMdl(mdl);
        return SampleComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    C4Use(mdl);
    MmUnlockPages(mdl);
#else
    MmBuildMdlForNonPagedPool(mdl);
    C4Use(mdl);
#endif
    IoFreeMdl(mdl);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    KeInitializeSpinLock(&C4Lock);
    status = SAMPLE_CREATE_DEVICE(Driver, L"C4", 0, &device);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = C4DeviceControl;
    }
    return status;
}
