//! Times as people read them.

/// Milliseconds since 1970 as `2026-11-22 08:15:30.123Z`; `-` for 0, which the API writes for "not yet".
pub fn utc(ms: i64) -> String {
    if ms == 0 {
        return "-".to_owned();
    }
    let (days, in_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let (seconds, millis) = (in_day / 1000, in_day % 1000);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}.{millis:03}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// A day counted from 1970-01-01 as year, month and day of the Gregorian calendar.
///
/// Counts in eras of 400 years that begin with a March, so that the leap day is the last day of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    const DAYS_OF_ERA: i64 = 146_097;
    const FROM_MARCH_OF_0: i64 = 719_468;
    let shifted = days + FROM_MARCH_OF_0;
    let (era, day_of_era) = (shifted.div_euclid(DAYS_OF_ERA), shifted.rem_euclid(DAYS_OF_ERA));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// A span as `850 ms`, `12.3 s`, `4 min 05 s` or `2 h 03 min`.
pub fn span(ms: i64) -> String {
    let ms = ms.max(0);
    let seconds = ms / 1000;
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{seconds}.{} s", ms % 1000 / 100),
        60_000..3_600_000 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_in_utc() {
        assert_eq!(utc(0), "-");
        assert_eq!(utc(1), "1970-01-01 00:00:00.001Z");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00:00.000Z");
        assert_eq!(utc(1_795_327_322_546), "2026-11-22 06:02:02.546Z");
        assert_eq!(utc(-1), "1969-12-31 23:59:59.999Z");
    }

    #[test]
    fn spans_have_the_unit_that_fits() {
        assert_eq!(
            [span(-5), span(850), span(12_345), span(245_000), span(7_380_000)],
            ["0 ms", "850 ms", "12.3 s", "4 min 05 s", "2 h 03 min"]
        );
    }
}
