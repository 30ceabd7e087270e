//! Exported variables of the kernel images.

use super::Module;

/// One exported variable: its first bytes, then zeros.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DataExport {
    /// The name, verbatim.
    pub(crate) name: &'static str,
    /// The image that exports it.
    pub(crate) module: Module,
    /// Bytes at start.
    pub(crate) initial: &'static [u8],
    /// Zero bytes after them.
    pub(crate) zeros: usize,
}

const fn variable(name: &'static str, initial: &'static [u8], zeros: usize) -> DataExport {
    DataExport { name, module: Module::Ntoskrnl, initial, zeros }
}

const fn hal_variable(name: &'static str, zeros: usize) -> DataExport {
    DataExport { name, module: Module::Hal, initial: &[], zeros }
}

/// First address that user code cannot use, minus 64 KiB, as documented for MmUserProbeAddress.
pub(crate) const USER_PROBE_ADDRESS: u64 = 0x0000_7FFF_FFFF_0000;
const HIGHEST_USER_ADDRESS: &[u8] = &0x0000_7FFF_FFFE_FFFF_u64.to_le_bytes();
const SYSTEM_RANGE_START: &[u8] = &0xFFFF_8000_0000_0000_u64.to_le_bytes();

/// Every exported variable. Object types and process pointers are filled in when the machine starts.
pub(crate) const DATA_EXPORTS: &[DataExport] = &[
    variable("ExDesktopObjectType", &[], 8),
    variable("ExEventObjectType", &[], 8),
    variable("ExSemaphoreObjectType", &[], 8),
    variable("ExWindowStationObjectType", &[], 8),
    variable("InitSafeBootMode", &[], 4),
    variable("IoAdapterObjectType", &[], 8),
    variable("IoDeviceHandlerObjectType", &[], 8),
    variable("IoDeviceObjectType", &[], 8),
    variable("IoDriverObjectType", &[], 8),
    variable("IoFileObjectType", &[], 8),
    variable("IoStatisticsLock", &[], 8),
    variable("KdDebuggerEnabled", &[], 1),
    variable("KdDebuggerNotPresent", &[1], 0),
    // No port is in use by a debugger.
    hal_variable("KdComPortInUse", 8),
    variable("KeNumberProcessors", &[1], 3),
    variable("KeTickCount", &[], 8),
    variable("LpcPortObjectType", &[], 8),
    variable("MmHighestUserAddress", HIGHEST_USER_ADDRESS, 0),
    variable("MmSectionObjectType", &[], 8),
    variable("MmSystemRangeStart", SYSTEM_RANGE_START, 0),
    variable("MmUserProbeAddress", &USER_PROBE_ADDRESS.to_le_bytes(), 0),
    variable("NlsMbCodePageTag", &[], 1),
    variable("NlsMbOemCodePageTag", &[], 1),
    variable("NtBuildNumber", &0xF000_4A61_u32.to_le_bytes(), 0),
    variable("PsInitialSystemProcess", &[], 8),
    variable("PsProcessType", &[], 8),
    variable("PsThreadType", &[], 8),
    variable("SeExports", &[], 8),
    variable("SeTokenObjectType", &[], 8),
];
