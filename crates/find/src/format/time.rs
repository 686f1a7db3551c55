//! Times as `-printf` writes them: local, with names in English, seconds with ten digits behind the point.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use pwalk_fs::Time;

/// The zone of this machine (`TZ`), looked up once.
static ZONE: LazyLock<TimeZone> = LazyLock::new(TimeZone::system);

/// The fraction of a second as find writes it.
fn fraction(time: Time) -> String {
    format!(".{:09}0", time.nsec)
}

/// `%t`: `Sat Nov 21 18:15:25.0000000000 2026`.
pub(super) fn as_ctime(time: Time) -> String {
    strftime(time, &format!("%a %b %e %H:%M:%S{} %Y", fraction(time)))
}

/// `%Tk`, for the letter k.
pub(super) fn part(time: Time, letter: u8) -> String {
    match letter {
        b'@' => format!("{}{}", time.sec, fraction(time)),
        b'+' => strftime(time, &format!("%Y-%m-%d+%H:%M:%S{}", fraction(time))),
        b'S' => strftime(time, &format!("%S{}", fraction(time))),
        b'T' | b'X' => strftime(time, &format!("%H:%M:%S{}", fraction(time))),
        b'c' => strftime(time, "%a %b %e %H:%M:%S %Y"),
        b'x' | b'D' => strftime(time, "%m/%d/%y"),
        b'r' => strftime(time, "%I:%M:%S %p"),
        b'h' => strftime(time, "%b"),
        b's' => time.sec.to_string(),
        known if known.is_ascii_alphabetic() && b"HIklMpZaAbBdjmUwWyYFRGgVeCPzu".contains(&known) => {
            strftime(time, &format!("%{}", char::from(known)))
        }
        b'n' => "\n".to_owned(),
        b't' => "\t".to_owned(),
        b'%' => "%".to_owned(),
        other => format!("%{}", char::from(other)),
    }
}

/// A time beyond what calendars know is its number of seconds.
fn strftime(time: Time, format: &str) -> String {
    let text = stamp(time).and_then(|stamp| jiff::fmt::strtime::format(format, &stamp.to_zoned(ZONE.clone())).ok());
    text.unwrap_or_else(|| time.sec.to_string())
}

/// `-ls`: with the time of day, or with the year.
pub(crate) fn short_time(time: Time, recent: bool) -> String {
    strftime(time, if recent { "%b %e %H:%M" } else { "%b %e  %Y" })
}

/// None for a time beyond what calendars know.
pub(crate) fn stamp(time: Time) -> Option<Timestamp> {
    let nanos = i32::try_from(time.nsec).unwrap_or(0);
    // Nanoseconds have the sign of the seconds there, and count from the whole second below here.
    match (time.sec, nanos) {
        (sec @ ..0, 1..) => Timestamp::new(sec + 1, nanos - 1_000_000_000),
        (sec, nanos) => Timestamp::new(sec, nanos),
    }
    .ok()
}
