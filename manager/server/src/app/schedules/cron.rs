//! Calendars: `second minute hour day-of-month month day-of-week [year]`, or the five fields of cron without seconds.
//!
//! With seconds, a day must fit both the day of the month and the day of the week, as in Spring and Quartz; without, either
//! of them, as in cron. `?`, `L`, `W`, `#`, names, ranges, lists and steps (`0/10`) are understood; 0 and 7 are Sunday.
//! Clocks that go forward: a time that does not exist is due when the clock has jumped. Clocks that go back: a fixed time is
//! due once.

use conductor_model::{Schedule, Timestamp, Violation};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;

/// Longest expression in bytes.
const EXPRESSION_BYTES_MAX: usize = 256;
/// Calendars of one schedule at most.
const CALENDARS_MAX: usize = 20;

/// A calendar in a zone.
#[derive(Clone, Debug)]
pub(crate) struct Calendar {
    cron: Cron,
    zone: TimeZone,
}

impl Calendar {
    /// Reads an expression. The error says what is wrong with it.
    pub(crate) fn parse(expression: &str, zone: TimeZone) -> Result<Self, String> {
        if expression.len() > EXPRESSION_BYTES_MAX {
            return Err(format!("is {} bytes long; at most {EXPRESSION_BYTES_MAX} are allowed", expression.len()));
        }
        let fields = expression.split_whitespace().count();
        let (seconds, year, both_days) = match fields {
            5 => (Seconds::Disallowed, Year::Disallowed, false),
            6 => (Seconds::Required, Year::Disallowed, true),
            7 => (Seconds::Required, Year::Required, true),
            _ => return Err(format!("has {fields} fields; expected 6 (with seconds), 7 (with a year) or 5 (cron's own)")),
        };
        let parser = CronParser::builder().seconds(seconds).year(year).dom_and_dow(both_days).sloppy_ranges(true).build();
        let cron = parser.parse(expression).map_err(|error| format!("cannot be read: {error}"))?;
        Ok(Self { cron, zone })
    }

    /// The first due moment after `at`; `None` = there is none.
    pub(crate) fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        let from = jiff::Timestamp::from_millisecond(at.0).ok()?.to_zoned(self.zone.clone());
        let next = self.cron.find_next_occurrence(&from, false).ok()?;
        Some(Timestamp(next.timestamp().as_millisecond())).filter(|next| *next > at)
    }
}

/// Reads a zone's name.
pub(crate) fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| "is not a time zone; write it as in Europe/Berlin or UTC".to_owned())
}

/// All calendars of a schedule.
#[derive(Clone, Debug)]
pub struct Calendars {
    all: Vec<Calendar>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Calendars {
    /// Reads the calendars of a schedule.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn of(schedule: &Schedule) -> Result<Self, Vec<Violation>> {
        let mut faults = Vec::new();
        let own_zone = zone(&schedule.zone_id);
        if let Err(fault) = &own_zone {
            faults.push(Violation::new("zoneId", fault, Some(schedule.zone_id.clone())));
        }
        let own_zone = own_zone.unwrap_or(TimeZone::UTC);
        let mut all = Vec::new();
        if let Some(expression) = &schedule.cron_expression {
            match Calendar::parse(expression, own_zone.clone()) {
                Ok(calendar) => all.push(calendar),
                Err(fault) => faults.push(Violation::new("cronExpression", fault, Some(expression.clone()))),
            }
        }
        for (index, cron) in schedule.cron_schedules.iter().enumerate().take(CALENDARS_MAX) {
            let path = |field: &str| format!("cronSchedules[{index}].{field}");
            let zone = cron.zone_id.as_deref().map_or_else(|| Ok(own_zone.clone()), zone);
            match zone {
                Err(fault) => faults.push(Violation::new(path("zoneId"), fault, cron.zone_id.clone())),
                Ok(zone) => match Calendar::parse(&cron.cron_expression, zone) {
                    Ok(calendar) => all.push(calendar),
                    Err(fault) => {
                        faults.push(Violation::new(path("cronExpression"), fault, Some(cron.cron_expression.clone())));
                    }
                },
            }
        }
        if schedule.cron_schedules.len() > CALENDARS_MAX {
            faults.push(Violation::new("cronSchedules", format!("has more than {CALENDARS_MAX} entries"), None));
        }
        if schedule.cron_expression.is_none() && schedule.cron_schedules.is_empty() {
            faults.push(Violation::new("cronExpression", "is missing; say when the workflow is to start", None));
        }
        let (from, until) = (schedule.schedule_start_time, schedule.schedule_end_time);
        if let (Some(from), Some(until)) = (from, until)
            && from > until
        {
            faults.push(Violation::new("scheduleEndTime", "is before scheduleStartTime", Some(until.to_string())));
        }
        if faults.is_empty() { Ok(Self { all, from, until }) } else { Err(faults) }
    }

