//! Every parser of input from outside as a function of bytes, which must return: no panic, no endless loop, and whatever
//! the function says beside that. It says whether the parser took the bytes.
//!
//! The same functions serve two drivers: libFuzzer, guided by coverage (`make fuzz`, in `libfuzzer/`), and the tests of this
//! crate, which play the seeds in `seeds/TARGET/` and a bounded number of changes of them on a stable toolchain. What a
//! driver finds is mended and its input kept among the seeds.

mod agent;
mod archives;
mod bodies;
mod definitions;
mod files;
mod messages;
mod settings;
mod words;

pub use agent::{agent_settings, ctx_request, from_runner, host_policy, journal, plugin_event, runner_frames, to_runner};
pub use archives::{archive, manifest, tar};
pub use bodies::{event_message, request_body, schema};
pub use definitions::{cron, event_handler, event_source, expression, moment, task_definition, workflow_definition};
pub use files::{file_key, range};
pub use messages::{event_stream, from_agent, from_script_helper, to_agent, to_script_helper};
pub use settings::{broker_url, settings};
pub use words::{name, search, selector, size};

/// A parser and what it is called.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Also the name of its folder of seeds and of its program in `libfuzzer/`.
    pub name: &'static str,
    /// Takes any bytes, and panics where the parser is at fault. Whether the parser took them.
    pub run: fn(&[u8]) -> bool,
}

macro_rules! targets {
    ($($name:ident,)*) => {
        /// All of them.
        pub const TARGETS: &[Target] = &[$(Target { name: stringify!($name), run: $name },)*];
    };
}

targets! {
    agent_settings,
    archive,
    broker_url,
    cron,
    ctx_request,
    event_handler,
    event_message,
    event_source,
    event_stream,
    expression,
    file_key,
    from_agent,
    from_runner,
    from_script_helper,
    host_policy,
    journal,
    manifest,
    moment,
    name,
    plugin_event,
    range,
    request_body,
    runner_frames,
    schema,
    search,
    selector,
    settings,
    size,
    tar,
    task_definition,
    to_agent,
    to_runner,
    to_script_helper,
    workflow_definition,
}
