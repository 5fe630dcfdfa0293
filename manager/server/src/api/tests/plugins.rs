//! Plugins through our own API.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::House;

/// The archive of a plugin with one operation, whose version and script can differ.
pub(super) fn archive(version: &str, script: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("plugin.yaml"),
        format!("name: greeter\nversion: {version}\nentrypoint: greet.sh\noperations:\n  greet: {{}}\n"),
    )
    .unwrap();
    let program = dir.path().join("greet.sh");
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    packed(dir.path())
}

fn packed(dir: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    conductor_plugin::pack_dir(dir, &mut bytes).unwrap();
    bytes
}

fn kept(house: &House) -> usize {
    let count = |path: &Path| std::fs::read_dir(path).map(|entries| entries.count()).unwrap_or(0);
    let shelf = house.dir.path().join("files/plugins");
    count(&shelf.join("default_tenant")) + count(&shelf.join(".incoming"))
}

#[tokio::test]
async fn a_plugin_is_uploaded_fetched_and_removed() {
    let house = House::new();
    let bytes = archive("1.0.0", "#!/bin/sh\n");
    let new = house.send("POST", "/api/v1/plugins", bytes.clone()).await.expect(201).json();
    assert_eq!((new["name"].as_str(), new["version"].as_str()), (Some("greeter"), Some("1.0.0")));
    let again = house.send("POST", "/api/v1/plugins", bytes.clone()).await.expect(200).json();
    assert_eq!(again["digest"], new["digest"], "the same bytes again are no error");
    let digest = new["digest"].as_str().unwrap();
    let fetched = house.get(&format!("/api/v1/plugins/by-digest/{digest}/archive")).await.expect(200);
    assert_eq!((fetched.body.as_ref(), fetched.header("content-type")), (bytes.as_slice(), "application/gzip"));
    assert_eq!(house.get("/api/v1/plugins").await.json()["metadata"]["total"], 1);
    assert!(house.get("/api/v1/plugins/greeter").await.expect(200).json()["manifest"]["operations"]["greet"].is_object());
    house.send("DELETE", &format!("/api/v1/plugins/by-digest/{digest}"), "").await.expect(204);
    house.get(&format!("/api/v1/plugins/by-digest/{digest}/archive")).await.expect(404);
    house.get("/api/v1/plugins/greeter").await.expect(404);
    assert_eq!(kept(&house), 0);
}

#[tokio::test]
async fn a_version_that_is_taken_by_other_contents_is_a_conflict() {
    let house = House::new();
    house.send("POST", "/api/v1/plugins", archive("1.0.0", "#!/bin/sh\n")).await.expect(201);
    let taken = house.send("POST", "/api/v1/plugins", archive("1.0.0", "#!/bin/sh\nexit 1\n")).await.expect(409).json();
    assert_eq!(taken["code"], "plugin-version-exists");
    assert_eq!(kept(&house), 1, "nothing of the refused one is left");
    house.send("POST", "/api/v1/plugins", archive("1.1.0", "#!/bin/sh\nexit 1\n")).await.expect(201);
    assert_eq!(house.get("/api/v1/plugins/greeter").await.json()["version"], "1.1.0");
    assert_eq!(house.get("/api/v1/plugins/greeter?version=1.0.0").await.json()["version"], "1.0.0");
}

#[tokio::test]
async fn what_is_no_plugin_is_refused_with_a_code_and_leaves_nothing() {
    let house = House::with(|settings| settings.limits.plugin_archive_bytes = 20_000);
    let cut = archive("1.0.0", "#!/bin/sh\n")[..100].to_vec();
    for (what, bytes, status, code) in [
        ("no archive", b"hello".to_vec(), 400, "plugin-archive-unknown"),
        ("nothing", Vec::new(), 400, "plugin-archive-unknown"),
        ("cut short", cut, 400, "plugin-archive-unreadable"),
        ("no manifest", raw_tar(&[("readme", "x")]), 400, "plugin-manifest-missing"),
        ("a manifest with a wrong key", raw_tar(&[("plugin.yaml", "name: x\nverison: 1\n")]), 400, "plugin-manifest-invalid"),
        ("a path that escapes", raw_tar(&[("../../etc/cron.d/x", "x")]), 400, "plugin-path-escapes"),
        ("too large", vec![0; 20_001], 413, "too-large"),
    ] {
        let answer = house.send("POST", "/api/v1/plugins", bytes).await;
        assert_eq!((answer.status.as_u16(), answer.json()["code"].as_str()), (status, Some(code)), "{what}: {}", answer.text());
        assert!(!answer.json()["detail"].as_str().unwrap_or_default().is_empty(), "{what}");
        assert_eq!(kept(&house), 0, "{what}: nothing is left");
    }
    assert_eq!(house.get("/api/v1/plugins").await.json()["metadata"]["total"], 0);
}

#[tokio::test]
async fn a_bomb_is_refused_before_it_is_unpacked() {
    let house = House::new();
    let answer = house.send("POST", "/api/v1/plugins", bomb()).await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()["code"].as_str()),
        (400, Some("plugin-archive-too-large")),
        "{}",
        answer.text()
    );
    assert_eq!(kept(&house), 0);
}

/// A tar whose paths are written as they are given, gzipped without compression.
fn raw_tar(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (path, text) in entries {
        tar.extend(header(path, text.len() as u64));
        let mut block = text.as_bytes().to_vec();
        block.resize(text.len().div_ceil(512) * 512, 0);
        tar.extend(block);
    }
    tar.extend([0; 1024]);
    stored_gzip(&tar)
}

/// A ustar header of a plain file.
fn header(path: &str, size: u64) -> [u8; 512] {
    let mut block = [0_u8; 512];
    block[..path.len()].copy_from_slice(path.as_bytes());
    block[100..108].copy_from_slice(b"0000644\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[136..148].copy_from_slice(b"00000000000\0");
    block[156] = b'0';
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// Gzip with stored blocks: no compressor is needed to write it.
fn stored_gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let mut chunks = bytes.chunks(0xffff).peekable();
    while let Some(chunk) = chunks.next() {
        let length = u16::try_from(chunk.len()).unwrap();
        out.push(u8::from(chunks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(chunk);
    }
    out.extend(crc32(bytes).to_le_bytes());
    out.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

/// A plugin with one file that is announced, and comes, far above the limit on unpacked bytes.
fn bomb() -> Vec<u8> {
    let mut tar = header("plugin.yaml", 0).to_vec();
    tar.extend(header("zeroes", conductor_model::limits::PLUGIN_UNPACKED_BYTES_MAX + 512));
    // The header alone says what is coming: reading stops there.
    stored_gzip(&tar)
}
