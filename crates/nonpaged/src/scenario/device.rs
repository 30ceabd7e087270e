//! Devices in a scenario, and what Plug and Play asks of them.

use nt_types::constants as c;
use serde::Deserialize;

/// The device identification of a device that a bus driver reports, as in `BUS\\Device`; `None` for the device that the
/// driver under test was given.
pub type DeviceName = Option<String>;

/// A request of IRP_MJ_PNP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Hash)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are those of the documentation, without `IRP_MN_`")]
pub enum PnpRequest {
    StartDevice,
    QueryStopDevice,
    StopDevice,
    CancelStopDevice,
    QueryRemoveDevice,
    RemoveDevice,
    CancelRemoveDevice,
    SurpriseRemoval,
}

impl PnpRequest {
    /// Its minor function.
    pub fn minor(self) -> u8 {
        let minor = match self {
            PnpRequest::StartDevice => c::IRP_MN_START_DEVICE,
            PnpRequest::QueryStopDevice => c::IRP_MN_QUERY_STOP_DEVICE,
            PnpRequest::StopDevice => c::IRP_MN_STOP_DEVICE,
            PnpRequest::CancelStopDevice => c::IRP_MN_CANCEL_STOP_DEVICE,
            PnpRequest::QueryRemoveDevice => c::IRP_MN_QUERY_REMOVE_DEVICE,
            PnpRequest::RemoveDevice => c::IRP_MN_REMOVE_DEVICE,
            PnpRequest::CancelRemoveDevice => c::IRP_MN_CANCEL_REMOVE_DEVICE,
            PnpRequest::SurpriseRemoval => c::IRP_MN_SURPRISE_REMOVAL,
        };
        minor as u8
    }

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            PnpRequest::StartDevice => "start device",
            PnpRequest::QueryStopDevice => "query stop",
            PnpRequest::StopDevice => "stop device",
            PnpRequest::CancelStopDevice => "cancel stop",
            PnpRequest::QueryRemoveDevice => "query remove",
            PnpRequest::RemoveDevice => "remove device",
            PnpRequest::CancelRemoveDevice => "cancel remove",
            PnpRequest::SurpriseRemoval => "surprise removal",
        }
    }
}
