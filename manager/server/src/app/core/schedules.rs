//! Schedules: which are due, and starting what they start.
//!
//! A due moment is acted on by a timer. The workflow that it starts, the schedule's next moment and the note of the run are
//! stored in one batch, so that a moment starts its workflow at most once whatever fails. Moments that passed while the
//! manager was away are all made up for where the schedule says so; else the last of them is, unless it is older than
//! [`LATE_MS_MAX`].

use std::collections::{BTreeMap, BTreeSet};

use conductor_engine::StartRequest;
use conductor_model::{Schedule, ScheduleRun, ScheduleRunState, TenantName, Timestamp, WorkflowId};
use conductor_store::{Document, DocumentKind, Putting};
use std::sync::Arc;

use super::Core;
use super::commands::Fit;
use super::message::{Answer, CommandError, Reply};
use super::timers::Timer;
use crate::app::schedules::{Calendars, stamps};

/// A moment that was missed by more ms is not made up for, unless the schedule says so.
const LATE_MS_MAX: i64 = 60_000;
/// Moments looked through at most to find the last one that was missed.
const MISSED_MAX: usize = 1_000;
/// Schedules of all tenants at most.
const SCHEDULES_MAX: usize = 20_000;

/// The name of the document that says that a tenant's schedules rest.
const RESTING: &str = "all";

/// Which schedule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ScheduleKey {
    pub(super) tenant: TenantName,
    pub(super) name: String,
}

#[derive(Debug)]
struct Kept {
    schedule: Schedule,
    /// `None` = what is stored cannot be read any more; it never is due.
    calendars: Option<Calendars>,
}

/// All schedules.
#[derive(Debug, Default)]
pub(super) struct Schedules {
    all: BTreeMap<ScheduleKey, Kept>,
    /// The tenants whose schedules all rest.
    resting: BTreeSet<TenantName>,
}

impl Schedules {
    /// As they were stored.
    pub(super) fn rebuilt(stored: Vec<(TenantName, Schedule)>, resting: BTreeSet<TenantName>) -> Self {
        let kept = |(tenant, schedule): (TenantName, Schedule)| {
            let calendars = Calendars::of(&schedule);
            if let Err(faults) = &calendars {
                tracing::error!(%tenant, name = schedule.name, ?faults, "a stored schedule cannot be read and is never due");
            }
            (ScheduleKey { tenant, name: schedule.name.clone() }, Kept { schedule, calendars: calendars.ok() })
        };
        Self { all: stored.into_iter().map(kept).collect(), resting }
    }

    /// When each is due.
    pub(super) fn due(&self) -> Vec<(ScheduleKey, Timestamp)> {
        let due = |(key, kept): (&ScheduleKey, &Kept)| Some((key.clone(), kept.schedule.next_run_time?));
        self.all.iter().filter(|(key, _)| !self.resting.contains(&key.tenant)).filter_map(due).collect()
    }
}

impl Core {
    /// Stores a schedule, new or again; it is due from now on.
    pub(super) fn put_schedule(&mut self, tenant: TenantName, mut schedule: Schedule, reply: Reply<()>) {
        let key = ScheduleKey { tenant, name: schedule.name.clone() };
        let before = self.schedules.all.get(&key);
        if before.is_none() && self.schedules.all.len() >= SCHEDULES_MAX {
            let _ = reply.send(Err(CommandError::TooMany { what: "schedules", most: SCHEDULES_MAX }));
            return;
        }
        if let Some(before) = before {
            schedule.create_time = before.schedule.create_time;
            schedule.created_by.clone_from(&before.schedule.created_by);
        }
        let calendars = Calendars::of(&schedule).ok();
        let next = calendars.as_ref().and_then(|calendars| calendars.next_after(self.now));
        schedule.next_run_time = next.filter(|_| !schedule.paused);
        self.keep_schedule(key, Kept { schedule, calendars });
        self.building.reply(reply, ());
    }

    /// Lets a schedule rest or go on.
    pub(super) fn pause_schedule(&mut self, key: ScheduleKey, paused: bool, reason: Option<String>, reply: Reply<()>) {
        let Some(mut kept) = self.schedules.all.remove(&key) else {
            let _ = reply.send(Err(CommandError::UnknownSchedule(key.name)));
            return;
        };
        let next = kept.calendars.as_ref().and_then(|calendars| calendars.next_after(self.now));
        kept.schedule.paused = paused;
        kept.schedule.paused_reason = reason.filter(|_| paused);
        kept.schedule.next_run_time = next.filter(|_| !paused);
        self.keep_schedule(key, kept);
        self.building.reply(reply, ());
    }

    /// Removes a schedule.
    pub(super) fn delete_schedule(&mut self, key: ScheduleKey, reply: Reply<()>) {
        if self.schedules.all.remove(&key).is_none() {
            let _ = reply.send(Err(CommandError::UnknownSchedule(key.name)));
            return;
        }
        self.index.timers.clear(&Timer::Schedule(key.clone()));
        self.building.schedule(key, None);
        self.building.reply(reply, ());
    }

