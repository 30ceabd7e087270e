//! WMI requests in a scenario.

use kernel::WmiRequest;
use serde::Deserialize;

use super::values::bytes;
use super::{Action, DeviceName, MAX_BYTES};

/// The verb as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wmi {
    device: DeviceName,
    /// The GUID of the block, as `6e6f6e70-6167-6564-0000-737461636b00`.
    block: String,
    request: Request,
    #[serde(default)]
    instance: u32,
    /// Number of the item or of the method.
    #[serde(default)]
    item: u32,
    text: Option<String>,
    hex: Option<String>,
    zeros: Option<u32>,
    #[serde(default)]
    output_bytes: u32,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Request {
    QueryAllData,
    QuerySingleInstance,
    ChangeSingleInstance,
    ChangeSingleItem,
    ExecuteMethod,
    RegInfo,
}

impl Wmi {
    pub(super) fn action(self) -> Result<Action, String> {
        let data = bytes(self.text.as_deref(), self.hex.as_deref(), self.zeros)?.unwrap_or_default();
        let (instance, item) = (self.instance, self.item);
        let request = match self.request {
            Request::QueryAllData => WmiRequest::QueryAllData,
            Request::QuerySingleInstance => WmiRequest::QuerySingleInstance { instance },
            Request::ChangeSingleInstance => WmiRequest::ChangeSingleInstance { instance, data },
            Request::ChangeSingleItem => WmiRequest::ChangeSingleItem { instance, item, data },
            Request::ExecuteMethod => WmiRequest::ExecuteMethod { instance, method: item, data },
            Request::RegInfo => WmiRequest::RegInfo,
        };
        if self.output_bytes > MAX_BYTES {
            return Err(format!("{} bytes are more than a request may have ({MAX_BYTES})", self.output_bytes));
        }
        let block = guid(&self.block).ok_or_else(|| format!("`{}` is no GUID", self.block))?;
        Ok(Action::Wmi { device: self.device, block, request, output_bytes: self.output_bytes })
    }
}

/// The bytes of a GUID in memory: the first three groups are numbers.
fn guid(text: &str) -> Option<[u8; 16]> {
    let groups: Vec<&str> = text.split('-').collect();
    if groups.iter().map(|group| group.len()).ne([8, 4, 4, 4, 12]) {
        return None;
    }
    let digits = groups.concat();
    let bytes: Vec<u8> = digits.as_bytes().chunks(2).map(hexadecimal).collect::<Option<_>>()?;
    let mut guid: [u8; 16] = bytes.try_into().ok()?;
    guid[..4].reverse();
    guid[4..6].reverse();
    guid[6..8].reverse();
    Some(guid)
}

fn hexadecimal(pair: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?) as u8)
}

#[cfg(test)]
mod tests {
    use super::guid;

    #[test]
    fn a_guid_lies_in_memory_as_numbers_and_bytes() {
        let bytes = [0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF];
        assert_eq!(guid("00112233-4455-6677-8899-aabbccddeeff"), Some(bytes));
        for wrong in ["", "00112233", "00112233-4455-6677-8899-aabbccddeefg", "0011223-34455-6677-8899-aabbccddeeff"] {
            assert_eq!(guid(wrong), None, "{wrong}");
        }
        assert_eq!(guid("0011223ä-445-6677-8899-aabbccddeeff"), None);
    }
}
