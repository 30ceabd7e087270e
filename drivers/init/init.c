// Code and data for initialisation only (R38, R54-R59, R205).
//
//   INIT      DriverEntry, the Reinitialize routine, and a table of constants between them; last in the image
//   BOOTDATA  discardable by its flag alone, and not last: code and data that is kept follows (D9)
//   .data     a table of addresses, so that there are relocations; .reloc is discardable as well
//
// Reinitialize puts itself into the queue again twice, so it runs three times, and INIT has to be there until the third
// call has returned (D10).
//
//   ioctl 0x222000  CALLS: output: how often Reinitialize ran, in the low half; what it and DriverEntry read from INIT and
//                   BOOTDATA, in the high half
//   ioctl 0x222004  SELECT: input: 0 or 1; output: what the function of the table says
//
// INIT_NOT_LAST: INIT comes before PAGE, and .reloc is last. Discarding the discardable end of the image alone would free
// the relocations and keep INIT (R54, D9).
// INIT_FAILS: DriverEntry fails after all its work. Neither Reinitialize nor Unload is called and the image is freed (R57).
#include "sample.h"

#define IOCTL_INIT_CALLS SAMPLE_IOCTL(0)
#define IOCTL_INIT_SELECT SAMPLE_IOCTL(1)

typedef ULONG INIT_FUNCTION(VOID);

// The compiler keeps code and data apart even where a section has one name, so the assembler puts this table into INIT.
extern const ULONG InitTable[4];
__asm__(INIT_SECTION
        ".balign 4\n"
        ".globl InitTable\n"
        "InitTable: .long 3, 5, 7, 11\n");

// Two pages and a bit, so that there is something to give back.
#pragma const_seg("BOOTDATA")
const volatile ULONG InitBootData[2100] = {[0] = 100, [2099] = 23};
#pragma const_seg()

static volatile ULONG InitCalls;
static volatile ULONG InitSum;

DRIVER_INITIALIZE DriverEntry;
VOID NTAPI InitReinitialize(PDRIVER_OBJECT Driver, PVOID Context, ULONG Count);
DRIVER_DISPATCH InitDeviceControl;
static ULONG InitReadTable(VOID);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(INIT, InitReinitialize)
#pragma alloc_text(INIT, InitReadTable)
#pragma alloc_text(PAGE, InitDeviceControl)

static ULONG InitFirst(VOID)
{
    return 1000 + InitCalls;
}

static ULONG InitSecond(VOID)
{
    return 2000 + InitCalls;
}

INIT_FUNCTION *InitFunctions[] = {InitFirst, InitSecond};

NTSTATUS InitDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    PAGED_CODE();
    switch (SampleControlCode(Irp)) {
    case IOCTL_INIT_CALLS:
        return SampleOutput(Irp, STATUS_SUCCESS, (InitCalls & 0xFFFF) | InitSum << 16);
    case IOCTL_INIT_SELECT:
        return SampleOutput(Irp, STATUS_SUCCESS, InitFunctions[SampleInput(Irp) & 1]());
    default:
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

SECTION_FILLER(InitFiller1, "INIT", 4096)

// A copy of the addresses could be used too late; this sum cannot.
static ULONG InitReadTable(VOID)
{
    ULONG sum = InitBootData[0] + InitBootData[2099];
    for (ULONG i = 0; i < RTL_NUMBER_OF(InitTable); i++) {
        sum += InitTable[i];
    }
    return sum;
}

// Context counts down how often it has to come again.
VOID InitReinitialize(PDRIVER_OBJECT Driver, PVOID Context, ULONG Count)
{
    ULONG_PTR again = (ULONG_PTR)Context;
    UNREFERENCED_PARAMETER(Count);

    InitCalls++;
    InitSum += InitReadTable();
    if (again != 0) {
        IoRegisterDriverReinitialization(Driver, InitReinitialize, (PVOID)(again - 1));
    }
}

SECTION_FILLER(InitFiller2, "INIT", 4096)

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"Init", 0, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = InitDeviceControl;
    InitSum = InitReadTable();
    IoRegisterDriverReinitialization(Driver, InitReinitialize, (PVOID)2);
#ifdef INIT_FAILS
    SampleDeleteDevice(Driver);
    return STATUS_UNSUCCESSFUL;
#else
    return STATUS_SUCCESS;
#endif
}
