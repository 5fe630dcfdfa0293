//! The manager's settings: what can be set, the defaults, and the checks that no type can make.
//!
//! Order of sources: defaults, `/etc/conductor/manager.toml`, `manager.conf.d/*.toml` beside it, environment (`CONDUCTOR_` with
//! `__` between section and key), flags.

mod broker_url;
mod load;
mod settings;

pub use broker_url::BrokerUrl;
pub use load::{ConfigError, DEFAULT_FILE, Flags, effective, load, load_without_default_file};
pub(crate) use settings::hostname;
pub use settings::{
    AgentAccounts, AuthSettings, BrokerSettings, FeedSettings, LeaseSettings, LimitSettings, QueueType, Settings,
    StoreSettings, TlsSettings,
};
