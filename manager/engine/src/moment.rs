//! How people write spans of time and moments: `1 days 2 h 3m 5s`, `2026-11-22 14:30 Europe/Berlin`.

use conductor_model::Timestamp;

use crate::event::LocalTime;

/// Longest span in ms: a hundred years. What is beyond is a mistake.
const DURATION_MS_MAX: i64 = 100 * 365 * DAY_MS;
const DAY_MS: i64 = 86_400_000;

/// A moment as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Known as it is.
    Utc(Timestamp),
    /// What clocks in a zone show.
    In {
        /// As in `Europe/Berlin`.
        zone: String,
        /// What they show.
        local: LocalTime,
    },
}

/// Reads a span: parts of days, hours, minutes and seconds, in that order. The error says what is expected.
pub(crate) fn duration_ms(text: &str) -> Result<i64, String> {
    let fault = || {
        format!("{text:?} is not a duration; write days, hours, minutes and seconds in that order, as in `1 days 2 h 3m 5s`")
    };
    let mut left = text.trim();
    let (mut total, mut last) = (0_i64, 0);
    if left.is_empty() {
        return Err(fault());
    }
    while !left.is_empty() {
        let digits = left.find(|c: char| !c.is_ascii_digit()).ok_or_else(fault)?;
        let (number, rest) = left.split_at(digits);
        let rest = rest.trim_start();
        let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (unit, rest) = rest.split_at(end);
        let (rank, ms) = match unit.to_ascii_lowercase().as_str() {
            "d" | "day" | "days" => (1, DAY_MS),
            "h" | "hr" | "hrs" | "hour" | "hours" => (2, 3_600_000),
            "m" | "min" | "mins" | "minute" | "minutes" => (3, 60_000),
            "s" | "sec" | "secs" | "second" | "seconds" => (4, 1000),
            _ => return Err(fault()),
        };
        let number: i64 = number.parse().map_err(|_| fault())?;
        if rank <= last {
            return Err(fault());
        }
        last = rank;
        total = number
            .checked_mul(ms)
            .and_then(|ms| total.checked_add(ms))
            .filter(|ms| *ms <= DURATION_MS_MAX)
            .ok_or_else(fault)?;
        left = rest.trim_start();
    }
    Ok(total)
}

/// Reads a moment: `yyyy-MM-dd`, `yyyy-MM-dd HH:mm` (with seconds if wanted), each with a zone behind it; without, UTC.
/// The error says what is expected.
pub(crate) fn until(text: &str) -> Result<Moment, String> {
    let fault = || {
        format!(
            "{text:?} is not a moment; write `yyyy-MM-dd`, `yyyy-MM-dd HH:mm` or `yyyy-MM-dd HH:mm ZONE`, as in `2026-11-22 14:30 GMT+01:00`"
        )
    };
    let trimmed = text.trim();
    let (date, rest) = trimmed.split_at_checked(10).ok_or_else(fault)?;
    let day = date_of(date).ok_or_else(fault)?;
    let rest = rest.strip_prefix('T').unwrap_or(rest).trim_start();
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.')).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(end);
    let ms = if clock.is_empty() { 0 } else { clock_of(clock).ok_or_else(fault)? };
    let local = day.checked_mul(DAY_MS).map(|day| Timestamp(day + ms)).ok_or_else(fault)?;
    let zone = zone.trim();
    if let Some(offset) = offset_ms(zone) {
        return Ok(Moment::Utc(local.plus_ms(-offset)));
    }
    let name = zone.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '+'));
    if name { Ok(Moment::In { zone: zone.to_owned(), local: LocalTime(local) }) } else { Err(fault()) }
}