    /// The schedules of a tenant, by name.
    pub(super) fn schedules_of(&self, tenant: &TenantName) -> Vec<Schedule> {
        let own = self.schedules.all.iter().filter(|(key, _)| key.tenant == *tenant);
        own.map(|(_, kept)| kept.schedule.clone()).collect()
    }

    /// Lets all schedules of a tenant rest, or go on, over restarts. What was missed meanwhile is treated as after a restart.
    /// That it waits for the store here keeps two who say different things in order; people do this, and rarely.
    pub(super) fn pause_scheduler(&mut self, tenant: TenantName, paused: bool, reply: Reply<()>) {
        let (kind, name) = (DocumentKind::SchedulerRest, RESTING);
        let stored = if paused {
            let document = Document { tenant: tenant.clone(), kind, name: name.to_owned(), version: 1, body: String::new() };
            self.store.put_document(document, Putting::Either).map(|_| ())
        } else {
            self.store.delete_document(&tenant, kind, name, None).map(|_| ())
        };
        if let Err(error) = stored {
            let _ = reply.send(Err(CommandError::NotStored(error)));
            return;
        }
        for (key, _) in self.schedules.due() {
            self.index.timers.clear(&Timer::Schedule(key));
        }
        if paused {
            self.schedules.resting.insert(tenant);
        } else {
            self.schedules.resting.remove(&tenant);
        }
        self.set_schedule_timers();
        reply.answer(());
    }

    /// Sets the timer of every schedule.
    pub(super) fn set_schedule_timers(&mut self) {
        for (key, due) in self.schedules.due() {
            self.index.timers.set(Timer::Schedule(key), due);
        }
    }

    fn keep_schedule(&mut self, key: ScheduleKey, kept: Kept) {
        let timer = Timer::Schedule(key.clone());
        match kept.schedule.next_run_time.filter(|_| !self.schedules.resting.contains(&key.tenant)) {
            Some(due) => self.index.timers.set(timer, due),
            None => self.index.timers.clear(&timer),
        }
        self.building.schedule(key.clone(), Some(kept.schedule.clone()));
        self.schedules.all.insert(key, kept);
    }

    /// A schedule is due.
    pub(super) fn schedule_due(&mut self, key: ScheduleKey) {
        let Some(mut kept) = self.schedules.all.remove(&key) else { return };
        if let (Some(calendars), Some(due)) = (&kept.calendars, kept.schedule.next_run_time) {
            let moment = if kept.schedule.run_catchup_schedule_instances {
                Some(due)
            } else {
                let oldest = due.max(self.now.plus_ms(-LATE_MS_MAX)).plus_ms(-1);
                calendars.last_within(oldest, self.now, MISSED_MAX)
            };
            let seen = if kept.schedule.run_catchup_schedule_instances { due } else { due.max(self.now) };
            kept.schedule.next_run_time = calendars.next_after(seen);
            if let Some(moment) = moment {
                self.run_schedule(&key.tenant, &kept.schedule, moment);
            }
        }
        self.keep_schedule(key, kept);
        self.follow_up();
    }

    /// Starts what a schedule starts, and notes how that went.
    fn run_schedule(&mut self, tenant: &TenantName, schedule: &Schedule, due: Timestamp) {
        let id = WorkflowId::generate(self.world.ids());
        let execution_id = self.world.ids().next_id().to_string();
        let start = &schedule.start_workflow_request;
        let mut input = start.input.clone();
        input.extend(stamps(&schedule.name, due, self.now, &execution_id));
        let request = StartRequest {
            id,
            tenant: tenant.clone(),
            input,
            correlation_id: start.correlation_id.clone(),
            idempotency_key: start.idempotency_key.clone().filter(|key| !key.is_empty()),
            priority: start.priority,
            task_to_domain: start.task_to_domain.clone(),
            created_by: start.created_by.clone().or_else(|| schedule.created_by.clone()),
            parent: None,
            event: None,
            rate_limit_key: None,
            rate_limited: false,
        };
        let plan = self.plan_for(tenant, &start.name, start.version, start.workflow_def.clone().map(Arc::new));
        let idempotency = start.idempotency_strategy.unwrap_or_default();
        let started =
            plan.and_then(|plan| self.launch(plan, request, idempotency, Fit::Unchecked).map_err(|error| error.to_string()));
        let (workflow_id, reason) = match started {
            Ok(launched) => (Some(launched.id().to_string()), None),
            Err(reason) => {
                tracing::warn!(%tenant, schedule = schedule.name, reason, "a schedule could not start its workflow");
                (None, Some(reason))
            }
        };
        let state = if workflow_id.is_some() { ScheduleRunState::Executed } else { ScheduleRunState::Failed };
        let run = ScheduleRun {
            execution_id,
            schedule_name: schedule.name.clone(),
            scheduled_time: due,
            execution_time: self.now,
            workflow_name: start.name.clone(),
            workflow_id,
            reason,
            state,
            zone_id: schedule.zone_id.clone(),
        };
        self.building.schedule_run(tenant.clone(), run);
    }
}
