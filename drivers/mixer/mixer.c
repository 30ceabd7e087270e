// Pageable data that is used above APC_LEVEL for short stretches only, so it is locked around them (R7).
//
//   PAGEDATA  initialised data; explicit zeros belong here too (R35)
//   PAGEBSS   implicit zeros: no bytes in the file, only a virtual size (R44)
//
// Both are larger than two pages. Contents survive a stay in the paging file (D4).
//
//   ioctl 0x222000  MIX       adds the input to every sample, at DISPATCH_LEVEL; output: the sum of all samples
//   ioctl 0x222004  SUM       output: the same sum, computed at PASSIVE_LEVEL without a lock
//   ioctl 0x222008  HANDLES   succeeds if one section has one handle, whatever is asked for (R71, R84, D19)
#include "sample.h"

#define IOCTL_MIXER_MIX SAMPLE_IOCTL(0)
#define IOCTL_MIXER_SUM SAMPLE_IOCTL(1)
#define IOCTL_MIXER_HANDLES SAMPLE_IOCTL(2)

#define SAMPLES 3072

#pragma data_seg("PAGEDATA")
ULONG MixerVolumes[4] = {100, 75, 50, 25};
ULONG MixerSamples[SAMPLES] = {0};
#pragma data_seg()
BSS_ARRAY(ULONG, MixerHistory, SAMPLES, "PAGEBSS", 12288)

// Nonpaged: the lock, and the handles. A handle stays valid at any count (R14).
typedef struct _MIXER {
    KSPIN_LOCK Lock;
    PVOID Data;
    PVOID History;
} MIXER, *PMIXER;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH MixerDeviceControl;
static VOID MixerLockData(PMIXER Mixer);
static NTSTATUS MixerCompareHandles(VOID);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, MixerDeviceControl)
#pragma alloc_text(PAGE, MixerLockData)
#pragma alloc_text(PAGE, MixerCompareHandles)

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"Mixer", sizeof(MIXER), &device);
    if (NT_SUCCESS(status)) {
        KeInitializeSpinLock(&((PMIXER)device->DeviceExtension)->Lock);
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = MixerDeviceControl;
    }
    return status;
}

// The data is locked, but it is code at DISPATCH_LEVEL too, so it is in .text (R5).
static VOID MixerMix(PMIXER Mixer, ULONG Value)
{
    KIRQL irql;
    KeAcquireSpinLock(&Mixer->Lock, &irql);
    for (ULONG i = 0; i < SAMPLES; i++) {
        MixerHistory[i] += MixerSamples[i];
        MixerSamples[i] += Value * MixerVolumes[i % RTL_NUMBER_OF(MixerVolumes)];
    }
    KeReleaseSpinLock(&Mixer->Lock, irql);
}

static ULONG MixerSum(VOID)
{
    ULONG sum = 0;
    for (ULONG i = 0; i < SAMPLES; i++) {
        sum += MixerSamples[i] + MixerHistory[i];
    }
    return sum;
}

// By address the first time, then by handle (R13). Each adds one to the count of its section (R15).
static VOID MixerLockData(PMIXER Mixer)
{
    PAGED_CODE();
    if (Mixer->Data == NULL) {
        Mixer->Data = MmLockPagableDataSection(MixerSamples);
        Mixer->History = MmLockPagableDataSection(MixerHistory);
    } else {
        MmLockPagableSectionByHandle(Mixer->Data);
        MmLockPagableSectionByHandle(Mixer->History);
    }
}

static NTSTATUS MixerCompareHandles(VOID)
{
    PVOID first = MmLockPagableDataSection(MixerVolumes);
    PVOID second = MmLockPagableDataSection(&MixerSamples[SAMPLES - 1]);
    PVOID asCode = MmLockPagableCodeSection(MixerSamples);
    PVOID other = MmLockPagableDataSection(MixerHistory);
    PAGED_CODE();

    MmUnlockPagableImageSection(first);
    MmUnlockPagableImageSection(second);
    MmUnlockPagableImageSection(asCode);
    MmUnlockPagableImageSection(other);
    return first == second && first == asCode && first != other ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}

NTSTATUS MixerDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PMIXER mixer = Device->DeviceExtension;
    PAGED_CODE();

    switch (SampleControlCode(Irp)) {
    case IOCTL_MIXER_MIX:
        MixerLockData(mixer);
        MixerMix(mixer, SampleInput(Irp));
        MmUnlockPagableImageSection(mixer->History);
        MmUnlockPagableImageSection(mixer->Data);
        return SampleOutput(Irp, STATUS_SUCCESS, MixerSum());
    case IOCTL_MIXER_SUM:
        return SampleOutput(Irp, STATUS_SUCCESS, MixerSum());
    case IOCTL_MIXER_HANDLES:
        return SampleComplete(Irp, MixerCompareHandles(), 0);
    default:
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}
