//! What the harness can ask for.

use nt_types::{Irql, Va};

use crate::exports::io::wmi_request::WmiRequest;
use crate::request::RequestId;

/// What the harness asks for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// Open a device by name; the answer's information is the file object.
    Open {
        /// NT name.
        name: String,
    },
    /// Read.
    Read {
        /// File object.
        file: Va,
        /// Bytes.
        length: u32,
        /// Offset in the file.
        offset: u64,
    },
    /// Write.
    Write {
        /// File object.
        file: Va,
        /// Bytes to write.
        data: Vec<u8>,
        /// Offset in the file.
        offset: u64,
    },
    /// Device control; METHOD_NEITHER gets user-mode addresses.
    Ioctl {
        /// File object.
        file: Va,
        /// Control code.
        code: u32,
        /// Input.
        input: Vec<u8>,
        /// Size of the output buffer, in bytes.
        output_length: u32,
    },
    /// IRP_MJ_CLEANUP, then IRP_MJ_CLOSE.
    Close {
        /// File object.
        file: Va,
    },
    /// Cancel the request that another action has outstanding.
    Cancel {
        /// The other action.
        request: RequestId,
    },
    /// A power request to the top of the device's stack: minor function, `POWER_STATE_TYPE`, state.
    Power {
        /// A device of the stack.
        device: Va,
        /// IRP_MN_*.
        minor: u8,
        /// `POWER_STATE_TYPE`.
        kind: u32,
        /// The state.
        state: u32,
    },
    /// Another action, as a driver above that runs at this IRQL would do it.
    At {
        /// Up to DISPATCH_LEVEL.
        irql: Irql,
        /// What it does.
        action: Box<Action>,
    },
    /// IRP_MN_DEVICE_USAGE_NOTIFICATION to the top of the device's stack.
    PagingPath {
        /// File object.
        file: Va,
        /// A paging file lies on the device from now on; if false, it does no longer.
        in_path: bool,
    },
    /// IRP_MN_* of IRP_MJ_PNP to the top of the device's stack.
    Pnp {
        /// A device of the stack.
        device: Va,
        /// IRP_MN_*.
        minor: u8,
        /// CM_RESOURCE_LIST for a start.
        resources: Va,
    },
    /// A request of IRP_MJ_SYSTEM_CONTROL to the top of the device's stack, for the WMI provider in it.
    Wmi {
        /// A device of the stack.
        device: Va,
        /// The GUID of the block.
        block: [u8; 16],
        /// What is asked.
        request: WmiRequest,
        /// Bytes of data that the answer may have.
        output_length: u32,
    },
}

impl Action {
    /// The file whose handle it uses.
    pub(super) fn file(&self) -> Option<Va> {
        match self {
            Action::Read { file, .. }
            | Action::Write { file, .. }
            | Action::Ioctl { file, .. }
            | Action::Close { file }
            | Action::PagingPath { file, .. } => Some(*file),
            _ => None,
        }
    }

    /// True for reads, writes and device controls.
    pub(super) fn is_transfer(&self) -> bool {
        match self {
            Action::Read { .. } | Action::Write { .. } | Action::Ioctl { .. } => true,
            Action::At { action, .. } => action.is_transfer(),
            _ => false,
        }
    }
}
