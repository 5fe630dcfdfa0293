//! How tasks end.

use std::time::Duration;

use conductor_model::{LogStream, Outcome};
use serde_json::json;

use crate::rig::{How, NOBODY, alive, on_a_host, plugin};

#[test]
fn exits_mean_what_the_contract_says() {
    on_a_host(|rig| async move {
        for (operation, outcome, code, reason) in [
            ("fail", Outcome::Failed, Some(3), "the process exited with code 3: no such thing"),
            ("again", Outcome::Failed, Some(75), "the process exited with code 75"),
            ("terminal", Outcome::FailedTerminally, Some(1), "ConfigError: no port (the process exited with code 1)"),
            ("crash", Outcome::Failed, None, "the process was ended by SIGSEGV"),
            ("forgetful", Outcome::Failed, Some(0), "it did not work"),
            ("deaf", Outcome::Succeeded, Some(0), ""),
        ] {
            let ended = rig.run(operation).await;
            assert_eq!((ended.ending.outcome, ended.ending.exit_code), (outcome, code), "{operation}");
            assert_eq!(ended.reason(), reason, "{operation}");
        }
    });
}

#[test]
fn a_task_that_hangs_is_ended_when_its_time_is_over() {
    on_a_host(|rig| async move {
        let how = How { timeout: Some(Duration::from_millis(300)), ..How::default() };
        let ended = rig.run_how(&plugin("misbehave"), "hang", how).await;
        assert_eq!(ended.ending.outcome, Outcome::TimedOut);
        assert_eq!(ended.reason(), "ran longer than 300 ms and was ended");
        assert!(ended.took < Duration::from_secs(5), "{:?}", ended.took);
        assert_eq!(alive(&ended.task_id), NOBODY);
    });
}

#[test]
fn a_task_that_ignores_term_is_killed_after_the_grace_with_its_children() {
    on_a_host(|rig| async move {
        let how = How { grace: Duration::from_millis(400), ..How::default() };
        let task = rig.begin(&plugin("misbehave"), "ignore-term", &how);
        task.has_said("ignoring").await;
        let cancelled = std::time::Instant::now();
        task.cancel();
        let ended = task.end().await;
        assert_eq!(ended.ending.outcome, Outcome::Cancelled);
        assert_eq!(ended.reason(), "nobody wants it");
        assert!(cancelled.elapsed() >= Duration::from_millis(400), "the grace was not given");
        assert_eq!(alive(&ended.task_id), NOBODY);
    });
}

#[test]
fn a_program_that_cannot_be_started_fails_and_says_why() {
    on_a_host(|rig| async move {
        let (_dir, path) = crate::rig::folder();
        std::fs::write(path.join("plugin.yaml"), "name: a\nversion: 1\nentrypoint: a\noperations: {x: {}}\n").unwrap();
        std::fs::write(path.join("a"), "#!/no/such/interpreter\n").unwrap();
        std::fs::set_permissions(path.join("a"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let plugin = std::rc::Rc::new(conductor_agent::plugins::load(&path, "a").unwrap());
        let ended = rig.run_how(&plugin, "x", How::default()).await;
        assert_eq!(ended.ending.outcome, Outcome::Failed);
        assert!(ended.reason().contains("cannot start") && ended.reason().contains("No such file"), "{}", ended.reason());
    });
}

#[test]
fn a_task_is_read_from_standard_input_however_large() {
    on_a_host(|rig| async move {
        let text = "x".repeat(1_000_000);
        let how = How { input: json!({ "text": text }), ..How::default() };
        let ended = rig.run_how(&plugin("misbehave"), "deaf", how.clone()).await;
        assert_eq!(ended.ending.outcome, Outcome::Succeeded, "one that does not read is not waited for");
        let how = How { input: json!({ "a": "b\nc" }), ..How::default() };
        let ended = rig.run_how(&plugin("misbehave"), "input", how).await;
        let read: serde_json::Value = serde_json::from_str(&ended.lines(LogStream::Stdout)[0]).unwrap();
        assert_eq!(read["input"], json!({ "a": "b\nc" }));
        assert_eq!((&read["operation"], &read["agent"], &read["attempt"]), (&json!("input"), &json!("agent-1"), &json!(0)));
    });
}

#[test]
fn the_environment_is_a_short_list_and_descriptors_are_four() {
    on_a_host(|rig| async move {
        let ended = rig.run("environment").await;
        let names: Vec<String> =
            ended.lines(LogStream::Stdout).iter().filter_map(|line| Some(line.split_once('=')?.0.to_owned())).collect();
        for name in ["PATH", "CONDUCTOR_TASK_ID", "CONDUCTOR_STATE_DIR", "CONDUCTOR_WORK_DIR", "CONDUCTOR_CTX_TOKEN", "TMPDIR"]
        {
            assert!(names.iter().any(|known| known == name), "{name} is missing in {names:?}");
        }
        assert!(!names.iter().any(|name| name.starts_with("CARGO")), "the agent's own variables leak: {names:?}");
        let descriptors = rig.run("descriptors").await.lines(LogStream::Stdout);
        // The shell has its script open as 10, `ls` the folder that it lists as 4.
        let shell = ["fd 4", "fd 10"];
        let given: Vec<_> = descriptors.iter().filter(|line| !shell.contains(&line.as_str())).collect();
        assert_eq!(given, ["fd 0", "fd 1", "fd 2", "fd 3"]);
    });
}

#[test]
fn nothing_of_a_task_stays_for_the_next() {
    on_a_host(|rig| async move {
        for _ in 0..2 {
            let ended = rig.run("litter").await;
            assert_eq!(ended.lines(LogStream::Stdout), ["0 files were here"]);
        }
        assert!(rig.host.speakers.borrow().is_empty());
    });
}

#[test]
fn without_a_control_group_a_process_is_limited_by_the_memory_that_it_asks_for() {
    on_a_host(|rig| async move {
        let (_dir, path) = crate::rig::folder();
        std::fs::write(path.join("plugin.yaml"), "name: a\nversion: 1.0.0\nmode: script\noperations: {x: {}}\n").unwrap();
        let plugin = std::rc::Rc::new(conductor_agent::plugins::load(&path, "a").unwrap());
        let script = "ulimit -v";
        let limits =
            conductor_model::ResourceLimits { memory: Some(conductor_model::size::ByteSize(256 << 20)), ..Default::default() };
        let how = How { input: json!({ "script": script }), limits, ..How::default() };
        let ended = rig.run_how(&plugin, "x", how).await;
        assert_eq!(ended.lines(LogStream::Stdout), ["262144"], "{}", ended.reason());
    });
}
