//! What the manager counts, for `/metrics`. A struct that is passed in, not a global.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// The manager's counters and gauges. Clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Decisions made.
    pub decisions: Counter,
    /// Workflows started.
    pub workflows_started: Counter,
    /// Workflows removed because they ended long ago.
    pub workflows_expired: Counter,
    /// Alerts raised by timeouts with policy ALERT_ONLY.
    pub alerts: Counter,
    /// Batches that the store refused.
    pub commit_failures: Counter,
    /// Messages published to agents.
    pub published: Counter,
    /// Messages that the broker confirmed.
    pub confirmed: Counter,
    /// Messages that the broker gave back.
    pub returned: Counter,
    /// 1 while there is a session with the broker.
    pub broker_connected: Gauge,
    /// 1 while the broker takes no messages.
    pub broker_blocked: Gauge,
    /// Batches stored, and workflows in each.
    batches: Histogram,
    /// How late timers fire.
    timer_late_ms: Histogram,
    tasks_open: Gauge,
    tasks_queued: Gauge,
    tasks_waiting_for_place: Gauge,
    timers: Gauge,
    workflows_in_memory: Gauge,
    agents: Family<Vec<(String, String)>, Gauge>,
    /// Latest feed id, for trimming.
    pub last_feed_id: Arc<AtomicU64>,
}

impl Metrics {
    /// Makes them and registers them.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            decisions: Counter::default(),
            workflows_started: Counter::default(),
            workflows_expired: Counter::default(),
            alerts: Counter::default(),
            commit_failures: Counter::default(),
            published: Counter::default(),
            confirmed: Counter::default(),
            returned: Counter::default(),
            broker_connected: Gauge::default(),
            broker_blocked: Gauge::default(),
            batches: Histogram::new(exponential_buckets(1.0, 2.0, 12)),
            timer_late_ms: Histogram::new(exponential_buckets(1.0, 2.0, 14)),
            tasks_open: Gauge::default(),
            tasks_queued: Gauge::default(),
            tasks_waiting_for_place: Gauge::default(),
            timers: Gauge::default(),
            workflows_in_memory: Gauge::default(),
            agents: Family::default(),
            last_feed_id: Arc::default(),
        };

        registry.register("decisions", "Decisions made", metrics.decisions.clone());
        registry.register("workflows_started", "Workflows started", metrics.workflows_started.clone());
        registry.register(
            "workflows_expired",
            "Workflows removed because they ended long ago",
            metrics.workflows_expired.clone(),
        );
        registry.register("alerts", "Alerts raised", metrics.alerts.clone());
        registry.register("commit_failures", "Batches that could not be stored", metrics.commit_failures.clone());
        registry.register("messages_published", "Messages published to agents", metrics.published.clone());
        registry.register("messages_confirmed", "Messages that the broker confirmed", metrics.confirmed.clone());
        registry.register("messages_returned", "Messages that the broker gave back", metrics.returned.clone());
        registry.register("broker_connected", "1 while connected to RabbitMQ", metrics.broker_connected.clone());
        registry.register("broker_blocked", "1 while RabbitMQ takes no messages", metrics.broker_blocked.clone());
        registry.register("batch_workflows", "Workflows stored in one commit", metrics.batches.clone());
        registry.register("timer_late_ms", "How late timers fire, in ms", metrics.timer_late_ms.clone());
        registry.register("tasks_open", "Tasks that are not over", metrics.tasks_open.clone());
        registry.register("tasks_queued", "Tasks that wait for pollers", metrics.tasks_queued.clone());
        registry.register("tasks_unplaced", "Tasks that wait for an agent", metrics.tasks_waiting_for_place.clone());
        registry.register("timers", "Timers that are set", metrics.timers.clone());
        registry.register("workflows_in_memory", "Workflows in memory", metrics.workflows_in_memory.clone());
        registry.register("agents", "Agents by state", metrics.agents.clone());
        metrics
    }

    /// A batch with so many workflows goes to the store.
    #[expect(clippy::cast_precision_loss, reason = "a count of workflows in one batch")]
    pub(crate) fn batch(&self, workflows: usize) {
        self.batches.observe(workflows as f64);
    }

    /// A timer fired so late.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds")]
    pub(crate) fn timer_late_ms(&self, late_ms: i64) {
        self.timer_late_ms.observe(late_ms.max(0) as f64);
    }

    /// Takes the sizes of the deciding thread's memory: tasks open, queued, waiting for a place; timers; workflows.
    pub(crate) fn sizes(&self, [open, queued, waiting, timers]: [usize; 4], workflows: usize) {
        let gauge = |gauge: &Gauge, value: usize| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        gauge(&self.tasks_open, open);
        gauge(&self.tasks_queued, queued);
        gauge(&self.tasks_waiting_for_place, waiting);
        gauge(&self.timers, timers);
        gauge(&self.workflows_in_memory, workflows);
    }

    /// How many agents are in a state.
    pub(crate) fn agents(&self, state: &str, count: usize) {
        let labels = vec![("state".to_owned(), state.to_owned())];
        self.agents.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}
