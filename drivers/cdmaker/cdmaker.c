// A CD-ROM driver with special code for each maker, each in a section of its own; a computer has drives of one maker, so
// the code of the others never enters memory (R203).
//
//   PAGEMKA, PAGEMKB   two makers
//   PAGEMKC            any other maker
//
// Start locks the section of the drive it found and throws the handle away. Removal gets the handle back by locking the
// same section by address once more, and then unlocks twice: the count goes 1, 2, 1, 0 (R14, R15). For an unknown maker
// start locks twice and keeps the handle. Locking by address again and again is legal but slow, which K18 mentions.
//
//   ioctl 0x222000  START: input: the maker, 1 (A), 2 (B), anything else (C)
//   ioctl 0x222004  PLAY: input: a track; runs the maker's code at DISPATCH_LEVEL; output: what it says
//   ioctl 0x222008  REMOVE: succeeds if the handle is the one that start got
#include "sample.h"

#define IOCTL_CD_START SAMPLE_IOCTL(0)
#define IOCTL_CD_PLAY SAMPLE_IOCTL(1)
#define IOCTL_CD_REMOVE SAMPLE_IOCTL(2)

typedef ULONG CD_PLAY(ULONG Track);

typedef struct _CD_DRIVE {
    FAST_MUTEX Mutex; // serialises start, play and removal
    KSPIN_LOCK Lock;
    CD_PLAY *Play; // NULL while the drive is not started
    PVOID Handle;  // kept for an unknown maker only
    ULONG Check;   // half of the handle that start got, to compare with
} CD_DRIVE, *PCD_DRIVE;

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD CdUnload;
DRIVER_DISPATCH CdDeviceControl;
static CD_PLAY CdPlayA;
static CD_PLAY CdPlayB;
static CD_PLAY CdPlayOther;
static NTSTATUS CdStart(PCD_DRIVE Drive, ULONG Maker);
static NTSTATUS CdRemove(PCD_DRIVE Drive);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, CdUnload)
#pragma alloc_text(PAGE, CdDeviceControl)
#pragma alloc_text(PAGE, CdStart)
#pragma alloc_text(PAGE, CdRemove)
#pragma alloc_text(PAGEMKA, CdPlayA)
#pragma alloc_text(PAGEMKB, CdPlayB)
#pragma alloc_text(PAGEMKC, CdPlayOther)

static ULONG CdPlayA(ULONG Track)
{
    PAGED_CODE_LOCKED();
    return 0xA000 + Track;
}

SECTION_FILLER(CdFillerA, "PAGEMKA", 8192)

static ULONG CdPlayB(ULONG Track)
{
    PAGED_CODE_LOCKED();
    return 0xB000 + Track * 2;
}

SECTION_FILLER(CdFillerB, "PAGEMKB", 8192)

static ULONG CdPlayOther(ULONG Track)
{
    PAGED_CODE_LOCKED();
    return 0xC000 + (Track ^ 1);
}

SECTION_FILLER(CdFillerOther, "PAGEMKC", 8192)

// It holds a spin lock, so it is resident (R5).
static ULONG CdPlay(PCD_DRIVE Drive, ULONG Track)
{
    ULONG result;
    KIRQL irql;
    KeAcquireSpinLock(&Drive->Lock, &irql);
    result = Drive->Play(Track);
    KeReleaseSpinLock(&Drive->Lock, irql);
    return result;
}

static NTSTATUS CdStart(PCD_DRIVE Drive, ULONG Maker)
{
    CD_PLAY *play = Maker == 1 ? CdPlayA : Maker == 2 ? CdPlayB : CdPlayOther;
    PVOID handle;
    PAGED_CODE();

    if (Drive->Play != NULL) {
        return STATUS_INVALID_DEVICE_STATE;
    }
    handle = MmLockPagableCodeSection((PVOID)play);
    if (play == CdPlayOther) {
        Drive->Handle = MmLockPagableCodeSection((PVOID)play);
    }
    Drive->Check = (ULONG)(ULONG_PTR)handle;
    Drive->Play = play;
    return STATUS_SUCCESS;
}

static NTSTATUS CdRemove(PCD_DRIVE Drive)
{
    PVOID handle = Drive->Handle;
    PAGED_CODE();

    if (Drive->Play == NULL) {
        return STATUS_INVALID_DEVICE_STATE;
    }
    if (handle == NULL) {
        handle = MmLockPagableCodeSection((PVOID)Drive->Play);
    }
    Drive->Play = NULL;
    Drive->Handle = NULL;
    MmUnlockPagableImageSection(handle);
    MmUnlockPagableImageSection(handle);
    return (ULONG)(ULONG_PTR)handle == Drive->Check ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}

NTSTATUS CdDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PCD_DRIVE drive = Device->DeviceExtension;
    NTSTATUS status = STATUS_INVALID_DEVICE_REQUEST;
    ULONG value = 0;
    PAGED_CODE();

    ExAcquireFastMutex(&drive->Mutex);
    switch (SampleControlCode(Irp)) {
    case IOCTL_CD_START:
        status = CdStart(drive, SampleInput(Irp));
        break;
    case IOCTL_CD_PLAY:
        status = drive->Play == NULL ? STATUS_DEVICE_NOT_READY : STATUS_SUCCESS;
        value = drive->Play == NULL ? 0 : CdPlay(drive, SampleInput(Irp));
        break;
    case IOCTL_CD_REMOVE:
        status = CdRemove(drive);
        break;
    }
    ExReleaseFastMutex(&drive->Mutex);
    return SampleOutput(Irp, status, value);
}

VOID CdUnload(PDRIVER_OBJECT Driver)
{
    PAGED_CODE();
    CdRemove(Driver->DeviceObject->DeviceExtension);
    SampleDeleteDevice(Driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    PCD_DRIVE drive;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"CdMaker", sizeof(CD_DRIVE), &device);
    if (NT_SUCCESS(status)) {
        drive = device->DeviceExtension;
        ExInitializeFastMutex(&drive->Mutex);
        KeInitializeSpinLock(&drive->Lock);
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = CdDeviceControl;
        Driver->DriverUnload = CdUnload;
    }
    return status;
}
