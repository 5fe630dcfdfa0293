//! Further agents of a host, as the management worker beside a manager: instances of `conductor-agent@.service`. Settings in
//! `/etc/conductor/agent-NAME.toml` are such an agent's, and everything else about it follows from its name.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, lchown};
use std::path::{Path, PathBuf};

use conductor_boot::Loader;
use nix::unistd::{User, geteuid};

use crate::settings::DEFAULT_FILE;

/// The account that agents run under as services.
pub const ACCOUNT: &str = "conductor-agent";
/// What the units have as `StateDirectoryMode`: runners of other users read the plugins in the folder.
const DATA_DIR_MODE: u32 = 0o711;

/// One further agent of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    name: String,
}

impl Instance {
    /// The agent whose settings are in such a file; `None` for the host's first agent, and for files that no service reads.
    #[must_use]
    pub fn of(file: Option<&Path>) -> Option<Self> {
        let file = file?;
        let name = file.file_stem()?.to_str()?.strip_prefix("agent-")?;
        let is_settings = file.extension().is_some_and(|extension| extension == "toml");
        let is_read = file.parent() == Path::new(DEFAULT_FILE).parent();
        (is_settings && is_read && !name.is_empty()).then(|| Self { name: name.to_owned() })
    }

    /// Where it keeps everything.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        PathBuf::from(format!("/var/lib/{ACCOUNT}-{}", self.name))
    }

    /// Its id where none is set: two agents of one host cannot both be named like it.
    #[must_use]
    pub fn id(&self, hostname: &str) -> String {
        format!("{hostname}-{}", self.name)
    }
}

/// The service that reads such a settings file.
#[must_use]
pub fn unit_of(instance: Option<&Instance>) -> String {
    instance.map_or_else(|| format!("{ACCOUNT}.service"), |instance| format!("{ACCOUNT}@{}.service", instance.name))
}

/// What loads settings as the service has them: those of a further agent with a data folder of its own, whatever they say.
/// `data_dir` is what the command line names, and outranks that.
pub fn loader(file: Option<PathBuf>, data_dir: Option<PathBuf>) -> Loader {
    let own = Instance::of(file.as_deref()).map(|instance| instance.data_dir());
    let text = |dir: PathBuf| dir.display().to_string();
    Loader::new(DEFAULT_FILE).file(file).flag("--config", "data_dir", own.map(text)).flag(
        "--data-dir",
        "data_dir",
        data_dir.map(text),
    )
}

/// Makes the data folder of a further agent, which no package makes, as its unit would; one that is there stays as it is.
///
/// # Errors
/// When it cannot be made or given to the agents' account.
pub fn make_data_dir(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(DATA_DIR_MODE).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    }
    match User::from_name(ACCOUNT).ok().flatten() {
        Some(user) if geteuid().is_root() => lchown(dir, Some(user.uid.as_raw()), Some(user.gid.as_raw())),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::settings::Settings;

    #[test]
    fn everything_about_a_further_agent_follows_from_the_name_of_its_settings() {
        let instance = Instance::of(Some(Path::new("/etc/conductor/agent-management.toml"))).unwrap();
        assert_eq!(instance.data_dir(), Path::new("/var/lib/conductor-agent-management"));
        assert_eq!(instance.id("boss"), "boss-management");
        assert_eq!(unit_of(Some(&instance)), "conductor-agent@management.service");
        assert_eq!(unit_of(None), "conductor-agent.service");
        let others =
            [DEFAULT_FILE, "/etc/conductor/agent-.toml", "/etc/conductor/agent-x.json", "/tmp/agent-x.toml", "agent-x.toml"];
        for other in others {
            assert_eq!(Instance::of(Some(Path::new(other))), None, "{other}");
        }
    }

    #[test]
    fn the_data_of_a_further_agent_lie_where_its_unit_says_also_for_commands() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("as-in-etc.toml");
        std::fs::write(&file, "slots = 3\ndata_dir = \"/elsewhere\"\n").unwrap();
        let settings = |name: &str, data_dir: Option<&str>| {
            // Of the name alone it follows whose settings they are; what they say is read from where a test may write.
            let loader = loader(Some(name.into()), data_dir.map(PathBuf::from)).file(Some(file.clone()));
            let settings: Settings = loader.environment([]).load().unwrap().settings;
            (settings.slots, settings.data_dir.display().to_string())
        };
        let edge = "/etc/conductor/agent-edge.toml";
        assert_eq!(settings(edge, None), (3, "/var/lib/conductor-agent-edge".to_owned()), "as the unit has it");
        assert_eq!(settings(edge, Some("/mine")), (3, "/mine".to_owned()));
        assert_eq!(settings("/tmp/agent-edge.toml", None), (3, "/elsewhere".to_owned()));
        let unit = include_str!("../../../systemd/conductor-agent@.service");
        let of_the_unit = Instance { name: "%i".to_owned() };
        let told = format!("--config /etc/conductor/agent-%i.toml --data-dir {}\n", of_the_unit.data_dir().display());
        assert!(unit.contains(&told), "{told}");
        assert!(unit.contains(&format!("StateDirectoryMode={DATA_DIR_MODE:04o}\n")), "the mode is the unit's");
        assert!(unit.contains(&format!("ConditionPathExists={}/identity/identity.json\n", of_the_unit.data_dir().display())));
    }

    #[test]
    fn its_data_folder_is_made_as_the_unit_makes_it_and_left_alone_later() {
        let dir = tempfile::tempdir().unwrap();
        let made = dir.path().join("conductor-agent-edge");
        make_data_dir(&made).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&made), 0o711);
        std::fs::set_permissions(&made, PermissionsExt::from_mode(0o700)).unwrap();
        make_data_dir(&made).unwrap();
        assert_eq!(mode(&made), 0o700, "what an administrator did stays");
        assert!(make_data_dir(&dir.path().join("absent/edge")).is_err());
    }

    /// A further agent is no less locked in than the first: but for its name, its unit says the same.
    #[test]
    fn the_unit_of_further_agents_is_as_hard_as_that_of_the_first() {
        let says = |text: &'static str, own: &[&str]| -> Vec<&'static str> {
            let service = text.split_once("[Service]").unwrap().1;
            service.lines().filter(|line| !own.iter().any(|key| line.starts_with(key))).collect()
        };
        let own = ["ExecStart=", "StateDirectory="];
        let first = says(include_str!("../../../systemd/conductor-agent.service"), &own);
        assert_eq!(says(include_str!("../../../systemd/conductor-agent@.service"), &own), first);
        assert!(first.contains(&"NoNewPrivileges=yes") && first.contains(&"ProtectSystem=strict"), "{first:?}");
    }
}
