//! Calendar time (ddi: RtlTimeToTimeFields, RtlTimeFieldsToTime, ExSystemTimeToLocalTime). The machine lives in UTC.

use nt_types::Va;
use nt_types::layout::time_fields as fields;

use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, ExLocalTimeToSystemTime = ExSystemTimeToLocalTime(local: Va, system: Va), HIGH),
    export!(Ntoskrnl, ExSystemTimeToLocalTime(system: Va, local: Va), HIGH),
    export!(Ntoskrnl, RtlTimeFieldsToTime(fields: Va, time: Va), HIGH),
    export!(Ntoskrnl, RtlSecondsSince1970ToTime(seconds: u32, time: Va), HIGH),
    export!(Ntoskrnl, RtlSecondsSince1980ToTime(seconds: u32, time: Va), HIGH),
    export!(Ntoskrnl, RtlTimeToSecondsSince1970(time: Va, seconds: Va), HIGH),
    export!(Ntoskrnl, RtlTimeToSecondsSince1980(time: Va, seconds: Va), HIGH),
    export!(Ntoskrnl, RtlTimeToTimeFields(time: Va, fields: Va), HIGH),
];

const MILLISECOND_100NS: i64 = 10_000;
const MILLISECONDS_A_DAY: i64 = 86_400_000;
/// Days from 1601-01-01 to 1970-01-01.
const DAYS_TO_1970: i64 = 134_774;
/// Days from 1601-01-01 to 1980-01-01.
const DAYS_TO_1980: i64 = 138_426;
/// 1601-01-01 was a Monday; weekday 0 is Sunday.
const FIRST_WEEKDAY: i64 = 1;

fn RtlTimeToTimeFields(m: &mut Machine, time: Va, target: Va) -> Outcome {
    let milliseconds = (m.read_u64(time)? as i64).div_euclid(MILLISECOND_100NS);
    let (days, of_day) = (milliseconds.div_euclid(MILLISECONDS_A_DAY), milliseconds.rem_euclid(MILLISECONDS_A_DAY));
    let (year, month, day) = date_of(days);
    let weekday = (days + FIRST_WEEKDAY).rem_euclid(7);
    let values = [
        (fields::YEAR, year),
        (fields::MONTH, month),
        (fields::DAY, day),
        (fields::HOUR, of_day / 3_600_000),
        (fields::MINUTE, of_day / 60_000 % 60),
        (fields::SECOND, of_day / 1000 % 60),
        (fields::MILLISECONDS, of_day % 1000),
        (fields::WEEKDAY, weekday),
    ];
    for (field, value) in values {
        m.write_u16(field.at(target), value as u16)?;
    }
    Ok(Next::VOID)
}

/// Year, month and day of the Gregorian calendar, `days` after 1601-01-01.
fn date_of(days: i64) -> (i64, i64, i64) {
    // Counted from 0000-03-01, so that the leap day is the last of its year.
    let shifted = days + 584_694;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + 400 * era + i64::from(month <= 2), month, day)
}

/// Days from 1601-01-01 to a date.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let shifted_month = (month + 9) % 12;
    let of_year = (153 * shifted_month + 2) / 5 + day - 1;
    146_097 * era + 365 * year_of_era + year_of_era / 4 - year_of_era / 100 + of_year - 584_694
}

/// FALSE, and nothing stored, for fields that are no date and time.
fn RtlTimeFieldsToTime(m: &mut Machine, source: Va, time: Va) -> Outcome {
    let mut values = [0; 7];
    let order =
        [fields::YEAR, fields::MONTH, fields::DAY, fields::HOUR, fields::MINUTE, fields::SECOND, fields::MILLISECONDS];
    for (value, field) in values.iter_mut().zip(order) {
        *value = i64::from(m.read_u16(field.at(source))? as i16);
    }
    let [year, month, day, hour, minute, second, millisecond] = values;
    let days = days_of(year, month.clamp(1, 12), day);
    let real = year >= 1601 && date_of(days) == (year, month, day);
    let in_day = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second);
    if !real || !in_day || !(0..1000).contains(&millisecond) {
        return Ok(Next::Return(0));
    }
    let of_day = ((hour * 60 + minute) * 60 + second) * 1000 + millisecond;
    m.write_u64(time, ((days * MILLISECONDS_A_DAY + of_day) * MILLISECOND_100NS) as u64)?;
    Ok(Next::Return(1))
}

/// FALSE, and nothing stored, for times that 32 bits of seconds do not reach.
fn RtlTimeToSecondsSince1970(m: &mut Machine, time: Va, seconds: Va) -> Outcome {
    to_seconds(m, time, seconds, DAYS_TO_1970)
}

/// The same from 1980 on.
fn RtlTimeToSecondsSince1980(m: &mut Machine, time: Va, seconds: Va) -> Outcome {
    to_seconds(m, time, seconds, DAYS_TO_1980)
}

fn RtlSecondsSince1970ToTime(m: &mut Machine, seconds: u32, time: Va) -> Outcome {
    to_time(m, seconds, time, DAYS_TO_1970)
}

fn RtlSecondsSince1980ToTime(m: &mut Machine, seconds: u32, time: Va) -> Outcome {
    to_time(m, seconds, time, DAYS_TO_1980)
}

fn to_time(m: &mut Machine, seconds: u32, time: Va, days: i64) -> Outcome {
    let value = (i64::from(seconds) + days * 86_400) * 1000 * MILLISECOND_100NS;
    m.write_u64(time, value as u64)?;
    Ok(Next::VOID)
}

fn to_seconds(m: &mut Machine, time: Va, seconds: Va, days: i64) -> Outcome {
    let since_1601 = m.read_u64(time)? as i64 / (1000 * MILLISECOND_100NS);
    match u32::try_from(since_1601 - days * 86_400) {
        Ok(value) => m.write_u32(seconds, value).map(|()| Next::Return(1)),
        Err(_) => Ok(Next::Return(0)),
    }
}

fn ExSystemTimeToLocalTime(m: &mut Machine, system: Va, local: Va) -> Outcome {
    let time = m.read_u64(system)?;
    m.write_u64(local, time)?;
    Ok(Next::VOID)
}

#[cfg(test)]
mod tests {
    use super::{DAYS_TO_1970, date_of, days_of};

    #[test]
    fn days_and_dates_agree_over_four_centuries() {
        assert_eq!((date_of(0), date_of(DAYS_TO_1970)), ((1601, 1, 1), (1970, 1, 1)));
        assert_eq!(date_of(DAYS_TO_1970 + 19_723), (2024, 1, 1));
        let mut previous = date_of(-1);
        assert_eq!(previous, (1600, 12, 31));
        for days in 0..150_000 {
            let (year, month, day) = date_of(days);
            assert_eq!(days_of(year, month, day), days);
            assert!((year, month, day) > previous && (1..=31).contains(&day));
            previous = (year, month, day);
        }
    }
}