    /// The first due moment after `at`, within the schedule's time; `None` = there is none.
    #[must_use]
    pub fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        // The start itself may be a due moment.
        let at = self.from.map_or(at, |from| at.max(from.plus_ms(-1)));
        let next = self.all.iter().filter_map(|calendar| calendar.next_after(at)).min()?;
        self.until.is_none_or(|until| next <= until).then_some(next)
    }

    /// The last due moment in `(after, up_to]`, looked for in at most `steps` steps.
    pub(crate) fn last_within(&self, after: Timestamp, up_to: Timestamp, steps: usize) -> Option<Timestamp> {
        let due = |at: &Timestamp| self.next_after(*at).filter(|next| *next <= up_to);
        std::iter::successors(due(&after), due).take(steps).last()
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn next(expression: &str, zone_name: &str, from: &str) -> String {
        let calendar = Calendar::parse(expression, zone(zone_name).unwrap()).unwrap();
        let from: jiff::Timestamp = from.parse().unwrap();
        let next = calendar.next_after(Timestamp(from.as_millisecond())).unwrap();
        jiff::Timestamp::from_millisecond(next.0).unwrap().to_string()
    }

    #[test]
    fn six_fields_begin_with_seconds() {
        assert_eq!(next("0 */5 * ? * *", "UTC", "2026-03-01T10:02:03Z"), "2026-03-01T10:05:00Z");
        assert_eq!(next("0/10 * * * * *", "UTC", "2026-03-01T10:02:10Z"), "2026-03-01T10:02:20Z");
        assert_eq!(next("*/1 * * * * *", "UTC", "2026-03-01T10:02:10.500Z"), "2026-03-01T10:02:11Z");
        assert_eq!(next("0 0 9 ? * MON-FRI", "UTC", "2026-03-06T09:00:00Z"), "2026-03-09T09:00:00Z");
    }

    #[test]
    fn days_of_month_and_week_fit_both_with_seconds_and_either_without() {
        assert_eq!(next("0 0 0 13 * FRI", "UTC", "2026-01-01T00:00:00Z"), "2026-02-13T00:00:00Z");
        assert_eq!(next("0 0 13 * FRI", "UTC", "2026-01-01T00:00:00Z"), "2026-01-02T00:00:00Z");
    }

    #[test]
    fn last_days_weekdays_and_years_are_understood() {
        assert_eq!(next("0 0 0 L * ?", "UTC", "2026-02-01T00:00:00Z"), "2026-02-28T00:00:00Z");
        assert_eq!(next("0 0 0 ? * MON#2", "UTC", "2026-03-01T00:00:00Z"), "2026-03-09T00:00:00Z");
        assert_eq!(next("0 0 0 1 1 ? 2030", "UTC", "2026-03-01T00:00:00Z"), "2030-01-01T00:00:00Z");
    }

    #[test]
    fn a_zone_keeps_its_wall_clock_through_the_summer() {
        let nine = |from| next("0 0 9 * * *", "Europe/Berlin", from);
        assert_eq!(nine("2026-03-28T12:00:00Z"), "2026-03-29T07:00:00Z");
        assert_eq!(nine("2026-03-27T12:00:00Z"), "2026-03-28T08:00:00Z");
        // 02:30 does not exist on the 29th of March: it is due when the clock has jumped.
        assert_eq!(next("0 30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z"), "2026-03-29T01:00:00Z");
        // 02:30 exists twice on the 25th of October and is due once.
        assert_eq!(next("0 30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z"), "2026-10-26T01:30:00Z");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (expression, says) in [("* * *", "3 fields"), ("0 0 25 * * *", "cannot be read"), ("x * * * * *", "cannot be read")]
        {
            let error = Calendar::parse(expression, TimeZone::UTC).unwrap_err();
            assert!(error.contains(says), "{expression}: {error}");
        }
        assert!(zone("Mars/Olympus").is_err());
        assert!(Calendar::parse("0 0 0 30 2 ?", TimeZone::UTC).unwrap().next_after(Timestamp(0)).is_none());
    }

    fn field(low: i8, high: i8) -> impl Strategy<Value = (String, Vec<i8>)> {
        prop_oneof![
            Just(("*".to_owned(), (low..=high).collect())),
            (low..=high).prop_map(|one| (one.to_string(), vec![one])),
            (low..=high, 2_i8..20).prop_map(move |(from, step)| {
                (format!("{from}/{step}"), (from..=high).step_by(usize::try_from(step).unwrap()).collect())
            }),
            (low..=high, low..=high).prop_map(|(a, b)| (format!("{}-{}", a.min(b), a.max(b)), (a.min(b)..=a.max(b)).collect())),
            (low..=high, low..=high).prop_map(|(a, b)| (format!("{a},{b}"), vec![a, b])),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// The next moment lies ahead and fits every field, and none that fits lies before it.
        #[test]
        fn the_next_moment_fits_its_fields_and_is_the_first(
            (second, seconds) in field(0, 59), (minute, minutes) in field(0, 59), (hour, hours) in field(0, 23),
            (month, months) in field(1, 12), offset_s in 0_i64..86_400 * 365, ms in 0_i64..1000,
        ) {
            let calendar = Calendar::parse(&format!("{second} {minute} {hour} * {month} *"), TimeZone::UTC).unwrap();
            let dawn = date(2026, 1, 1).to_zoned(TimeZone::UTC).unwrap().timestamp().as_millisecond();
            let at = Timestamp(dawn + offset_s * 1000 + ms);
            let next = calendar.next_after(at).unwrap();
            prop_assert!(next > at);
            let fits = |at: Timestamp| {
                let when = jiff::Timestamp::from_millisecond(at.0).unwrap().to_zoned(TimeZone::UTC);
                at.0 % 1000 == 0 && seconds.contains(&when.second()) && minutes.contains(&when.minute())
                    && hours.contains(&when.hour()) && months.contains(&when.month())
            };
            prop_assert!(fits(next), "{next}");
            let mut before = Timestamp((at.0 / 1000 + 1) * 1000);
            for _ in 0..5_000 {
                if before >= next {
                    break;
                }
                prop_assert!(!fits(before), "{before} comes before {next}");
                before = before.plus_ms(1000);
            }
        }

        /// Texts from outside never bring it down.
        #[test]
        fn any_text_is_read_or_refused(text in "[-0-9*/,?LW#A-Z ]{0,40}") {
            if let Ok(calendar) = Calendar::parse(&text, TimeZone::UTC) {
                prop_assert!(calendar.next_after(Timestamp(1_800_000_000_000)).is_none_or(|next| next > Timestamp(1_800_000_000_000)));
            }
        }
    }
}
