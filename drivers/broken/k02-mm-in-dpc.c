// A DPC locks a section by its address or, with UNLOCK, unlocks one. Both are for APC_LEVEL and below (R140, R142).
//
//   expected  K02; verifier: 0xC4 (0x20019, text, 0, 0). The lock, the section being out: 0xD3 (a page of PAGEK02, 2, 0, in
//             the kernel)
//   trigger   ioctl 0x222000
//   repaired  the request does it, at PASSIVE_LEVEL
#include "sample.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH K02DeviceControl;
KDEFERRED_ROUTINE K02Dpc;
ULONG K02Work(ULONG Value);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGEK02, K02Work)

typedef struct _K02 {
    KDPC Dpc;
    PVOID Code;
} K02, *PK02;

ULONG K02Work(ULONG Value)
{
    PAGED_CODE();
    return Value + 1;
}

SECTION_FILLER(K02Filler, "PAGEK02", 8192)

static VOID K02Lock(PK02 Device)
{
    Device->Code = MmLockPagableCodeSection((PVOID)K02Work);
}

static VOID K02Unlock(PK02 Device)
{
    MmUnlockPagableImageSection(Device->Code);
}

VOID K02Dpc(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
#if defined(FIXED)
#elif defined(UNLOCK)
    K02Unlock(Context);
#else
    K02Lock(Context);
#endif
}

NTSTATUS K02DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PK02 k02 = Device->DeviceExtension;

    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
#if defined(FIXED) || defined(UNLOCK)
    K02Lock(k02);
#endif
    KeInsertQueueDpc(&k02->Dpc, NULL, NULL);
    KeFlushQueuedDpcs();
#if defined(FIXED) || !defined(UNLOCK)
    K02Unlock(k02);
#endif
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"K02", sizeof(K02), &device);
    if (NT_SUCCESS(status)) {
        PK02 k02 = device->DeviceExtension;
        KeInitializeDpc(&k02->Dpc, K02Dpc, k02);
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = K02DeviceControl;
    }
    return status;
}
