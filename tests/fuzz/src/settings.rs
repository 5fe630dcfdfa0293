//! Settings of the manager.

use conductor_manager::config::{BrokerUrl, Flags, effective, load_without_default_file};

/// What stands where a password does, to be looked for where it must not be shown.
const PASSWORD: &str = "s3cr3t";

/// A settings file: it is loaded, or what is wrong with it is said.
pub fn settings(bytes: &[u8]) -> bool {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("manager.toml");
    std::fs::write(&file, bytes).expect("the file can be written");
    let loaded = load_without_default_file(&Flags { config: Some(file), ..Flags::default() });
    match &loaded {
        Ok(loaded) => assert!(!effective(loaded).is_empty()),
        Err(error) => assert!(!conductor_boot::report(error).to_string().is_empty()),
    }
    loaded.is_ok()
}

/// A broker's address: its password is not shown, whatever stands beside it.
pub fn broker_url(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let _ = BrokerUrl::try_from(text.to_owned());
    // What stands behind the first `/` is no login, nor is what stands behind `?` and `#`.
    if text.contains(['/', '?', '#', ':']) || text.contains(PASSWORD) {
        return false;
    }
    for url in [
        format!("amqp://user:{PASSWORD}{text}@host:5672/%2f"),
        format!("amqp://user:{text}{PASSWORD}@host/"),
        format!("amqps://{text}:{PASSWORD}@host"),
    ] {
        let url = BrokerUrl::try_from(url).expect("an AMQP URI");
        assert!(!url.to_string().contains(PASSWORD) && !format!("{url:?}").contains(PASSWORD), "{url}");
    }
    true
}
