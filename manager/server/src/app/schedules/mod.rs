//! Schedules: workflows that start by the calendar. Kept and fired by the deciding thread.

mod cron;

use conductor_model::{Schedule, TenantName, Timestamp, Violation};
use serde_json::Value;

pub use self::cron::Calendars;
pub(crate) use self::cron::{Calendar, zone};
use super::core::Message;
use super::{App, AppError};
use crate::clock;

/// Most moments that [`App::next_moments`] shows.
pub(crate) const NEXT_MOMENTS_MAX: usize = 5;
/// The highest priority (Conductor API).
const PRIORITY_MAX: u8 = 99;

impl App {
    /// Stores a schedule, new or again.
    ///
    /// # Errors
    /// `definition-invalid` with every fault; `not-found` for the workflow that it is to start.
    pub async fn put_schedule(&self, tenant: &TenantName, mut schedule: Schedule, by: &str) -> Result<(), AppError> {
        let mut faults = Calendars::of(&schedule).err().unwrap_or_default();
        if schedule.name.is_empty() || schedule.name.len() > conductor_model::limits::DEFINITION_NAME_BYTES_MAX {
            faults.push(Violation::new(
                "name",
                "must not be empty or longer than a definition's name",
                Some(schedule.name.clone()),
            ));
        }
        let start = &schedule.start_workflow_request;
        if start.name.is_empty() {
            faults.push(Violation::new("startWorkflowRequest.name", "must not be empty", None));
        }
        if start.priority > PRIORITY_MAX {
            let found = Some(start.priority.to_string());
            faults.push(Violation::new("startWorkflowRequest.priority", format!("must be at most {PRIORITY_MAX}"), found));
        }
        if let Some(first) = faults.first() {
            let message = format!("{} {}", first.path, first.message);
            return Err(AppError::Invalid { code: "definition-invalid", message, violations: faults });
        }
        self.plan_to_start(tenant, &start.name, start.version, start.workflow_def.clone()).await?;
        let now = clock::now();
        schedule.create_time = Some(now);
        schedule.updated_time = Some(now);
        schedule.created_by = Some(by.to_owned());
        schedule.updated_by = Some(by.to_owned());
        schedule.next_run_time = None;
        let (tenant, schedule) = (tenant.clone(), Box::new(schedule));
        Ok(self.inner.core.ask(|reply| Message::PutSchedule { tenant, schedule, reply }).await?)
    }

    /// All schedules of a tenant, by name.
    ///
    /// # Errors
    /// When the manager shuts down.
    pub async fn schedules(&self, tenant: &TenantName) -> Result<Vec<Schedule>, AppError> {
        let tenant = tenant.clone();
        Ok(self.inner.core.ask(|reply| Message::Schedules { tenant, reply }).await?)
    }

    /// One schedule.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn schedule(&self, tenant: &TenantName, name: &str) -> Result<Schedule, AppError> {
        let found = self.schedules(tenant).await?.into_iter().find(|schedule| schedule.name == name);
        found.ok_or_else(|| AppError::not_found("schedule", name))
    }

    /// Removes a schedule. What it started goes on.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn delete_schedule(&self, tenant: &TenantName, name: &str) -> Result<(), AppError> {
        let (tenant, name) = (tenant.clone(), name.to_owned());
        Ok(self.inner.core.ask(|reply| Message::DeleteSchedule { tenant, name, reply }).await?)
    }

    /// Lets a schedule rest, or go on from now; moments that passed while it rested are not made up for.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn pause_schedule(
        &self,
        tenant: &TenantName,
        name: &str,
        paused: bool,
        reason: Option<String>,
    ) -> Result<(), AppError> {
        let (tenant, name) = (tenant.clone(), name.to_owned());
        Ok(self.inner.core.ask(|reply| Message::PauseSchedule { tenant, name, paused, reason, reply }).await?)
    }

    /// Lets all schedules of a tenant rest until they are told to go on. Each keeps whether it rests by itself.
    ///
    /// # Errors
    /// When it cannot be stored, or the manager shuts down.
    pub async fn pause_scheduler(&self, tenant: &TenantName, paused: bool) -> Result<(), AppError> {
        let tenant = tenant.clone();
        Ok(self.inner.core.ask(|reply| Message::PauseScheduler { tenant, paused, reply }).await?)
    }

    /// The next moments of a calendar, at most [`NEXT_MOMENTS_MAX`].
    ///
    /// # Errors
    /// `cron-invalid`; `zone-invalid`.
    pub fn next_moments(
        &self,
        expression: &str,
        zone_name: &str,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
        count: usize,
    ) -> Result<Vec<Timestamp>, AppError> {
        let zone = zone(zone_name).map_err(|fault| AppError::invalid("zone-invalid", format!("{zone_name:?} {fault}")))?;
        let calendar = Calendar::parse(expression, zone)
            .map_err(|fault| AppError::invalid("cron-invalid", format!("cronExpression {expression:?} {fault}")))?;
        let now = clock::now();
        let begin = from.map_or(now, |from| now.max(from.plus_ms(-1)));
        let moments = std::iter::successors(calendar.next_after(begin), |at| calendar.next_after(*at));
        Ok(moments.take_while(|at| until.is_none_or(|until| *at <= until)).take(count.min(NEXT_MOMENTS_MAX)).collect())
    }
}

/// What a scheduled workflow's input says of its schedule.
pub(crate) fn stamps(name: &str, due: Timestamp, now: Timestamp, run: &str) -> [(String, Value); 4] {
    [
        ("_startedByScheduler".to_owned(), name.into()),
        ("_scheduledTime".to_owned(), due.0.into()),
        ("_executedTime".to_owned(), now.0.into()),
        ("_executionId".to_owned(), run.into()),
    ]
}
