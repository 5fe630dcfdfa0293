//! Archives made by hand, most of them evil.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tar::{EntryType, Header};

use super::*;
use crate::{digest_of, pack_dir, unpack, unpack_verified};

const MANIFEST: &str = "name: tool\nversion: 1.0.0\nentrypoint: bin/tool\noperations: {go: {}}\n";

/// Writes entries exactly as it is told; the tar crate's own builder refuses most of what we need here.
#[derive(Default)]
struct Evil {
    tar: Vec<u8>,
}

impl Evil {
    fn raw(mut self, kind: EntryType, name: &[u8], link: &[u8], mode: u32, content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.tar.extend_from_slice(header.as_bytes());
        self.tar.extend_from_slice(content);
        self.tar.resize(self.tar.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &str, mode: u32, content: &[u8]) -> Self {
        self.raw(EntryType::Regular, name.as_bytes(), b"", mode, content)
    }

    fn link(self, name: &str, target: &str) -> Self {
        self.raw(EntryType::Symlink, name.as_bytes(), target.as_bytes(), 0o777, b"")
    }

    fn gzip(mut self) -> Vec<u8> {
        self.tar.extend_from_slice(&[0; 1024]);
        gzip(&self.tar)
    }
}

fn good() -> Evil {
    Evil::default().file("plugin.yaml", 0o644, MANIFEST.as_bytes()).file("bin/tool", 0o755, b"#!/bin/sh\n")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

/// Both readers agree on the archive; gives the code of their refusal, and nothing may be left on the disk.
fn refusal(archive: &[u8]) -> &'static str {
    let looked = inspect(archive, MediaType::Gzip).unwrap_err().code();
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let unpacked = unpack(archive, MediaType::Gzip, &inner.join("plugin")).unwrap_err().code();
    assert_eq!(looked, unpacked);
    assert_eq!(fs::read_dir(&inner).unwrap().count(), 0, "something was left behind");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "something was written outside");
    looked
}

#[test]
fn a_good_archive_is_looked_at_and_unpacked() {
    let archive = good().file("share/data", 0o600, b"12345").link("share/again", "data").gzip();
    let found = inspect(&archive[..], MediaType::Gzip).unwrap();
    assert_eq!(found.manifest.name.as_str(), "tool");
    assert_eq!(found.entries, 6);
    assert_eq!(found.unpacked_bytes, (MANIFEST.len() + 10 + 5) as u64);
    assert_eq!((found.digest.clone(), found.archive_bytes), digest_of(&archive[..]).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("plugin");
    unpack_verified(&archive[..], MediaType::Gzip, &dest, &found.digest).unwrap();
    assert_eq!(fs::read(dest.join("share/again")).unwrap(), b"12345");
    assert_eq!(fs::metadata(dest.join("bin/tool")).unwrap().permissions().mode() & 0o7777, 0o755);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_single_top_folder_is_taken_off() {
    let archive = Evil::default()
        .raw(EntryType::Directory, b"tool-1.0/", b"", 0o755, b"")
        .file("tool-1.0/plugin.yaml", 0o644, MANIFEST.as_bytes())
        .file("tool-1.0/bin/tool", 0o755, b"#!/bin/sh\n")
        .gzip();
    let dir = tempfile::tempdir().unwrap();
    unpack(&archive[..], MediaType::Gzip, &dir.path().join("p")).unwrap();
    assert!(dir.path().join("p/plugin.yaml").is_file());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn paths_that_escape_are_refused() {
    for name in ["../evil", "/tmp/evil", "a/../../evil", "bin/../../evil"] {
        assert_eq!(refusal(&good().file(name, 0o644, b"x").gzip()), "plugin-path-escapes", "{name}");
    }
}

#[test]
fn long_names_are_checked_like_short_ones() {
    let long = format!("{}/../../../../evil\0", "a/".repeat(60));
    let archive = good().raw(EntryType::GNULongName, b"././@LongLink", b"", 0, long.as_bytes()).file("x", 0o644, b"x");
    assert_eq!(refusal(&archive.gzip()), "plugin-path-escapes");
    let pax = b"19 path=/tmp/evil1\n";
    let archive = good().raw(EntryType::XHeader, b"pax", b"", 0, pax).file("x", 0o644, b"x");
    assert_eq!(refusal(&archive.gzip()), "plugin-path-escapes");
}

#[test]
fn links_out_of_the_plugin_are_refused() {
    for target in ["/etc/passwd", "../outside", "bin/../../outside"] {
        assert_eq!(refusal(&good().link("out", target).gzip()), "plugin-path-escapes", "{target}");
    }
    let beside = Evil::default()
        .file("top/plugin.yaml", 0o644, MANIFEST.as_bytes())
        .file("top/bin/tool", 0o755, b"")
        .link("top/out", "../outside");
    assert_eq!(refusal(&beside.gzip()), "plugin-path-escapes", "inside the archive, but outside of what is unpacked");
}

#[test]
fn nothing_is_written_through_a_link() {
    let archive = good().link("lib", "bin").file("lib/tool2", 0o755, b"x");
    assert_eq!(refusal(&archive.gzip()), "plugin-entry-duplicate");
    let archive = good().file("lib/x", 0o644, b"x").link("lib", "bin");
    assert_eq!(refusal(&archive.gzip()), "plugin-entry-duplicate");
}

#[test]
fn devices_pipes_and_hard_links_are_refused() {
    for kind in
        [EntryType::Char, EntryType::Block, EntryType::Fifo, EntryType::Link, EntryType::GNUSparse, EntryType::new(b'V')]
    {
        let archive = good().raw(kind, b"odd", b"bin/tool", 0o644, b"");
        assert_eq!(refusal(&archive.gzip()), "plugin-entry-refused", "{kind:?}");
    }
}

#[test]
fn one_path_cannot_be_taken_twice() {
    assert_eq!(refusal(&good().file("bin/tool", 0o755, b"other").gzip()), "plugin-entry-duplicate");
    assert_eq!(refusal(&good().file("./bin//tool", 0o755, b"other").gzip()), "plugin-entry-duplicate");
    assert_eq!(refusal(&good().file("bin", 0o644, b"x").gzip()), "plugin-entry-duplicate");
}

#[test]
fn set_id_bits_are_taken_off() {
    let archive = Evil::default().file("plugin.yaml", 0o4644, MANIFEST.as_bytes()).file("bin/tool", 0o6777, b"").gzip();
    let dir = tempfile::tempdir().unwrap();
    unpack(&archive[..], MediaType::Gzip, &dir.path().join("p")).unwrap();
    for (file, mode) in [("plugin.yaml", 0o644), ("bin/tool", 0o755)] {
        assert_eq!(fs::metadata(dir.path().join("p").join(file)).unwrap().permissions().mode() & 0o7777, mode, "{file}");
    }
}

/// Counts how far somebody read.
struct Counting<'a>(&'a mut u64);

impl Read for Counting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        *self.0 += buffer.len() as u64;
        buffer.fill(0);
        Ok(buffer.len())
    }
}

