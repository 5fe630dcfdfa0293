//! RabbitMQ's own files: which plugins it loads, and a drop-in with our settings.

use std::fs;
use std::path::Path;

use super::file::{FileError, Owner, put};
use crate::pki::ServerFiles;

/// The account that RabbitMQ's packages make.
pub(super) const ACCOUNT: &str = "rabbitmq";
/// What the manager needs of it: accounts are made through the first, agents log in with their certificates by the second.
const PLUGINS: &[&str] = &["rabbitmq_auth_mechanism_ssl", "rabbitmq_management"];

/// What its keys are called, in its own folder.
const AUTHORITY: &str = "conductor/ca.crt";
const CERTIFICATE: &str = "conductor/broker.crt";
const KEY: &str = "conductor/broker.key";

/// `{folder}` stands for RabbitMQ's own folder.
const SETTINGS: &str = "\
# Written by `conductor-manager setup`. Settings of your own belong into another file of this folder.

# Nothing without encryption.
listeners.tcp = none
listeners.ssl.1 = 5671
ssl_options.cacertfile = {folder}/conductor/ca.crt
ssl_options.certfile = {folder}/conductor/broker.crt
ssl_options.keyfile = {folder}/conductor/broker.key

# Agents are who their certificates say. The manager has a password.
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = false
ssl_cert_login_from = common_name
auth_mechanisms.1 = EXTERNAL
auth_mechanisms.2 = PLAIN
auth_mechanisms.3 = AMQPLAIN

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
    let text = SETTINGS.replace("{folder}", &folder.display().to_string());
    let settings = put(&folder.join("conf.d/50-conductor.conf"), &text, 0o640, owner.roots(), changes)?;
    Ok(plugins || settings)
}

/// Gives RabbitMQ its keys: copies, for the folder that they are made in is the manager's alone. Whether any is new; RabbitMQ
/// looks at them again by itself.
pub(super) fn write_keys(
    folder: &Path,
    owner: Owner,
    authority_pem: &str,
    made: &ServerFiles,
    changes: &mut Vec<String>,
) -> Result<bool, FileError> {
    let text = |path: &Path| fs::read_to_string(path).map_err(|source| FileError::Read { path: path.to_owned(), source });
    let authority = put(&folder.join(AUTHORITY), authority_pem, 0o644, owner.roots(), changes)?;
    let key = put(&folder.join(KEY), &text(&made.key)?, 0o640, owner.roots(), changes)?;
    let certificate = put(&folder.join(CERTIFICATE), &text(&made.certificate)?, 0o644, owner.roots(), changes)?;
    Ok(authority || key || certificate)
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
