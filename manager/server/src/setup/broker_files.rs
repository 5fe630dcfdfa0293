//! RabbitMQ's own files: which plugins it loads, and a drop-in with our settings.

use std::fs;
use std::path::Path;

use super::file::{FileError, Owner, put};

/// The account that RabbitMQ's packages make.
pub(super) const ACCOUNT: &str = "rabbitmq";
/// What the manager needs of it: accounts are made through the first, agents log in with their certificates by the second.
const PLUGINS: &[&str] = &["rabbitmq_auth_mechanism_ssl", "rabbitmq_management"];

const SETTINGS: &str = "\
# Written by `conductor-manager setup`. Settings of your own belong into another file of this folder.

# Without encryption on this host alone, for the manager beside it.
listeners.tcp.1 = 127.0.0.1:5672

# The management API, by which the manager makes accounts for agents, on this host alone.
management.tcp.ip = 127.0.0.1
management.tcp.port = 15672
";

/// Writes the files; whether RabbitMQ must start anew to take them.
pub(super) fn write(folder: &Path, owner: Owner, changes: &mut Vec<String>) -> Result<bool, FileError> {
    let plugins_path = folder.join("enabled_plugins");
    let old = match fs::read_to_string(&plugins_path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(FileError::Read { path: plugins_path, source }),
    };
    // Only ever more: what somebody else enabled stays.
    let plugins = put(&plugins_path, &with_ours(&old), 0o644, owner, changes)?;
    let settings = put(&folder.join("conf.d/50-conductor.conf"), SETTINGS, 0o640, owner.roots(), changes)?;
    Ok(plugins || settings)
}

/// The list as RabbitMQ writes it: an Erlang term, `[one,two].`
fn with_ours(old: &str) -> String {
    let inner = old.trim().trim_start_matches('[').trim_end_matches('.').trim_end_matches(']');
    let mut names: Vec<&str> = inner.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    names.extend(PLUGINS);
    names.sort_unstable();
    names.dedup();
    format!("[{}].\n", names.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_of_others_stay() {
        assert_eq!(with_ours(""), "[rabbitmq_auth_mechanism_ssl,rabbitmq_management].\n");
        let theirs = with_ours("[rabbitmq_shovel, rabbitmq_management].\n");
        assert_eq!(theirs, "[rabbitmq_auth_mechanism_ssl,rabbitmq_management,rabbitmq_shovel].\n");
        assert_eq!(with_ours(&theirs), theirs);
    }
}