#[test]
fn a_bomb_is_refused_before_it_goes_off() {
    let small = Limits { unpacked_bytes: 100_000, entries: 10, ..Limits::default() };
    let archive = good().file("zeros", 0o644, &vec![0; 200_000]).gzip();
    let error = inspect_within(&archive[..], MediaType::Gzip, small).unwrap_err();
    assert_eq!(error.code(), "plugin-archive-too-large", "{error}");
    // A member that is no file costs as well, and so does what lies behind the end mark.
    for bomb in [good().raw(EntryType::new(b'V'), b"v", b"", 0, &vec![0; 300_000]).gzip(), {
        let mut tar = good().tar;
        tar.resize(tar.len() + 500_000, 0);
        gzip(&tar)
    }] {
        let error = inspect_within(&bomb[..], MediaType::Gzip, small).unwrap_err();
        assert!(matches!(error.code(), "plugin-archive-too-large" | "plugin-entry-refused"), "{error}");
    }
    let many = (0..20).fold(good(), |archive, at| archive.file(&format!("f{at}"), 0o644, b""));
    assert_eq!(inspect_within(&many.gzip()[..], MediaType::Gzip, small).unwrap_err().code(), "plugin-archive-too-large");
}

#[test]
fn an_endless_upload_is_cut_off() {
    let mut read = 0;
    let small = Limits { archive_bytes: 1_000_000, ..Limits::default() };
    let start = good().gzip();
    let error = inspect_within(start.chain(Counting(&mut read)), MediaType::Gzip, small).unwrap_err();
    assert!(matches!(error.code(), "plugin-archive-too-large" | "plugin-archive-unreadable"), "{error}");
    assert!(read < 2_000_000, "read {read} bytes");
}

#[test]
fn a_long_extension_is_not_taken_into_memory() {
    let long = vec![b'a'; 1_000_000];
    let archive = good().raw(EntryType::GNULongName, b"././@LongLink", b"", 0, &long).file("x", 0o644, b"x");
    assert_eq!(refusal(&archive.gzip()), "plugin-archive-unreadable");
}

#[test]
fn damage_is_found_wherever_it_is() {
    let archive = good().file("share/data", 0o644, &[7; 5000]).gzip();
    for cut in [0, 5, archive.len() / 2, archive.len() - 4] {
        assert_eq!(refusal(&archive[..cut]), "plugin-archive-unreadable", "cut at {cut} of {}", archive.len());
    }
    assert_eq!(refusal(b"PK\x03\x04 this is a zip"), "plugin-archive-unreadable");
}

