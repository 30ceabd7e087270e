//! The version of the system (ddi: RtlGetVersion, RtlVerifyVersionInfo, IoIsWdmVersionAvailable, VerSetConditionMask).

use nt_types::layout::{osversioninfoexw as ex, osversioninfow};
use nt_types::{NtStatus, Va};

use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::exports::ps::{BUILD_NUMBER, MAJOR_VERSION, MINOR_VERSION};
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoIsWdmVersionAvailable(major: u8, minor: u8), PASSIVE),
    export!(Ntoskrnl, RtlGetVersion(information: Va), PASSIVE),
    export!(Ntoskrnl, RtlIsNtDdiVersionAvailable(version: u32), PASSIVE),
    export!(Ntoskrnl, RtlIsServicePackVersionInstalled(version: u32), PASSIVE),
    export!(Ntoskrnl, RtlVerifyVersionInfo(information: Va, fields: u32, conditions: u64), PASSIVE),
    export!(Ntoskrnl, VerSetConditionMask(mask: u64, field: u32, condition: u8), HIGH),
];

const VER_PLATFORM_WIN32_NT: u32 = 2;
const VER_NT_WORKSTATION: u8 = 1;
/// NTDDI_WIN10_VB, the version of this build.
const NTDDI_VERSION: u32 = 0x0A00_0008;

fn RtlGetVersion(m: &mut Machine, information: Va) -> Outcome {
    let size = u64::from(m.read_u32(information)?);
    if size != osversioninfow::SIZEOF && size != ex::SIZEOF {
        return Ok(Next::status(NtStatus::INVALID_PARAMETER));
    }
    m.fill_bytes(information + 4, 0, size - 4)?;
    m.write_u32(ex::DW_MAJOR_VERSION.at(information), MAJOR_VERSION)?;
    m.write_u32(ex::DW_MINOR_VERSION.at(information), MINOR_VERSION)?;
    m.write_u32(ex::DW_BUILD_NUMBER.at(information), BUILD_NUMBER)?;
    m.write_u32(ex::DW_PLATFORM_ID.at(information), VER_PLATFORM_WIN32_NT)?;
    if size == ex::SIZEOF {
        m.write_u8(ex::W_PRODUCT_TYPE.at(information), VER_NT_WORKSTATION)?;
    }
    Ok(Next::status(NtStatus::SUCCESS))
}

/// WDM 1.0 to 6.0 are what this function knows.
fn IoIsWdmVersionAvailable(_m: &mut Machine, major: u8, minor: u8) -> Outcome {
    const NEWEST: (u8, u8) = (6, 0);
    let newer = (major == 1 && minor <= 0x30) || (major, minor) <= NEWEST && major > 1;
    Ok(Next::Return(newer.into()))
}

fn RtlIsNtDdiVersionAvailable(_m: &mut Machine, version: u32) -> Outcome {
    Ok(Next::Return((version <= NTDDI_VERSION).into()))
}

fn RtlIsServicePackVersionInstalled(_m: &mut Machine, version: u32) -> Outcome {
    Ok(Next::Return((version <= NTDDI_VERSION).into()))
}

/// Three bits for each field, by the number of the field's bit.
fn VerSetConditionMask(_m: &mut Machine, mask: u64, field: u32, condition: u8) -> Outcome {
    let position = 3 * u64::from(field.trailing_zeros().min(7));
    Ok(Next::Return(mask | u64::from(condition & 7) << position))
}

/// The fields by bit: minor, major, build, platform, service pack minor and major, suite mask, product type.
fn RtlVerifyVersionInfo(m: &mut Machine, information: Va, fields: u32, conditions: u64) -> Outcome {
    const SUITE_BIT: u32 = 6;
    let wanted = [
        m.read_u32(ex::DW_MINOR_VERSION.at(information))?,
        m.read_u32(ex::DW_MAJOR_VERSION.at(information))?,
        m.read_u32(ex::DW_BUILD_NUMBER.at(information))?,
        m.read_u32(ex::DW_PLATFORM_ID.at(information))?,
        m.read_u16(ex::W_SERVICE_PACK_MINOR.at(information))?.into(),
        m.read_u16(ex::W_SERVICE_PACK_MAJOR.at(information))?.into(),
        m.read_u16(ex::W_SUITE_MASK.at(information))?.into(),
        m.read_u8(ex::W_PRODUCT_TYPE.at(information))?.into(),
    ];
    let ours = [MINOR_VERSION, MAJOR_VERSION, BUILD_NUMBER, VER_PLATFORM_WIN32_NT, 0, 0, 0, VER_NT_WORKSTATION.into()];
    if fields & 1 << SUITE_BIT != 0 {
        return Err(m.refuse("RtlVerifyVersionInfo", "`VER_SUITENAME`"));
    }
    let condition = |bit: u32| conditions >> (3 * bit) & 7;
    // Versions compare as a whole: a field counts only where the ones before it are equal.
    let mut matches = true;
    for bits in [&[1_u32, 0, 5, 4][..], &[2], &[3], &[7]] {
        let used: Vec<u32> = bits.iter().copied().filter(|bit| fields & 1 << bit != 0).collect();
        let pick = |values: &[u32; 8]| used.iter().map(|bit| values[*bit as usize]).collect::<Vec<u32>>();
        let (own, asked) = (pick(&ours), pick(&wanted));
        let Some(first) = used.first() else { continue };
        matches &= match condition(*first) {
            1 => own == asked,
            2 => own > asked,
            3 => own >= asked,
            4 => own < asked,
            5 => own <= asked,
            _ => return Ok(Next::status(NtStatus::INVALID_PARAMETER)),
        };
    }
    Ok(Next::status(if matches { NtStatus::SUCCESS } else { NtStatus::REVISION_MISMATCH }))
}
