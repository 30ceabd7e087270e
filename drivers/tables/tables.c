// Device tables as class drivers have them: pageable data that is only read at PASSIVE_LEVEL and never locked (R6, R205).
//
//   PAGEDATA  the table; it holds addresses, so the loader relocates it before it may leave memory (R40)
//   PAGECONS  constant strings that the table points to
//   PAGE      the code
//
//   ioctl 0x222000  FIND: input: a product number; output: its quirks, or STATUS_NOT_FOUND
//   ioctl 0x222004  NAME: input: a product number; output: the first two characters of its name, as a ULONG
//   ioctl 0x222008  USE: input: a product number; counts a use in the table; output: the count, which survives paging
#include "sample.h"

#define IOCTL_TABLES_FIND SAMPLE_IOCTL(0)
#define IOCTL_TABLES_NAME SAMPLE_IOCTL(1)
#define IOCTL_TABLES_USE SAMPLE_IOCTL(2)

typedef struct _PRODUCT {
    PCWSTR Name;
    ULONG Number;
    ULONG Quirks;
    ULONG Uses;
} PRODUCT, *PPRODUCT;

#pragma const_seg("PAGECONS")
const WCHAR TableNameAlpha[] = L"Alpha drive";
const WCHAR TableNameBeta[4300] = L"Beta drive";
const WCHAR TableNameGamma[] = L"Gamma drive";
#pragma const_seg()

#define PRODUCTS 400

#pragma data_seg("PAGEDATA")
PRODUCT TableProducts[PRODUCTS] = {
    [0] = {TableNameAlpha, 0, 0x1, 0},
    [199] = {TableNameBeta, 200, 0x6, 0},
    [PRODUCTS - 1] = {TableNameGamma, 300, 0x8, 0},
};
#pragma data_seg()

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH TablesDeviceControl;
static PPRODUCT TablesFind(ULONG Number);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, TablesDeviceControl)
#pragma alloc_text(PAGE, TablesFind)

static PPRODUCT TablesFind(ULONG Number)
{
    PAGED_CODE();
    for (ULONG i = 0; i < PRODUCTS; i++) {
        if (TableProducts[i].Name != NULL && TableProducts[i].Number == Number) {
            return &TableProducts[i];
        }
    }
    return NULL;
}

NTSTATUS TablesDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PPRODUCT product = TablesFind(SampleInput(Irp));
    UNREFERENCED_PARAMETER(Device);
    PAGED_CODE();

    if (product == NULL) {
        return SampleComplete(Irp, STATUS_NOT_FOUND, 0);
    }
    switch (SampleControlCode(Irp)) {
    case IOCTL_TABLES_FIND:
        return SampleOutput(Irp, STATUS_SUCCESS, product->Quirks);
    case IOCTL_TABLES_NAME:
        return SampleOutput(Irp, STATUS_SUCCESS, product->Name[0] | (ULONG)product->Name[1] << 16);
    case IOCTL_TABLES_USE:
        return SampleOutput(Irp, STATUS_SUCCESS, ++product->Uses);
    default:
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"Tables", 0, &device);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = TablesDeviceControl;
    }
    return status;
}
