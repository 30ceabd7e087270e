// A Storport miniport that locks a section. The routines are among those that such drivers should not call at any IRQL; the
// rule is checked when a driver is built, so nothing happens at run time (R144).
//
//   expected  K24, from the imports: MmLockPagableDataSection
//   trigger   none
//   repaired  the code is resident, and nothing is locked
//
// With VIRTUAL it is a virtual miniport, to which the rule does not apply.
#include "driver.h"

// These headers define one structure twice.
#include <srb.h>
#define _SCSI_WMI_REQUEST_BLOCK _STOR_WMI_REQUEST_BLOCK
#define SCSI_WMI_REQUEST_BLOCK STOR_WMI_REQUEST_BLOCK
#define PSCSI_WMI_REQUEST_BLOCK PSTOR_WMI_REQUEST_BLOCK
#include <storport.h>

DRIVER_INITIALIZE DriverEntry;
BOOLEAN NTAPI X23StartIo(PVOID Extension, PSCSI_REQUEST_BLOCK Srb);
ULONG NTAPI X23FindAdapter(PVOID Extension, PVOID Context, PVOID Bus, PCHAR Arguments,
                           PPORT_CONFIGURATION_INFORMATION Configuration, PBOOLEAN Reserved);

#pragma alloc_text(INIT, DriverEntry)
#ifndef FIXED
#pragma alloc_text(PAGEX23, X23StartIo)
SECTION_FILLER(X23Filler, "PAGEX23", 8192)
#endif

BOOLEAN NTAPI X23StartIo(PVOID Extension, PSCSI_REQUEST_BLOCK Srb)
{
    Srb->SrbStatus = SRB_STATUS_INVALID_REQUEST;
    StorPortNotification(RequestComplete, Extension, Srb);
    return TRUE;
}

BOOLEAN NTAPI X23Initialize(PVOID Extension)
{
    UNREFERENCED_PARAMETER(Extension);
    return TRUE;
}

BOOLEAN NTAPI X23Interrupt(PVOID Extension)
{
    UNREFERENCED_PARAMETER(Extension);
    return FALSE;
}

BOOLEAN NTAPI X23ResetBus(PVOID Extension, ULONG Path)
{
    UNREFERENCED_PARAMETER(Extension);
    UNREFERENCED_PARAMETER(Path);
    return TRUE;
}

SCSI_ADAPTER_CONTROL_STATUS NTAPI X23AdapterControl(PVOID Extension, SCSI_ADAPTER_CONTROL_TYPE Type, PVOID Parameters)
{
    UNREFERENCED_PARAMETER(Extension);
    UNREFERENCED_PARAMETER(Type);
    UNREFERENCED_PARAMETER(Parameters);
    return ScsiAdapterControlUnsuccessful;
}

ULONG NTAPI X23FindAdapter(PVOID Extension, PVOID Context, PVOID Bus, PCHAR Arguments,
                           PPORT_CONFIGURATION_INFORMATION Configuration, PBOOLEAN Reserved)
{
    UNREFERENCED_PARAMETER(Extension);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Bus);
    UNREFERENCED_PARAMETER(Arguments);
    UNREFERENCED_PARAMETER(Configuration);
    UNREFERENCED_PARAMETER(Reserved);
#ifndef FIXED
    MmLockPagableCodeSection((PVOID)X23StartIo);
#endif
    return SP_RETURN_NOT_FOUND;
}

#ifdef VIRTUAL

// These headers know ScsiPort only: HwFreeAdapterResources lies here.
typedef union _X23_VIRTUAL {
    HW_INITIALIZATION_DATA Data;
    PVOID Fields[0xD0 / sizeof(PVOID)];
} X23_VIRTUAL;
#define FREE_ADAPTER_RESOURCES (0x88 / sizeof(PVOID))

VOID NTAPI X23FreeAdapterResources(PVOID Extension)
{
    UNREFERENCED_PARAMETER(Extension);
}

#endif

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
#ifdef VIRTUAL
    X23_VIRTUAL whole = {0};
    whole.Fields[FREE_ADAPTER_RESOURCES] = (PVOID)X23FreeAdapterResources;
#define data whole.Data
#else
    HW_INITIALIZATION_DATA data = {0};
#endif
    data.HwInitializationDataSize = sizeof(HW_INITIALIZATION_DATA);
    data.AdapterInterfaceType = PCIBus;
    data.HwInitialize = X23Initialize;
    data.HwStartIo = X23StartIo;
    data.HwInterrupt = X23Interrupt;
    data.HwFindAdapter = (PVOID)X23FindAdapter;
    data.HwResetBus = X23ResetBus;
    data.HwAdapterControl = X23AdapterControl;
    return (NTSTATUS)StorPortInitialize(Driver, RegistryPath, (PVOID)&data, NULL);
}
