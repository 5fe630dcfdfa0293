//! From a description to a .deb, an .rpm and a .tar.gz. The first two are written by programs that read a Cargo.toml, so
//! one is made for each package, of a crate that holds nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::UNIX_EPOCH;

use serde_json::{Value, json};

use super::description::{Description, File};
use super::programs::Effort;
use super::tools::Tools;
use crate::cargo::root;

const MAINTAINER: &str = "The Conductor authors <conductor@packages.invalid>";
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Stands for the libraries that a program needs, found out while packing.
const LIBRARIES: &str = "$auto";

/// Makes the three packages in `dist`.
pub fn pack(
    description: &Description,
    revision: u32,
    effort: Effort,
    stage: &Path,
    dist: &Path,
    tools: &Tools,
) -> Result<Vec<PathBuf>, String> {
    let name = &description.name;
    let time = commit_time();
    let folder = stage.join("crates").join(name);
    write(&folder.join("src/lib.rs"), "")?;
    write(&folder.join("changelog"), &changelog(name, revision, time)?)?;
    let manifest = manifest(description, revision, stage, &folder);
    let text = toml::to_string(&manifest).map_err(|error| format!("{name}: the manifest cannot be written: {error}"))?;
    write(&folder.join("Cargo.toml"), &text)?;

    let deb = dist.join(format!("{name}_{VERSION}-{revision}_amd64.deb"));
    let rpm = dist.join(format!("{name}-{VERSION}-{revision}.x86_64.rpm"));
    let tar = dist.join(format!("{name}-{VERSION}-{revision}.x86_64.tar.gz"));
    let mut command = Command::new(&tools.deb);
    command.args(["deb", "--quiet", "--no-build", "--no-strip", "--deb-version", &format!("{VERSION}-{revision}")]);
    if effort == Effort::Quick {
        command.arg("--fast");
    }
    command.arg("--manifest-path").arg(folder.join("Cargo.toml")).arg("--output").arg(&deb);
    finish(&mut command, &deb, &folder, time)?;
    let mut command = Command::new(&tools.rpm);
    command.args(["generate-rpm", "--auto-req", "builtin", "--source-date", &time.to_string()]).arg("--output").arg(&rpm);
    command.args(["--payload-compress", if effort == Effort::Quick { "gzip" } else { "zstd" }]);
    finish(&mut command, &rpm, &folder, time)?;
    write_tar(description, revision, effort, stage, &tar, time)?;
    Ok(vec![deb, rpm, tar])
}

fn finish(command: &mut Command, package: &Path, folder: &Path, time: u64) -> Result<(), String> {
    // A package that was there before must not be taken for the new one.
    let _ = fs::remove_file(package);
    let command = command.current_dir(folder).env("SOURCE_DATE_EPOCH", time.to_string()).env_remove("CARGO_TARGET_DIR");
    let done = command.output().map_err(|error| format!("{} cannot be packed: {error}", package.display()))?;
    if done.status.success() && package.exists() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(format!("{} cannot be packed:\n{said}", package.display()))
}

fn manifest(description: &Description, revision: u32, stage: &Path, folder: &Path) -> Value {
    let scripts = |format: &str| root().join("packaging").join(format).join(&description.name);
    let deb_scripts = scripts("deb");
    let conffiles: Vec<String> =
        description.files.iter().filter(|file| file.conffile).map(|file| format!("/{}", file.to)).collect();
    let overrides = root().join("packaging/lintian").join(&description.name);
    let mut deb_assets: Vec<Value> =
        description.files.iter().map(|file| json!([source(file, stage), file.to, format!("{:o}", file.mode)])).collect();
    if overrides.exists() {
        deb_assets.push(json!([overrides, format!("usr/share/lintian/overrides/{}", description.name), "644"]));
    }
    let mut deb = json!({
        "maintainer": MAINTAINER,
        "copyright": "2026, The Conductor authors",
        "license-file": [root().join("packaging/copyright"), "0"],
        "changelog": folder.join("changelog"),
        "extended-description": description.description.trim(),
        "section": "admin",
        "priority": "optional",
        "depends": description.depends.join(", "),
        "recommends": description.recommends.join(", "),
        "conf-files": conffiles,
        "assets": deb_assets,
    });
    if deb_scripts.is_dir() {
        deb["maintainer-scripts"] = json!(deb_scripts);
    }

    let mut rpm_assets: Vec<Value> = description.files.iter().map(|file| rpm_asset(file, stage)).collect();
    rpm_assets.push(json!({
        "source": root().join("LICENSE"), "dest": format!("/usr/share/licenses/{}/LICENSE", description.name), "mode": "644",
    }));
    let mut rpm = json!({
        "name": description.name,
        "version": VERSION,
        "release": revision.to_string(),
        "summary": description.summary,
        "license": "Apache-2.0",
        "assets": rpm_assets,
        "requires": rpm_relations(&description.depends),
        "recommends": rpm_relations(&description.recommends),
    });
    for (key, file) in [("post_install_script", "post"), ("pre_uninstall_script", "preun"), ("post_uninstall_script", "postun")]
    {
        let path = scripts("rpm").join(file);
        if path.exists() {
            rpm[key] = json!(path);
        }
    }
    json!({
        "package": {
            "name": description.name, "version": VERSION, "edition": "2024", "license": "Apache-2.0",
            "description": description.summary, "authors": [MAINTAINER], "homepage": "https://conductor.invalid",
            "metadata": {"deb": deb, "generate-rpm": rpm},
        },
        "workspace": {},
    })
}

