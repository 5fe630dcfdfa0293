//! What a host's policy says of paths, the kernel holds plugins to.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use conductor_agent::runner::Plugin;
use conductor_agent::sys::confine::can_limit_paths;
use conductor_model::{LogStream, Outcome};
use serde_json::json;

use crate::rig::{How, Rig, folder, on_a_host, plugin};

/// What a shell needs to start.
const SYSTEM: &str = r#"["/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/ld.so.preload"]"#;

/// A place with a folder that is allowed, one that is not, and a secret.
fn place() -> (tempfile::TempDir, PathBuf) {
    let (dir, path) = folder();
    for name in ["allowed", "other"] {
        std::fs::create_dir(path.join(name)).unwrap();
    }
    std::fs::write(path.join("other/secret"), "hunter2").unwrap();
    (dir, path)
}

fn shell(place: &Path) -> Rc<Plugin> {
    let dir = place.join("plugin");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("plugin.yaml"), "name: a\nversion: 1.0.0\nmode: script\noperations: {x: {}}\n").unwrap();
    Rc::new(conductor_agent::plugins::load(&dir, "a").unwrap())
}

fn set_policy(rig: &Rig, text: &str) {
    std::fs::write(rig.host.folders.data.join("policy.toml"), text).unwrap();
}

/// Whether this kernel can do it; where it cannot, tasks must be refused, which the last story sees.
fn kernel_cannot() -> bool {
    !can_limit_paths()
}

#[test]
fn a_plugin_writes_where_the_policy_lets_it_and_where_its_task_lives() {
    if kernel_cannot() {
        return;
    }
    on_a_host(|rig| async move {
        let (_dir, place) = place();
        let plugin = shell(&place);
        let at = place.display();
        let script = format!(
            "exec 2>&1
            echo x > {at}/allowed/file && echo allowed
            echo x > {at}/other/file || echo not there
            setsid sh -c 'echo x > {at}/other/file' || echo nor by way of a child
            cat {at}/other/secret; echo
            echo x > here && echo work
            echo x > $CONDUCTOR_STATE_DIR/kept && echo state
            echo x > /dev/null && echo nothing
            ctx instance id && echo ctx"
        );
        set_policy(&rig, &format!("[paths]\nwrite = ['{at}/allowed']\n"));
        let how = How { input: json!({ "script": script }), ..How::default() };
        let ended = rig.run_how(&plugin, "x", how).await;
        let lines = ended.lines(LogStream::Stdout);
        for expected in ["allowed", "not there", "nor by way of a child", "hunter2", "work", "state", "nothing", "ctx"] {
            assert!(lines.iter().any(|line| line == expected), "{expected}: {lines:?} {}", ended.reason());
        }
        assert!(place.join("allowed/file").exists());
        assert!(!place.join("other/file").exists());
    });
}

#[test]
fn a_plugin_reads_nothing_but_what_the_policy_names_and_itself() {
    if kernel_cannot() {
        return;
    }
    on_a_host(|rig| async move {
        let (_dir, place) = place();
        let plugin = shell(&place);
        let at = place.display();
        let script = format!(
            "exec 2>&1
            cat {at}/other/secret || echo not read
            cat $CONDUCTOR_PLUGIN_DIR/plugin.yaml
            echo x > {at}/allowed/file && cat {at}/allowed/file && echo both"
        );
        set_policy(&rig, &format!("[paths]\nread = {SYSTEM}\nwrite = ['{at}/allowed']\n"));
        let how = How { input: json!({ "script": script }), ..How::default() };
        let ended = rig.run_how(&plugin, "x", how).await;
        let lines = ended.lines(LogStream::Stdout);
        for expected in ["not read", "name: a", "both"] {
            assert!(lines.iter().any(|line| line == expected), "{expected}: {lines:?} {}", ended.reason());
        }
        assert!(!lines.iter().any(|line| line.contains("hunter2")), "{lines:?}");
    });
}

#[test]
fn persistent_plugins_are_held_to_it_too_and_speak_as_before() {
    if kernel_cannot() {
        return;
    }
    on_a_host(|rig| async move {
        let pid = |ended: &crate::rig::Ended| ended.output["pid"].clone();
        set_policy(&rig, "[paths]\nwrite = []\n");
        let first = rig.run_how(&plugin("echo"), "pid", How::default()).await;
        assert_eq!(first.ending.outcome, Outcome::Succeeded, "{}", first.reason());
        let status = std::fs::read_to_string(format!("/proc/{}/status", pid(&first))).unwrap();
        // Only a process that took limits on has given up new privileges.
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        let second = rig.run_how(&plugin("echo"), "pid", How::default()).await;
        assert_eq!(pid(&first), pid(&second));
    });
}

#[test]
fn a_program_that_cannot_be_started_says_so_under_limits_too() {
    on_a_host(|rig| async move {
        let (_dir, path) = folder();
        std::fs::write(path.join("plugin.yaml"), "name: a\nversion: 1\nentrypoint: a\noperations: {x: {}}\n").unwrap();
        std::fs::write(path.join("a"), "#!/no/such/interpreter\n").unwrap();
        std::fs::set_permissions(path.join("a"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let plugin = Rc::new(conductor_agent::plugins::load(&path, "a").unwrap());
        set_policy(&rig, "[paths]\nwrite = []\n");
        let ended = rig.run_how(&plugin, "x", How::default()).await;
        let (outcome, words) =
            if kernel_cannot() { (Outcome::Refused, "its kernel cannot") } else { (Outcome::Failed, "No such file") };
        assert_eq!(ended.ending.outcome, outcome);
        assert!(ended.reason().contains(words), "{}", ended.reason());
    });
}
