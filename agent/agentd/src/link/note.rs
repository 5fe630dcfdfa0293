//! Where RabbitMQ is, as the manager said last: for `doctor`, which must not register to find out.

use std::path::Path;

use reqwest::Url;

use crate::sys::folder::Folder;

const FILE: &str = "broker.url";
/// Where `conductor-manager setup` has RabbitMQ listen, and for whom.
const USUAL_PORT: u16 = 5671;
const USUAL_VHOST: &str = "conductor";

/// Notes an address. One with a password is not noted.
pub fn write(data_dir: &Path, url: &str) {
    let is_open = Url::parse(url).is_ok_and(|url| url.password().is_none());
    if !is_open || read(data_dir).as_deref() == Some(url) {
        return;
    }
    if let Err(error) = Folder::open(data_dir).and_then(|folder| folder.write(FILE, url, 0o644)) {
        tracing::debug!(%error, "the broker's address cannot be noted");
    }
}

/// The address that was noted.
#[must_use]
pub fn read(data_dir: &Path) -> Option<String> {
    Folder::open(data_dir).ok()?.read(FILE).ok()?
}

/// Where it is on an installed system whose manager has this address.
#[must_use]
pub fn likely(manager: &str) -> Option<String> {
    let url = Url::parse(manager).ok()?;
    Some(format!("amqps://{}:{USUAL_PORT}/{USUAL_VHOST}?auth_mechanism=external", url.host_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_noted_unless_it_has_a_password() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "amqp://agent.a:secret@host/%2f");
        assert_eq!(read(dir.path()), None);
        write(dir.path(), "amqps://host:5671/conductor?auth_mechanism=external");
        assert_eq!(read(dir.path()).as_deref(), Some("amqps://host:5671/conductor?auth_mechanism=external"));
        assert_eq!(likely("https://host:53333"), read(dir.path()));
    }
}