fn rpm_asset(file: &File, stage: &Path) -> Value {
    let mut asset = json!({"source": source(file, stage), "dest": format!("/{}", file.to), "mode": format!("{:o}", file.mode)});
    if file.conffile {
        asset["config"] = json!("noreplace");
    }
    if file.to.starts_with("usr/share/doc/") || file.to.starts_with("usr/share/man/") {
        asset["doc"] = json!(true);
    }
    asset
}

/// `name (>= 1)` as RPM's tools want it: a key and what version.
fn rpm_relations(relations: &[String]) -> Value {
    let relations = relations.iter().filter(|relation| *relation != LIBRARIES);
    let relations = relations.map(|relation| match relation.split_once(" (") {
        Some((name, version)) => (name.to_owned(), json!(version.trim_end_matches(')'))),
        None => (relation.clone(), json!("*")),
    });
    Value::Object(relations.collect())
}

fn source(file: &File, stage: &Path) -> PathBuf {
    match file.from.strip_prefix("stage/") {
        Some(built) => stage.join(built),
        None => root().join(&file.from),
    }
}

fn changelog(name: &str, revision: u32, time: u64) -> Result<String, String> {
    let date = Command::new("date").args(["--utc", "--rfc-email", "--date"]).arg(format!("@{time}")).output();
    let date = date.map_err(|error| format!("date cannot be run: {error}"))?;
    let date = String::from_utf8_lossy(&date.stdout);
    let entry = "  * See the history of the repository.";
    Ok(format!("{name} ({VERSION}-{revision}) stable; urgency=medium\n\n{entry}\n\n -- {MAINTAINER}  {}\n", date.trim()))
}

/// Everything in a folder of the package's name and version, as it lies on a host.
fn write_tar(
    description: &Description,
    revision: u32,
    effort: Effort,
    stage: &Path,
    path: &Path,
    time: u64,
) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{} cannot be packed: {error}", path.display());
    let top = format!("{}-{VERSION}-{revision}", description.name);
    // gzip's own program: this one is built without optimisation, and would take minutes.
    let level = if effort == Effort::Quick { "-1" } else { "-9" };
    let mut gzip = Command::new("gzip");
    gzip.args(["--no-name", level]).stdin(Stdio::piped()).stdout(fs::File::create(path).map_err(failed)?);
    let mut gzip = gzip.spawn().map_err(failed)?;
    let input = gzip.stdin.take().ok_or_else(|| failed(std::io::Error::other("gzip takes no input")))?;
    let mut archive = tar::Builder::new(input);
    let licence = File { from: "LICENSE".to_owned(), to: "LICENSE".to_owned(), mode: 0o644, conffile: false };
    for file in description.files.iter().chain([&licence]) {
        let from = source(file, stage);
        let bytes = fs::read(&from).map_err(|error| format!("{} cannot be read: {error}", from.display()))?;
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(file.mode);
        header.set_mtime(time);
        archive.append_data(&mut header, format!("{top}/{}", file.to), bytes.as_slice()).map_err(failed)?;
    }
    drop(archive.into_inner().map_err(failed)?);
    let status = gzip.wait().map_err(failed)?;
    if status.success() { Ok(()) } else { Err(format!("{} cannot be compressed", path.display())) }
}

/// When the commit was made that is packed, so that the same commit gives the same packages. Outside of a repository, when the
/// sources were last written.
fn commit_time() -> u64 {
    let log = Command::new("git").args(["log", "-1", "--format=%ct"]).current_dir(root()).output();
    let time = log.ok().and_then(|output| String::from_utf8_lossy(&output.stdout).trim().parse().ok());
    time.unwrap_or_else(|| {
        let written = fs::metadata(root().join("Cargo.toml")).and_then(|metadata| metadata.modified()).ok();
        written.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |since| since.as_secs())
    })
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_are_written_for_rpm() {
        let relations = ["$auto", "systemd", "rabbitmq-server (>= 3.10)"].map(str::to_owned);
        assert_eq!(rpm_relations(&relations), json!({"systemd": "*", "rabbitmq-server": ">= 3.10"}));
    }

    #[test]
    fn every_description_can_be_read_and_names_files_that_are_there() {
        for name in ["conductor-agent", "conductor-manager", "conductor-cli"] {
            let description = Description::read(name).unwrap();
            assert_eq!(description.name, name);
            for file in description.files.iter().filter(|file| !file.from.starts_with("stage/")) {
                assert!(root().join(&file.from).exists(), "{name}: {} is not there", file.from);
            }
        }
    }
}
