//! Names of IRP function codes, and I/O control codes taken apart.

use core::fmt;

use crate::constants;

/// A major and a minor function code, shown as `IRP_MJ_PNP/IRP_MN_START_DEVICE`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct IrpFunction {
    /// `IO_STACK_LOCATION.MajorFunction`.
    pub major: u8,
    /// `IO_STACK_LOCATION.MinorFunction`.
    pub minor: u8,
}

impl IrpFunction {
    /// The name of the major function in `wdm.h`.
    pub fn major_name(self) -> Option<&'static str> {
        name_in(MAJOR, self.major)
    }

    /// The name of the minor function in `wdm.h`, for the major functions whose minor codes are named there.
    pub fn minor_name(self) -> Option<&'static str> {
        match u32::from(self.major) {
            constants::IRP_MJ_PNP => name_in(PNP, self.minor),
            constants::IRP_MJ_POWER => name_in(POWER, self.minor),
            constants::IRP_MJ_SYSTEM_CONTROL => name_in(SYSTEM_CONTROL, self.minor),
            _ => None,
        }
    }
}

impl fmt::Display for IrpFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.major_name() {
            Some(name) => f.write_str(name)?,
            None => write!(f, "IRP_MJ {:#04x}", self.major)?,
        }
        match (self.minor_name(), self.minor) {
            (Some(name), _) => write!(f, "/{name}"),
            (None, 0) => Ok(()),
            (None, minor) => write!(f, "/{minor:#04x}"),
        }
    }
}

/// How the buffers of a control request travel (docs: "Buffer descriptions for I/O control codes").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TransferMethod {
    /// `METHOD_BUFFERED`.
    Buffered,
    /// `METHOD_IN_DIRECT`.
    InDirect,
    /// `METHOD_OUT_DIRECT`.
    OutDirect,
    /// `METHOD_NEITHER`.
    Neither,
}

/// An I/O control code (docs: "Defining I/O control codes").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ControlCode(pub u32);

impl ControlCode {
    /// `CTL_CODE(device_type, function, method, access)`; bits beyond each part's width are dropped.
    pub const fn new(device_type: u16, function: u16, method: TransferMethod, access: u8) -> ControlCode {
        let access = (access as u32 & 3) << 14;
        ControlCode(((device_type as u32) << 16) | access | ((function as u32 & 0xfff) << 2) | method as u32)
    }

    /// Bits 31 to 16.
    pub const fn device_type(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// Bits 13 to 2.
    pub const fn function(self) -> u16 {
        (self.0 >> 2 & 0xfff) as u16
    }

    /// Bits 15 and 14: `FILE_READ_ACCESS` is 1, `FILE_WRITE_ACCESS` is 2.
    pub const fn access(self) -> u8 {
        (self.0 >> 14 & 3) as u8
    }

    /// Bits 1 and 0.
    pub const fn method(self) -> TransferMethod {
        match self.0 & 3 {
            0 => TransferMethod::Buffered,
            1 => TransferMethod::InDirect,
            2 => TransferMethod::OutDirect,
            _ => TransferMethod::Neither,
        }
    }
}

impl fmt::Display for ControlCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

type Names = &'static [(u32, &'static str)];

fn name_in(names: Names, code: u8) -> Option<&'static str> {
    names.iter().find(|(value, _)| *value == u32::from(code)).map(|(_, name)| *name)
}

macro_rules! names {
    ($($name:ident)*) => { &[$((constants::$name, stringify!($name)),)*] };
}

const MAJOR: Names = names! {
    IRP_MJ_CREATE IRP_MJ_CREATE_NAMED_PIPE IRP_MJ_CLOSE IRP_MJ_READ IRP_MJ_WRITE IRP_MJ_QUERY_INFORMATION
    IRP_MJ_SET_INFORMATION IRP_MJ_QUERY_EA IRP_MJ_SET_EA IRP_MJ_FLUSH_BUFFERS IRP_MJ_QUERY_VOLUME_INFORMATION
    IRP_MJ_SET_VOLUME_INFORMATION IRP_MJ_DIRECTORY_CONTROL IRP_MJ_FILE_SYSTEM_CONTROL IRP_MJ_DEVICE_CONTROL
    IRP_MJ_INTERNAL_DEVICE_CONTROL IRP_MJ_SHUTDOWN IRP_MJ_LOCK_CONTROL IRP_MJ_CLEANUP IRP_MJ_CREATE_MAILSLOT
    IRP_MJ_QUERY_SECURITY IRP_MJ_SET_SECURITY IRP_MJ_POWER IRP_MJ_SYSTEM_CONTROL IRP_MJ_DEVICE_CHANGE
    IRP_MJ_QUERY_QUOTA IRP_MJ_SET_QUOTA IRP_MJ_PNP
};