#[test]
fn the_manifest_must_be_there_and_right() {
    assert_eq!(refusal(&Evil::default().file("bin/tool", 0o755, b"").gzip()), "plugin-manifest-missing");
    assert_eq!(refusal(&Evil::default().gzip()), "plugin-manifest-missing");
    assert_eq!(
        refusal(&Evil::default().file("a/plugin.yaml", 0o644, MANIFEST.as_bytes()).file("b", 0o644, b"").gzip()),
        "plugin-manifest-missing"
    );
    assert_eq!(refusal(&Evil::default().file("plugin.yaml", 0o644, b"name: [").gzip()), "plugin-manifest-invalid");
    let long = vec![b'#'; 300 * 1024];
    assert_eq!(refusal(&Evil::default().file("plugin.yaml", 0o644, &long).gzip()), "plugin-archive-too-large");
}

#[test]
fn the_entry_point_must_be_there_and_executable() {
    let manifest = || Evil::default().file("plugin.yaml", 0o644, MANIFEST.as_bytes());
    assert_eq!(refusal(&manifest().gzip()), "plugin-entrypoint-missing");
    assert_eq!(refusal(&manifest().file("bin/tool", 0o644, b"").gzip()), "plugin-entrypoint-missing");
    assert_eq!(refusal(&manifest().file("bin/real", 0o755, b"").link("bin/tool", "real").gzip()), "plugin-entrypoint-missing");
}

#[test]
fn the_wrong_archive_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let other = digest_of(&b"other"[..]).unwrap().0;
    let error = unpack_verified(&good().gzip()[..], MediaType::Gzip, &dir.path().join("p"), &other).unwrap_err();
    assert_eq!(error.code(), "plugin-digest-mismatch");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

fn write_plugin(dir: &Path) {
    fs::create_dir_all(dir.join("bin")).unwrap();
    fs::write(dir.join("plugin.yaml"), MANIFEST).unwrap();
    fs::write(dir.join("bin/tool"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(dir.join("bin/tool"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_directory_is_packed_to_the_same_bytes_each_time() {
    let dir = tempfile::tempdir().unwrap();
    write_plugin(dir.path());
    fs::create_dir(dir.path().join("bin/__pycache__")).unwrap();
    fs::write(dir.path().join("bin/__pycache__/x.pyc"), "x").unwrap();
    let (mut first, mut second) = (Vec::new(), Vec::new());
    pack_dir(dir.path(), &mut first).unwrap();
    pack_dir(dir.path(), &mut second).unwrap();
    assert_eq!(first, second);
    let found = inspect(&first[..], MediaType::detect(&first).unwrap()).unwrap();
    assert_eq!(found.entries, 3, "plugin.yaml, bin, bin/tool");
}

#[test]
fn zstd_archives_are_read_too() {
    let tar = good().tar;
    let archive = zstd::encode_all(&tar[..], 3).unwrap();
    assert_eq!(MediaType::detect(&archive), Some(MediaType::Zstd));
    assert_eq!(inspect(&archive[..], MediaType::Zstd).unwrap().manifest.name.as_str(), "tool");
    assert_eq!(inspect(&archive[..archive.len() - 5], MediaType::Zstd).unwrap_err().code(), "plugin-archive-unreadable");
}

#[test]
fn a_broken_plugin_is_not_packed() {
    let dir = tempfile::tempdir().unwrap();
    write_plugin(dir.path());
    fs::remove_file(dir.path().join("bin/tool")).unwrap();
    let error = pack_dir(dir.path(), Vec::new()).unwrap_err().to_string();
    assert!(error.contains("entrypoint bin/tool is not in the plugin"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever names and targets an archive has: an unpacked plugin has nothing that leads out of its folder.
    #[test]
    fn nothing_ever_leads_out(entries in proptest::collection::vec(
        (proptest::bool::ANY, "(\\.\\./|\\./|/|[ab]/){0,3}[abc]", "(\\.\\./|\\./|/|[ab]/){0,3}[abc]"), 0..6,
    )) {
        let archive = entries.iter().fold(good(), |archive, (link, name, target)| {
            if *link { archive.link(name, target) } else { archive.file(name, 0o644, b"x") }
        }).gzip();
        let dir = tempfile::tempdir().unwrap();
        let dest = dir.path().join("deep/plugin");
        fs::create_dir(dir.path().join("deep")).unwrap();
        let looked = inspect(&archive[..], MediaType::Gzip).map(|found| found.manifest);
        let unpacked = unpack(&archive[..], MediaType::Gzip, &dest);
        prop_assert_eq!(looked.is_ok(), unpacked.is_ok());
        prop_assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let mut open = if unpacked.is_ok() { vec![dest.clone()] } else { Vec::new() };
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_symlink() {
                    if let Ok(real) = path.canonicalize() {
                        prop_assert!(real.starts_with(dest.canonicalize().unwrap()), "{:?} leads to {:?}", path, real);
                    }
                } else if path.is_dir() {
                    open.push(path);
                }
            }
        }
    }

    /// Bytes that are no archive give an error and no panic.
    #[test]
    fn rubbish_is_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..2000)) {
        prop_assert!(inspect(&gzip(&bytes)[..], MediaType::Gzip).is_err());
        prop_assert!(inspect(&bytes[..], MediaType::Zstd).is_err());
    }
}
