//! Whom the node runs as.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{Gid, Uid, User, geteuid};

use super::BrokerNodeError;

/// The distribution's account for the broker.
const USER: &str = "rabbitmq";

/// User and group to run the node as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: Uid,
    pub(super) gid: Gid,
}

/// Another account than this process's: only root can change, and RabbitMQ does not want to be root.
pub(super) fn account() -> Result<Option<Account>, BrokerNodeError> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let user = User::from_name(USER).map_err(BrokerNodeError::Account)?;
    Ok(user.map(|user| Account { uid: user.uid, gid: user.gid }))
}

impl Account {
    /// Whether the account may enter every folder on the way to `path`.
    pub(super) fn can_reach(self, path: &Path) -> bool {
        path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()).all(|folder| {
            fs::metadata(folder).is_ok_and(|metadata| {
                let mode = metadata.mode();
                let bit = if metadata.uid() == self.uid.as_raw() {
                    0o100
                } else if metadata.gid() == self.gid.as_raw() {
                    0o010
                } else {
                    0o001
                };
                mode & bit != 0
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_closed_folder_on_the_way_is_noticed() {
        let folder = tempfile::TempDir::with_prefix_in("conductor", "/tmp").unwrap();
        let inner = folder.path().join("node");
        fs::create_dir(&inner).unwrap();
        let stranger = Account { uid: Uid::from_raw(54_321), gid: Gid::from_raw(54_321) };
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        assert!(stranger.can_reach(&inner));
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).unwrap();
        assert!(!stranger.can_reach(&inner));
    }
}