const PNP: Names = names! {
    IRP_MN_START_DEVICE IRP_MN_QUERY_REMOVE_DEVICE IRP_MN_REMOVE_DEVICE IRP_MN_CANCEL_REMOVE_DEVICE IRP_MN_STOP_DEVICE
    IRP_MN_QUERY_STOP_DEVICE IRP_MN_CANCEL_STOP_DEVICE IRP_MN_QUERY_DEVICE_RELATIONS IRP_MN_QUERY_INTERFACE
    IRP_MN_QUERY_CAPABILITIES IRP_MN_QUERY_RESOURCES IRP_MN_QUERY_RESOURCE_REQUIREMENTS IRP_MN_QUERY_DEVICE_TEXT
    IRP_MN_FILTER_RESOURCE_REQUIREMENTS IRP_MN_READ_CONFIG IRP_MN_WRITE_CONFIG IRP_MN_EJECT IRP_MN_SET_LOCK
    IRP_MN_QUERY_ID IRP_MN_QUERY_PNP_DEVICE_STATE IRP_MN_QUERY_BUS_INFORMATION IRP_MN_DEVICE_USAGE_NOTIFICATION
    IRP_MN_SURPRISE_REMOVAL IRP_MN_DEVICE_ENUMERATED
};

const POWER: Names = names! { IRP_MN_WAIT_WAKE IRP_MN_POWER_SEQUENCE IRP_MN_SET_POWER IRP_MN_QUERY_POWER };

const SYSTEM_CONTROL: Names = names! {
    IRP_MN_QUERY_ALL_DATA IRP_MN_QUERY_SINGLE_INSTANCE IRP_MN_CHANGE_SINGLE_INSTANCE IRP_MN_CHANGE_SINGLE_ITEM
    IRP_MN_ENABLE_EVENTS IRP_MN_DISABLE_EVENTS IRP_MN_ENABLE_COLLECTION IRP_MN_DISABLE_COLLECTION IRP_MN_REGINFO
    IRP_MN_EXECUTE_METHOD IRP_MN_REGINFO_EX
};

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    fn shown(major: u32, minor: u32) -> std::string::String {
        IrpFunction { major: major as u8, minor: minor as u8 }.to_string()
    }

    #[test]
    fn function_names() {
        let start = shown(constants::IRP_MJ_PNP, constants::IRP_MN_START_DEVICE);
        assert_eq!(start, "IRP_MJ_PNP/IRP_MN_START_DEVICE");
        assert_eq!(shown(constants::IRP_MJ_READ, 0), "IRP_MJ_READ");
        assert_eq!(shown(constants::IRP_MJ_READ, 2), "IRP_MJ_READ/0x02");
        assert_eq!(shown(0x1c, 0), "IRP_MJ 0x1c");
    }

    #[test]
    fn every_major_code_has_a_name() {
        assert!((0..=constants::IRP_MJ_MAXIMUM_FUNCTION).all(|code| name_in(MAJOR, code as u8).is_some()));
    }

    /// `IOCTL_SERIAL_SET_BAUD_RATE` of ntddser.h is `CTL_CODE(FILE_DEVICE_SERIAL_PORT, 1, METHOD_BUFFERED, FILE_ANY_ACCESS)`.
    #[test]
    fn control_codes_come_apart_and_together() {
        let code = ControlCode(0x001b_0004);
        assert_eq!(u32::from(code.device_type()), constants::FILE_DEVICE_SERIAL_PORT);
        assert_eq!((code.function(), code.access(), code.method()), (1, 0, TransferMethod::Buffered));
        for bits in [0x001b_0004, 0x8000_e00b, 0x0022_2006, 0xffff_ffff] {
            let code = ControlCode(bits);
            assert_eq!(ControlCode::new(code.device_type(), code.function(), code.method(), code.access()), code);
        }
    }
}
