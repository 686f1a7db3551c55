//! Points in time as RFC 3339 text in UTC with nanoseconds: `2026-09-21T14:13:20.000000005Z`.

use pwalk_fs::Time;
use serde::{Deserialize, Deserializer, Serializer};

const DAY: i64 = 86_400;

pub(super) fn serialize<S: Serializer>(time: &Time, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&format(*time))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Time, D::Error> {
    let text = String::deserialize(d)?;
    parse(&text).ok_or_else(|| serde::de::Error::custom("a time must look like 2026-09-21T14:13:20.000000005Z"))
}

fn format(time: Time) -> String {
    let (days, second) = (time.sec.div_euclid(DAY), time.sec.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    let (h, m, s) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{:09}Z", time.nsec)
}

fn parse(text: &str) -> Option<Time> {
    let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
    let (clock, nsec) = clock.split_once('.')?;
    let mut date = date.splitn(3, '-').map(|n| n.parse::<i64>().ok());
    let mut clock = clock.splitn(3, ':').map(|n| n.parse::<i64>().ok());
    let days = days(date.next()??, date.next()??, date.next()??);
    let second = clock.next()?? * 3600 + clock.next()?? * 60 + clock.next()??;
    Some(Time { sec: days * DAY + second, nsec: nsec.parse().ok()? })
}

/// Year, month, day of a day since 1970, after Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms":
/// the year is counted from March, so that the leap day is its last.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, doe) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

/// The inverse of [`civil`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, yoe) = (year.div_euclid(400), year.rem_euclid(400));
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        assert_eq!(format(Time { sec: 0, nsec: 0 }), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(format(Time { sec: 951_782_400, nsec: 1 }), "2000-02-29T00:00:00.000000001Z");
        assert_eq!(format(Time { sec: -1, nsec: 999_999_999 }), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(format(Time { sec: 1_790_000_000, nsec: 0 }), "2026-09-21T14:13:20.000000000Z");
    }

    #[test]
    fn every_day_of_a_long_time_comes_back() {
        for day in -200_000..200_000 {
            let time = Time { sec: day * DAY + 86_399, nsec: 7 };
            assert_eq!(parse(&format(time)), Some(time));
        }
    }
}
