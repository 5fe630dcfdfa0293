//! Moments to wake for. Derived from the records; nothing is stored of them but the records themselves.

use std::collections::{BTreeSet, HashMap};

use conductor_engine::Event;
use conductor_model::{AgentId, TaskId, Timestamp, WorkflowId};

use super::limits::LimitKey;
use super::schedules::ScheduleKey;
use super::{Core, DecideError};

/// Most timers fired in one turn, so that a flood of them does not keep callers waiting.
const FIRED_PER_TURN_MAX: usize = 512;

/// What a moment is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Timer {
    /// A task's timeout.
    Task(TaskId),
    /// A task may be polled or placed from then on.
    Visible(TaskId),
    /// A workflow's timeout.
    Workflow(WorkflowId),
    /// An agent's lease ends.
    Lease(AgentId),
    /// A poller's patience ends.
    Poller(u64),
    /// A workflow is to start by the calendar.
    Schedule(ScheduleKey),
    /// A limit allows another hand-out.
    Gate(LimitKey),
}

/// All moments, in order.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeSet<(Timestamp, Timer)>,
    at: HashMap<Timer, Timestamp>,
}

impl Timers {
    /// Sets or moves a timer.
    pub(super) fn set(&mut self, timer: Timer, at: Timestamp) {
        if let Some(before) = self.at.insert(timer.clone(), at) {
            if before == at {
                return;
            }
            self.due.remove(&(before, timer.clone()));
        }
        self.due.insert((at, timer));
    }

    /// Takes a timer away; nothing happens when it is not set.
    pub(super) fn clear(&mut self, timer: &Timer) {
        if let Some(at) = self.at.remove(timer) {
            self.due.remove(&(at, timer.clone()));
        }
    }

    /// The next moment.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes the first timer that is due by `now`.
    fn take_due(&mut self, now: Timestamp) -> Option<(Timestamp, Timer)> {
        let (at, timer) = self.due.first().filter(|(at, _)| *at <= now)?.clone();
        self.clear(&timer);
        Some((at, timer))
    }

    /// How many are set.
    pub(super) fn len(&self) -> usize {
        self.at.len()
    }
}

impl Core {
    /// Acts on every timer that is due.
    pub(super) fn fire_timers(&mut self) {
        for _ in 0..FIRED_PER_TURN_MAX {
            let Some((at, timer)) = self.index.timers.take_due(self.now) else { return };
            self.metrics.timer_late_ms(self.now.ms_since(at));
            match timer {
                Timer::Task(task) => self.task_timer(task),
                Timer::Visible(task) => self.index.now_visible(task),
                Timer::Workflow(workflow) => self.log_refusal(workflow, Event::WorkflowTimer),
                Timer::Lease(agent) => self.lease_ended(&agent),
                Timer::Poller(poller) => self.polling.give_up(poller),
                Timer::Schedule(key) => self.schedule_due(key),
                Timer::Gate(key) => self.open_gate(&key),
            }
        }
    }

    /// A task's timeout is due. An agent that renewed its lease with the task counts as a word from its worker first.
    fn task_timer(&mut self, task: TaskId) {
        let Some(workflow) = self.index.workflow_of(task) else { return };
        if let Some(dispatch) = self.index.claimed_dispatch(task)
            && self.fleet.is_renewed(task, self.now, self.settings.lease_ms)
        {
            self.log_refusal(workflow, Event::Renewed { task, dispatch });
            if !self.index.timer_is_due(task, self.now) {
                return;
            }
        }
        self.log_refusal(workflow, Event::TaskTimer { task });
    }

    /// Decides on an event that nobody waits for.
    pub(super) fn log_refusal(&mut self, workflow: WorkflowId, event: Event) {
        match self.decide(workflow, event) {
            Ok(_) => {}
            Err(DecideError::Refused(refusal)) => tracing::debug!(%workflow, %refusal, "event changes nothing"),
            Err(error) => tracing::error!(%workflow, %error, "event could not be decided"),
        }
    }
}
