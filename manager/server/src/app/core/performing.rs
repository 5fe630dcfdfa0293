//! What the manager does itself: handed out from here, a bounded number at once, and heard of again as
//! [`Event::Performed`]. Derived from the records (`TaskRecord::performing`), after a decision and at start alike.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};

use conductor_engine::{Event, PerformFailure, Sealed};
use conductor_model::definition::TaskType;
use conductor_model::{TaskId, TaskRecord, WorkflowId};
use serde_json::Value;

use super::Core;
use super::message::Message;
use crate::app::perform::Job;

/// Scripts handed out at once: enough that no evaluating thread waits for the deciding one.
const SCRIPTS_MAX: usize = 32;
/// Requests under way at once.
const REQUESTS_MAX: usize = 256;
/// Messages under way at once.
const MESSAGES_MAX: usize = 256;

/// Work of one kind waits for its own kind only: a slow host holds up no script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Evaluating a script.
    Script,
    /// An HTTP request.
    Request,
    /// A message to publish.
    Message,
}

const LANES: [Lane; 3] = [Lane::Script, Lane::Request, Lane::Message];

impl Lane {
    fn of(task_type: TaskType) -> Self {
        match task_type {
            TaskType::Http => Self::Request,
            TaskType::Event => Self::Message,
            _ => Self::Script,
        }
    }

    fn limit(self) -> usize {
        match self {
            Self::Script => SCRIPTS_MAX,
            Self::Request => REQUESTS_MAX,
            Self::Message => MESSAGES_MAX,
        }
    }
}

/// One piece of work: a turn of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The task's workflow.
    pub workflow: WorkflowId,
    /// The task.
    pub task: TaskId,
    /// Which turn.
    pub turn: u32,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Performing {
    waiting: HashMap<Lane, VecDeque<Turn>>,
    /// Handed out and not heard of yet.
    under_way: HashMap<TaskId, (u32, Lane)>,
    counts: HashMap<Lane, usize>,
}

impl Performing {
    fn push(&mut self, lane: Lane, turn: Turn) {
        self.waiting.entry(lane).or_default().push_back(turn);
    }

    /// The next piece of a lane that has room.
    fn next(&mut self) -> Option<(Lane, Turn)> {
        LANES.into_iter().find_map(|lane| {
            let room = self.counts.get(&lane).copied().unwrap_or(0) < lane.limit();
            let turn = room.then(|| self.waiting.get_mut(&lane)?.pop_front()).flatten()?;
            Some((lane, turn))
        })
    }

    fn begin(&mut self, lane: Lane, turn: Turn) {
        self.end(turn.task, None);
        self.under_way.insert(turn.task, (turn.turn, lane));
        *self.counts.entry(lane).or_default() += 1;
    }

    /// A piece was heard of; one of an earlier turn than the one under way changes nothing.
    fn end(&mut self, task: TaskId, turn: Option<u32>) {
        let Some(&(current, lane)) = self.under_way.get(&task) else { return };
        if turn.is_none_or(|turn| turn == current) {
            self.under_way.remove(&task);
            if let Some(count) = self.counts.get_mut(&lane) {
                *count -= 1;
            }
        }
    }
}

impl Core {
    /// Takes note of an open task at start: what was under way is performed again.
    pub(super) fn observe_performing(&mut self, task: &TaskRecord) {
        if task.performing {
            let turn = Turn { workflow: task.workflow_id, task: task.id, turn: task.turn };
            self.performing.push(Lane::of(task.task_type), turn);
        }
    }

    /// The engine wants a task worked on. Scripts change nothing outside and may run before the decision is stored;
    /// requests and messages go out after it.
    pub(super) fn perform(&mut self, workflow: WorkflowId, task: TaskId, turn: u32) {
        let Some(record) = self.runs.peek(workflow).and_then(|run| run.task(task)) else { return };
        let turn = Turn { workflow, task, turn };
        match Lane::of(record.task_type) {
            lane @ Lane::Script => self.performing.push(lane, turn),
            lane @ (Lane::Request | Lane::Message) => {
                let handle = self.handle.clone();
                self.building.after(move |stored| {
                    if stored.is_ok() {
                        handle.tell(Message::Perform { turn, lane });
                    }
                });
            }
        }
    }

    /// The decision that wants it is stored.
    pub(super) fn perform_stored(&mut self, turn: Turn, lane: Lane) {
        self.performing.push(lane, turn);
    }

    /// Hands out work while there is room.
    pub(super) fn hand_out_work(&mut self) {
        while let Some((lane, turn)) = self.performing.next() {
            let run = match self.runs.get(turn.workflow, self.store.as_ref(), self.batch_number) {
                Ok(Some(run)) => run,
                Ok(None) => continue,
                Err(error) => {
                    tracing::error!(workflow = %turn.workflow, %error, "work of a workflow that cannot be loaded waits");
                    self.performing.push(lane, turn);
                    return;
                }
            };
            let current = run.task(turn.task).is_some_and(|record| record.turn == turn.turn);
            if !current {
                continue;
            }
            let (tenant, performers) = (run.workflow().tenant.clone(), &self.outlets.performers);
            let secrets = RefCell::new(Vec::new());
            let look_up = |sealed, name: &str| {
                let value = performers.look_up(&tenant, sealed, name)?;
                if sealed == Sealed::Secret {
                    secrets.borrow_mut().push(value.clone());
                }
                Some(value)
            };
            let work = match run.revealed_input(turn.task, &look_up) {
                Some(input) => run.server_work_on(turn.task, input),
                None => run.server_work(turn.task),
            };
            let Some(work) = work else { continue };
            self.performing.begin(lane, turn);
            performers.perform(Job { tenant, turn, work, secrets: secrets.into_inner() });
        }
    }

    /// What came of a piece of work.
    pub(super) fn performed(&mut self, turn: Turn, result: Result<Value, PerformFailure>) {
        self.performing.end(turn.task, Some(turn.turn));
        self.log_refusal(turn.workflow, Event::Performed { task: turn.task, turn: turn.turn, result });
    }
}
