//! Instants for people.

use crate::types::Timestamp;

/// An instant as RFC 3339 writes it, in UTC, to the nanosecond: `2024-08-08T12:00:00.000000000Z`.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    let (seconds, nanos) = (at.nanos() / 1_000_000_000, at.nanos() % 1_000_000_000);
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z")
}

/// Year, month and day of a day since 1970. Counted in years that begin in March, so that the leap day is their last, and
/// in eras of 400 years, which are all of one length.
const fn date(day: u64) -> (u64, u64, u64) {
    let day = day + 719_468;
    let (era, day_of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year_of_era + later, month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_as_others_write_them() {
        let text = |seconds: u64| rfc3339(Timestamp::from_nanos(seconds * 1_000_000_000 + 7));
        assert_eq!(text(0), "1970-01-01T00:00:00.000000007Z");
        assert_eq!(text(951_782_399), "2000-02-28T23:59:59.000000007Z");
        assert_eq!(text(951_782_400), "2000-02-29T00:00:00.000000007Z");
        assert_eq!(text(1_723_118_400), "2024-08-08T12:00:00.000000007Z");
        assert_eq!(text(4_107_542_400), "2100-03-01T00:00:00.000000007Z");
        assert_eq!(rfc3339(Timestamp::from_nanos(u64::MAX)), "2554-07-21T23:34:33.709551615Z");
    }

    #[test]
    fn every_day_is_the_one_after_the_day_before() {
        let mut before = date(0);
        for day in 1..300_000 {
            let (year, month, of_month) = date(day);
            let is_leap = before.0.is_multiple_of(4) && (!before.0.is_multiple_of(100) || before.0.is_multiple_of(400));
            let last = match before.1 {
                2 => 28 + u64::from(is_leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            let due = match before {
                (year, 12, 31) => (year + 1, 1, 1),
                (year, month, day) if day == last => (year, month + 1, 1),
                (year, month, day) => (year, month, day + 1),
            };
            assert_eq!((year, month, of_month), due);
            before = due;
        }
    }
}
