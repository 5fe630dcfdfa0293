//! Limits that more than one part must agree on. Each has a name, a unit and a reason.

/// Longest agent, plugin, tenant, label or fact name in bytes: fits a DNS label with room, and a queue name.
pub const NAME_BYTES_MAX: usize = 128;
/// Longest definition name or task reference name in bytes.
pub const DEFINITION_NAME_BYTES_MAX: usize = 255;
/// Largest request body of the JSON API in bytes; a definition of 10,000 branches fits.
pub const JSON_BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Deepest nesting of JSON that is accepted from outside.
pub const JSON_DEPTH_MAX: usize = 100;
/// Most steps in one workflow definition, counted over all nested levels.
pub const WORKFLOW_STEPS_MAX: usize = 50_000;
/// Deepest nesting of blocks (forks, switches) in a workflow definition.
pub const WORKFLOW_DEPTH_MAX: usize = 64;
/// Largest input or output of one task in bytes of JSON.
pub const TASK_PAYLOAD_BYTES_MAX: usize = 3 * 1024 * 1024;
/// Largest plugin archive in bytes, as uploaded.
pub const PLUGIN_ARCHIVE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Largest plugin in bytes after unpacking: an archive that grows beyond is refused as a bomb.
pub const PLUGIN_UNPACKED_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Most files and folders in one plugin.
pub const PLUGIN_ENTRIES_MAX: usize = 20_000;
/// Largest `plugin.yaml` in bytes.
pub const PLUGIN_MANIFEST_BYTES_MAX: u64 = 256 * 1024;
/// Largest message on the broker in bytes; larger payloads travel over REST by reference.
pub const MESSAGE_BYTES_MAX: usize = 128 * 1024;
/// Most tasks or events packed into one message on the broker.
pub const MESSAGE_ITEMS_MAX: usize = 128;
/// Longest single log line in bytes; what is beyond is cut with a visible marker.
pub const LOG_LINE_BYTES_MAX: usize = 16 * 1024;
/// Most bytes of log kept of one task; what is beyond is dropped with a visible marker.
pub const TASK_LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Most times that a task which was lost with its agent is sent out again because its definition calls it idempotent.
pub const LOST_REDISPATCH_MAX: u32 = 10;
/// Most alternates that are carried along with a placement.
pub const ALTERNATES_MAX: usize = 4;
/// Most characters of the reason why an agent is cordoned.
pub const CORDON_REASON_CHARS_MAX: usize = 500;