/// Days since 1970 of a date of four, two and two digits.
fn date_of(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let mut next = |digits: usize| parts.next().filter(|part| part.len() == digits).and_then(number);
    let (year, month, day) = (next(4)?, next(2)?, next(2)?);
    if parts.next().is_some() || !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    // Counting from March puts the leap day at the end of the year.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * m + 2) / 5 + day - 1;
    Some(y * 365 + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + day_of_year - 719_468)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Ms since midnight of `HH:mm` or `HH:mm:ss`.
fn clock_of(text: &str) -> Option<i64> {
    let text = text.split('.').next()?;
    let mut parts = text.split(':');
    let hour = parts.next().and_then(number).filter(|hour| *hour < 24)?;
    let minute = parts.next().and_then(number).filter(|minute| *minute < 60)?;
    let second = parts.next().map_or(Some(0), |part| number(part).filter(|second| *second < 60))?;
    parts.next().is_none().then_some(((hour * 60 + minute) * 60 + second) * 1000)
}

/// The offset of zones that need no table: none, `Z`, `UTC`, `GMT`, and these with `+01:00`, `+0100`, `+1`.
fn offset_ms(zone: &str) -> Option<i64> {
    let rest = ["UTC", "GMT", "Z"].iter().find_map(|prefix| zone.strip_prefix(prefix)).unwrap_or(zone);
    if rest.is_empty() {
        return Some(0);
    }
    let sign = match rest.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = &rest[1..];
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() == 4 && digits.is_ascii() => digits.split_at(2),
        None => (digits, "0"),
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours <= 18 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000)
}

fn number(text: &str) -> Option<i64> {
    (!text.is_empty() && text.len() <= 4 && text.bytes().all(|digit| digit.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> i64 {
        match until(text) {
            Ok(Moment::Utc(at)) => at.0,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn durations_are_read() {
        for (text, seconds) in
            [("1 days 2 h 3m 5s", 93_785), ("10 seconds", 10), ("90m", 5400), ("2d", 172_800), ("1 hour 1 minutes", 3660)]
        {
            assert_eq!(duration_ms(text), Ok(seconds * 1000), "{text}");
        }
        for text in ["", "5", "s", "5 parsecs", "5s 3m", "1h 2h", "-5s", "99999999999999999999s", "40000 days", "1.5h"] {
            assert!(duration_ms(text).is_err(), "{text}");
        }
    }

    #[test]
    fn moments_are_read() {
        assert_eq!(utc("1970-01-01"), 0);
        assert_eq!(utc("2000-02-29 00:00"), 951_782_400_000);
        assert_eq!(utc("2026-11-22 14:30"), 1_795_357_800_000);
        assert_eq!(utc("2026-11-22 14:30 GMT+01:00"), 1_795_354_200_000);
        assert_eq!(utc("2026-11-22 14:30 -0530"), 1_795_377_600_000);
        assert_eq!(utc("2026-11-22T14:30:15Z"), 1_795_357_815_000);
        let local = LocalTime(Timestamp(1_795_357_800_000));
        assert_eq!(until("2026-11-22 14:30 Europe/Berlin"), Ok(Moment::In { zone: "Europe/Berlin".to_owned(), local }));
    }

    #[test]
    fn rubbish_is_refused() {
        for text in [
            "",
            "tomorrow",
            "2026-13-01",
            "2026-02-29",
            "2026-1-1",
            "2026-11-22 25:00",
            "2026-11-22 10:61",
            "2026-11-22 10:00 ?",
            "２０２６-11-22",
        ] {
            assert!(until(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_strange(text in "\\PC*", digits in "[0-9 :dhmsTZ+-]{0,24}") {
            for text in [&text, &digits, &format!("2026-11-22{text}"), &format!("2026-11-22 10:00 {digits}")] {
                let _ = duration_ms(text);
                let _ = until(text);
            }
        }

        #[test]
        fn durations_add_up(days in 0_i64..1000, hours in 0_i64..100, minutes in 0_i64..100, seconds in 0_i64..100) {
            let text = format!("{days} days {hours}h {minutes} min{seconds} s");
            let expected = ((days * 24 + hours) * 60 + minutes) * 60 + seconds;
            proptest::prop_assert_eq!(duration_ms(&text), Ok(expected * 1000));
        }

        #[test]
        fn each_day_is_a_day_later_than_the_one_before(year in 1970_i64..3000, month in 1_i64..=12) {
            let first = date_of(&format!("{year:04}-{month:02}-01"));
            let last = date_of(&format!("{year:04}-{month:02}-{:02}", days_in(year, month)));
            let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            let next = date_of(&format!("{next_year:04}-{next_month:02}-01"));
            proptest::prop_assert_eq!(last.zip(first).map(|(last, first)| last - first + 1), Some(days_in(year, month)));
            proptest::prop_assert_eq!(next.zip(last).map(|(next, last)| next - last), Some(1));
        }
    }
}
