//! What is started for a persistent plugin.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

use crate::runner::environment::{PERSISTENT_MARK, WORKER_MARK};
use crate::runner::job::{Host, Plugin};
use crate::runner::oneshot::c_string;

pub(super) struct WorkerCommand {
    pub program: CString,
    pub env: Vec<CString>,
    pub dir: CString,
}

pub(super) fn command(host: &Host, plugin: &Plugin, id: &str, token: &str) -> Result<WorkerCommand, String> {
    let Some(entrypoint) = &plugin.manifest.entrypoint else {
        return Err("the plugin's manifest names no entrypoint".to_owned());
    };
    let program = c_string(plugin.dir.join(entrypoint).as_os_str().as_bytes())?;
    let dir = host.folders.work();
    let dir = c_string(dir.as_os_str().as_bytes())?;
    let added: [(&str, &[u8]); 6] = [
        (PERSISTENT_MARK, host.incarnation.as_bytes()),
        (WORKER_MARK, id.as_bytes()),
        ("CONDUCTOR_CTX_TOKEN", token.as_bytes()),
        ("CONDUCTOR_WORK_DIR", dir.as_bytes()),
        ("TMPDIR", dir.as_bytes()),
        ("CONDUCTOR_PLUGIN_DIR", plugin.dir.as_os_str().as_bytes()),
    ];
    let env = host.environment.with(&plugin.manifest.environment, &added);
    Ok(WorkerCommand { program, env, dir })
}
