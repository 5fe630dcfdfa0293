//! What every binary does before its real work: settings, logging, error chains, build information, the word to systemd.

mod broken;
mod build_info;
pub mod doctor;
mod layer;
mod logging;
mod report;
mod settings;
mod settings_error;
pub mod supervisor;

pub use broken::Broken;
pub use build_info::BuildInfo;
pub use logging::{LogFormat, LogSettings, LoggingError, init_logging, init_logging_to};
pub use report::{Report, report};
pub use settings::{Loaded, Loader, SettingLine};
pub use settings_error::SettingsError;
