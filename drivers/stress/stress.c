// Threads that lock and unlock three sections at random, and run the code of what they hold at DISPATCH_LEVEL. Aligned to
// 128 bytes the sections share pages, so that a page may be pinned by two of them (D22).
//
//   ioctl 0x222000  RUN: input: STRESS_INPUT; returns when all threads have ended, with every lock given back
//
// Each thread draws from its own generator, seeded with the input's seed and its number, and keeps at most four locks a
// section. What it finds wrong it counts: the handle of a section must never change (R14, D19).
#include "sample.h"

#define IOCTL_STRESS_RUN SAMPLE_IOCTL(0)

#define SECTIONS 3
#define MAX_THREADS 16
#define MAX_HELD 4

typedef struct _STRESS_INPUT {
    ULONG Seed;
    ULONG Threads; // at most 16; 0 means 4
    ULONG Rounds;  // of each thread; 0 means 200
} STRESS_INPUT, *PSTRESS_INPUT;

typedef ULONG STRESS_CODE(ULONG Value);

typedef struct _STRESS {
    KSPIN_LOCK Lock;
    volatile PVOID Handles[SECTIONS];
    volatile LONG Wrong;
    volatile LONG Work;
} STRESS, *PSTRESS;

typedef struct _STRESS_THREAD {
    PSTRESS Stress;
    PVOID Object;
    ULONG Random;
    ULONG Rounds;
    ULONG Held[SECTIONS];
} STRESS_THREAD, *PSTRESS_THREAD;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH StressDeviceControl;
KSTART_ROUTINE StressThread;
static STRESS_CODE StressFirst;
static STRESS_CODE StressSecond;
static STRESS_CODE StressThird;
static NTSTATUS StressRun(PSTRESS Stress, PSTRESS_INPUT Input);
static NTSTATUS StressStart(PSTRESS_THREAD Thread);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, StressDeviceControl)
#pragma alloc_text(PAGE, StressRun)
#pragma alloc_text(PAGE, StressStart)
#pragma alloc_text(PAGESTR1, StressFirst)
#pragma alloc_text(PAGESTR2, StressSecond)
#pragma alloc_text(PAGESTR3, StressThird)

static STRESS_CODE *const StressCode[SECTIONS] = {StressFirst, StressSecond, StressThird};

static ULONG StressFirst(ULONG Value)
{
    PAGED_CODE_LOCKED();
    return Value * 5 + 1;
}

SECTION_FILLER(StressFiller1, "PAGESTR1", 9000)

static ULONG StressSecond(ULONG Value)
{
    PAGED_CODE_LOCKED();
    return Value ^ Value >> 7;
}

SECTION_FILLER(StressFiller2, "PAGESTR2", 9000)

static ULONG StressThird(ULONG Value)
{
    PAGED_CODE_LOCKED();
    return Value + 77;
}

SECTION_FILLER(StressFiller3, "PAGESTR3", 9000)

static ULONG StressNext(PSTRESS_THREAD Thread)
{
    Thread->Random ^= Thread->Random << 13;
    Thread->Random ^= Thread->Random >> 17;
    Thread->Random ^= Thread->Random << 5;
    return Thread->Random;
}

// By address or, once somebody has the handle, by handle.
static VOID StressLock(PSTRESS_THREAD Thread, ULONG Section, BOOLEAN ByAddress)
{
    PSTRESS stress = Thread->Stress;
    if (!ByAddress && stress->Handles[Section] != NULL) {
        MmLockPagableSectionByHandle(stress->Handles[Section]);
    } else {
        PVOID handle = MmLockPagableCodeSection((PVOID)StressCode[Section]);
        PVOID before = InterlockedExchangePointer((PVOID volatile *)&stress->Handles[Section], handle);
        if (before != NULL && before != handle) {
            InterlockedIncrement(&stress->Wrong);
        }
    }
    Thread->Held[Section]++;
}

