// A DPC uses constants that are not in memory: a string that the system reads for it (USE_STRING), a table (USE_TABLE), the
// jump table of a switch (USE_JUMP_TABLE), the address of an imported routine (USE_IMPORT), a vector from the compiler's
// constant pool (USE_CONSTANT_POOL). The first two lie where the author put them. The others go where the linker puts
// `.rdata`, and here it is told to merge that with a section that leaves memory: nothing in the source shows it.
//
// The section is PAGECONS, or with DISCARDED BOOTCONS, which the linker is told to flag discardable.
//
//   expected  PAGECONS: out: 0xD1 (the constant, 2, 0, in K13Dpc), for the string 0xD3 (the constant, 2, 0, in the kernel);
//             else K13. BOOTCONS: the same with K12
//   trigger   ioctl 0x222000
//   repaired  the constants are in `.rdata`, which stays as it is
#include "sample.h"

#if defined(FIXED)
#define CONSTANTS ".rdata"
#elif defined(DISCARDED)
#define CONSTANTS "BOOTCONS"
#else
#define CONSTANTS "PAGECONS"
#endif
#pragma const_seg(CONSTANTS)
const WCHAR K13Name[] = L"constants";
const volatile ULONG K13Table[1100] = {2, 3, 5, 7, [1099] = 1};
#pragma const_seg()

static KDPC K13Dpcs;
#ifdef USE_IMPORT
static KEVENT K13Event;
#endif
static volatile ULONG K13Input;
static volatile ULONG K13Output;

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH K13DeviceControl;
KDEFERRED_ROUTINE K13Dpc;

#pragma alloc_text(INIT, DriverEntry)

VOID K13Dpc(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
#if defined(USE_STRING)
    UNICODE_STRING name;
    RtlInitUnicodeString(&name, K13Name);
    K13Output = name.Length;
#elif defined(USE_TABLE)
    K13Output = K13Table[K13Input & 3];
#elif defined(USE_JUMP_TABLE)
    switch (K13Input) {
    case 0:
        K13Output = 0;
        break;
    case 1:
        K13Output = K13Input + 17;
        break;
    case 2:
        K13Output ^= 4;
        break;
    case 3:
        K13Output = K13Output * 5;
        break;
    case 4:
        K13Output = K13Output >> K13Input;
        break;
    default:
        K13Output = 1;
    }
#elif defined(USE_IMPORT)
    KeClearEvent(&K13Event);
    K13Output = 1;
#elif defined(USE_CONSTANT_POOL)
    typedef ULONG64 PAIR __attribute__((vector_size(16)));
    volatile PAIR pair = {0x0123456789ABCDEF, 0xFEDCBA9876543210};
    K13Output = (ULONG)pair[0];
#endif
}

NTSTATUS K13DeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    if (SampleControlCode(Irp) != SAMPLE_IOCTL(0)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    K13Input = SampleInput(Irp);
    KeInsertQueueDpc(&K13Dpcs, NULL, NULL);
    KeFlushQueuedDpcs();
    return SampleOutput(Irp, STATUS_SUCCESS, K13Output);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"K13", 0, &device);
    if (NT_SUCCESS(status)) {
        KeInitializeDpc(&K13Dpcs, K13Dpc, NULL);
#ifdef USE_IMPORT
        KeInitializeEvent(&K13Event, NotificationEvent, TRUE);
#endif
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = K13DeviceControl;
    }
    return status;
}
