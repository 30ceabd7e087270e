// Every odd way in which a section can be pageable or not (R36, R39, R41-R44, R208). Nothing here runs above APC_LEVEL and
// nothing is locked, so whatever leaves memory may; the point is which pages do. With sections aligned to 128 bytes most
// of these share pages.
//
//   .edatbl   begins like an export table, so it is pageable (R41)
//   INITDATA  begins like INIT and is neither: no DISCARDABLE flag, not that name (D3, K16)
//   NONPAGED  code that stays; the page it shares with PAGE stays too (R43 a)
//   PAGE      large
//   PAGEA     tiny, and next to PAGE: a page they share is pageable (R43 e)
//   PAGEFLAG  has the flag NOT_PAGED, which counts for nothing (R41)
//   PAGELONG  in the source PAGELONGNAME: a header has room for eight letters, and the first four decide
//   page      lower-case, so it stays (R39, K16)
//
//   ioctl 0x222000  SUM: reads or runs something in each of them; output: 36, and from then on one more for each call
#include "sample.h"

#define IOCTL_LAYOUT_SUM SAMPLE_IOCTL(0)

#pragma const_seg(".edatbl")
const volatile ULONG LayoutExports[40] = {1};
#pragma const_seg()
#pragma data_seg("INITDATA")
volatile ULONG LayoutInitData[40] = {2};
#pragma data_seg()

DRIVER_INITIALIZE DriverEntry;
DRIVER_DISPATCH LayoutDeviceControl;
static ULONG LayoutNonpaged(VOID);
static ULONG LayoutPage(VOID);
static ULONG LayoutAdjacent(VOID);
static ULONG LayoutFlagged(VOID);
static ULONG LayoutLongName(VOID);
static ULONG LayoutLowerCase(VOID);

#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(NONPAGED, LayoutNonpaged)
#pragma alloc_text(PAGE, LayoutPage)
#pragma alloc_text(PAGEA, LayoutAdjacent)
#pragma alloc_text(PAGEFLAG, LayoutFlagged)
#pragma alloc_text(PAGELONGNAME, LayoutLongName)
#pragma alloc_text(page, LayoutLowerCase)

static ULONG LayoutNonpaged(VOID)
{
    return ++LayoutInitData[0];
}

SECTION_FILLER(LayoutFiller, "PAGE", 9000)

static ULONG LayoutPage(VOID)
{
    PAGED_CODE();
    return LayoutExports[0] + 4;
}

static ULONG LayoutAdjacent(VOID)
{
    PAGED_CODE();
    return LayoutExports[1] + 5;
}

static ULONG LayoutFlagged(VOID)
{
    PAGED_CODE();
    return LayoutExports[2] + 6;
}

SECTION_FILLER(LayoutFlaggedFiller, "PAGEFLAG", 4096)

static ULONG LayoutLongName(VOID)
{
    PAGED_CODE();
    return LayoutExports[3] + 7;
}

SECTION_FILLER(LayoutLongFiller, "PAGELONGNAME", 4096)

static ULONG LayoutLowerCase(VOID)
{
    return LayoutExports[4] + 10;
}

SECTION_FILLER(LayoutLowerFiller, "page", 4096)

NTSTATUS LayoutDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    ULONG sum;
    UNREFERENCED_PARAMETER(Device);
    if (SampleControlCode(Irp) != IOCTL_LAYOUT_SUM) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    sum = LayoutNonpaged() + LayoutPage() + LayoutAdjacent() + LayoutFlagged() + LayoutLongName() + LayoutLowerCase();
    return SampleOutput(Irp, STATUS_SUCCESS, sum);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"Layout", 0, &device);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = LayoutDeviceControl;
    }
    return status;
}