static VOID StressUnlock(PSTRESS_THREAD Thread, ULONG Section)
{
    MmUnlockPagableImageSection(Thread->Stress->Handles[Section]);
    Thread->Held[Section]--;
}

// What is held has to be there, on every processor (R97).
static VOID StressUse(PSTRESS_THREAD Thread, ULONG Section)
{
    KIRQL irql;
    KeAcquireSpinLock(&Thread->Stress->Lock, &irql);
    Thread->Stress->Work = (LONG)StressCode[Section]((ULONG)Thread->Stress->Work);
    KeReleaseSpinLock(&Thread->Stress->Lock, irql);
}

VOID StressThread(PVOID Context)
{
    PSTRESS_THREAD thread = Context;
    for (ULONG round = 0; round < thread->Rounds; round++) {
        ULONG choice = StressNext(thread);
        ULONG section = choice % SECTIONS;
        if ((choice >> 8 & 1) && thread->Held[section] < MAX_HELD) {
            StressLock(thread, section, (choice >> 9 & 3) == 0);
        } else if (thread->Held[section] != 0) {
            StressUse(thread, section);
            StressUnlock(thread, section);
        }
    }
    for (ULONG section = 0; section < SECTIONS; section++) {
        while (thread->Held[section] != 0) {
            StressUnlock(thread, section);
        }
    }
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static NTSTATUS StressStart(PSTRESS_THREAD Thread)
{
    HANDLE handle;
    NTSTATUS status;
    PAGED_CODE();

    status = PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, StressThread, Thread);
    if (NT_SUCCESS(status)) {
        ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, NULL, KernelMode, &Thread->Object, NULL);
        ZwClose(handle);
    }
    return status;
}

static NTSTATUS StressRun(PSTRESS Stress, PSTRESS_INPUT Input)
{
    ULONG bytes = Input->Threads * sizeof(STRESS_THREAD);
    NTSTATUS status = STATUS_SUCCESS;
    PSTRESS_THREAD threads;
    PAGED_CODE();

    threads = ExAllocatePoolWithTag(NonPagedPool, bytes, TAG('S', 't', 'r', 's'));
    if (threads == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlZeroMemory(threads, bytes);
    for (ULONG i = 0; i < Input->Threads && NT_SUCCESS(status); i++) {
        threads[i].Stress = Stress;
        threads[i].Random = (Input->Seed + i) * 2654435761u | 1;
        threads[i].Rounds = Input->Rounds;
        status = StressStart(&threads[i]);
    }
    for (ULONG i = 0; i < Input->Threads; i++) {
        if (threads[i].Object != NULL) {
            KeWaitForSingleObject(threads[i].Object, Executive, KernelMode, FALSE, NULL);
            ObDereferenceObject(threads[i].Object);
        }
    }
    ExFreePoolWithTag(threads, TAG('S', 't', 'r', 's'));
    return NT_SUCCESS(status) && Stress->Wrong != 0 ? STATUS_UNSUCCESSFUL : status;
}

NTSTATUS StressDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    STRESS_INPUT input;
    PAGED_CODE();

    if (SampleControlCode(Irp) != IOCTL_STRESS_RUN) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    if (stack->Parameters.DeviceIoControl.InputBufferLength < sizeof(input)) {
        return SampleComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
    }
    input = *(PSTRESS_INPUT)Irp->AssociatedIrp.SystemBuffer;
    input.Threads = input.Threads == 0 ? 4 : input.Threads;
    input.Rounds = input.Rounds == 0 ? 200 : input.Rounds;
    if (input.Threads > MAX_THREADS) {
        return SampleComplete(Irp, STATUS_INVALID_PARAMETER, 0);
    }
    return SampleComplete(Irp, StressRun(Device->DeviceExtension, &input), 0);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"Stress", sizeof(STRESS), &device);
    if (NT_SUCCESS(status)) {
        KeInitializeSpinLock(&((PSTRESS)device->DeviceExtension)->Lock);
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = StressDeviceControl;
    }
    return status;
}
