//! Another attempt: whether, and after how long.

use conductor_model::definition::RetryLogic;
use conductor_model::{TaskDef, TaskRecord, Timestamp, WorkflowTask};

use crate::task_type::{self, Role};

/// Whether a failed attempt is followed by another one.
pub(crate) fn allowed(record: &TaskRecord, step: &WorkflowTask, definition: Option<&TaskDef>, now: Timestamp) -> bool {
    let limit = step.retry_count.or_else(|| definition.map(|definition| definition.retry_count)).unwrap_or(0);
    record.status.is_retriable()
        && task_type::of(step.task_type).role != Role::Operator
        && i64::from(record.attempt) < i64::from(limit)
        && definition.is_none_or(|definition| !budget_spent(record, definition, now))
}

/// Whether the budget over all attempts is used up.
fn budget_spent(record: &TaskRecord, definition: &TaskDef, now: Timestamp) -> bool {
    definition.total_timeout_seconds > 0 && now >= record.first_scheduled_at.plus_seconds(definition.total_timeout_seconds)
}

/// Seconds to wait after the attempt numbered `attempt` (from 0), without jitter. All arithmetic saturates.
fn delay_seconds(definition: &TaskDef, attempt: u32) -> i64 {
    let base = definition.retry_delay_seconds.max(0);
    let scaled = base.saturating_mul(definition.backoff_scale_factor.max(1));
    let delay = match definition.retry_logic {
        RetryLogic::Fixed => base,
        RetryLogic::LinearBackoff => scaled.saturating_mul(i64::from(attempt) + 1),
        RetryLogic::ExponentialBackoff => scaled.saturating_mul(2_i64.checked_pow(attempt).unwrap_or(i64::MAX)),
    };
    if definition.max_retry_delay_seconds > 0 { delay.min(definition.max_retry_delay_seconds) } else { delay }
}

/// Seconds and ms to wait after the attempt numbered `attempt` (from 0). `fraction` is from 0.0 up to 1.0.
pub(crate) fn delay(definition: &TaskDef, attempt: u32, fraction: f64) -> (i64, i64) {
    let (seconds, jitter_ms) = (delay_seconds(definition, attempt), definition.backoff_jitter_ms.max(0));
    if definition.full_jitter {
        let ms = drawn(seconds.saturating_mul(1000).saturating_add(jitter_ms), fraction);
        return (ms / 1000, ms % 1000);
    }
    (seconds, drawn(jitter_ms, fraction))
}

/// A number from 0 up to and with `most`.
fn drawn(most: i64, fraction: f64) -> i64 {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "casts saturate; the result is clamped")]
    let number = (fraction * (most as f64 + 1.0)) as i64;
    number.clamp(0, most)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn definition(logic: RetryLogic, delay: i64, scale: i64, cap: i64) -> TaskDef {
        TaskDef {
            retry_logic: logic,
            retry_delay_seconds: delay,
            backoff_scale_factor: scale,
            max_retry_delay_seconds: cap,
            ..TaskDef::named("t")
        }
    }

    #[test]
    fn delays_grow_as_the_logic_says() {
        let delays = |definition: TaskDef| (0..4).map(|attempt| delay_seconds(&definition, attempt)).collect::<Vec<_>>();
        assert_eq!(delays(definition(RetryLogic::Fixed, 5, 3, 0)), [5, 5, 5, 5]);
        assert_eq!(delays(definition(RetryLogic::LinearBackoff, 5, 3, 0)), [15, 30, 45, 60]);
        assert_eq!(delays(definition(RetryLogic::ExponentialBackoff, 5, 1, 0)), [5, 10, 20, 40]);
        assert_eq!(delays(definition(RetryLogic::ExponentialBackoff, 5, 3, 0)), [15, 30, 60, 120]);
        assert_eq!(delays(definition(RetryLogic::ExponentialBackoff, 5, 1, 12)), [5, 10, 12, 12]);
        assert_eq!(delays(definition(RetryLogic::Fixed, 5, 1, 3)), [3, 3, 3, 3]);
    }

    proptest! {
        #[test]
        fn delays_grow_with_the_attempts_and_with_the_factor_and_keep_to_the_cap(
            delay in 0..=i64::MAX, scale in 1..=i64::MAX, cap in 0..=i64::MAX, attempt in 0..=u32::MAX, exponential: bool,
        ) {
            let logic = if exponential { RetryLogic::ExponentialBackoff } else { RetryLogic::LinearBackoff };
            let at = |scale, attempt| delay_seconds(&definition(logic, delay, scale, cap), attempt);
            let found = at(scale, attempt);
            prop_assert!(found >= 0 && (cap == 0 || found <= cap));
            prop_assert!(at(scale, attempt.saturating_add(1)) >= found && at(scale.saturating_add(1), attempt) >= found);
            // The factor stretches every delay alike.
            let uncapped = |scale| i128::from(delay_seconds(&definition(logic, delay % 1000, scale, 0), attempt % 40));
            let factor = scale % 1000 + 1;
            prop_assert_eq!(uncapped(factor), uncapped(1) * i128::from(factor));
        }
    }

    #[test]
    fn huge_delays_saturate() {
        assert_eq!(delay_seconds(&definition(RetryLogic::ExponentialBackoff, 60, 1, 0), u32::MAX), i64::MAX);
        assert_eq!(delay_seconds(&definition(RetryLogic::LinearBackoff, i64::MAX, i64::MAX, 0), 7), i64::MAX);
        assert_eq!(delay_seconds(&definition(RetryLogic::ExponentialBackoff, 0, 1, 0), 5), 0);
    }

    #[test]
    fn jitter_stays_in_its_bounds() {
        let added = TaskDef { retry_delay_seconds: 2, backoff_jitter_ms: 100, ..TaskDef::named("t") };
        assert_eq!([0.0, 0.5, 0.999_999].map(|fraction| delay(&added, 0, fraction)), [(2, 0), (2, 50), (2, 100)]);
        assert_eq!(delay(&TaskDef { backoff_jitter_ms: 0, ..added.clone() }, 0, 0.9), (2, 0));
        let full = TaskDef { full_jitter: true, ..added };
        assert_eq!([0.0, 0.5, 0.999_999].map(|fraction| delay(&full, 0, fraction)), [(0, 0), (1, 50), (2, 100)]);
        let huge = TaskDef { retry_delay_seconds: i64::MAX, ..full };
        assert!(delay(&huge, 9, 0.999_999).0 > 0, "it saturates");
    }
}
