//! Plugins as they are uploaded.

use std::io::Write;
use std::path::Path;

use conductor_plugin::{Manifest, MediaType, inspect, unpack};
use flate2::Compression;
use flate2::write::GzEncoder;

/// `plugin.yaml`: what is taken has nothing wrong with it, and names programs below its folder alone.
pub fn manifest(bytes: &[u8]) -> bool {
    let Ok(manifest) = Manifest::parse(bytes) else { return false };
    assert!(manifest.validate().is_empty());
    for (_, program) in manifest.programs() {
        assert!(stays_below(Path::new(program)), "{program:?}");
    }
    true
}

/// An archive as it is sent, of either kind.
pub fn archive(bytes: &[u8]) -> bool {
    let taken = [MediaType::Gzip, MediaType::Zstd].map(|kind| inspect(bytes, kind).is_ok());
    assert!(taken != [true, true], "an archive is of one kind");
    taken.contains(&true)
}

/// What is in an archive: looked at and unpacked with one outcome, all or nothing, and nothing beside the place it was given.
pub fn tar(bytes: &[u8]) -> bool {
    let mut packed = GzEncoder::new(Vec::new(), Compression::none());
    let packed = packed.write_all(bytes).and_then(|()| packed.finish()).expect("bytes can be packed");
    let inspected = inspect(&*packed, MediaType::Gzip);
    let folder = tempfile::tempdir().expect("a folder can be made");
    let place = folder.path().join("plugin");
    let unpacked = unpack(&*packed, MediaType::Gzip, &place);
    assert_eq!(inspected.is_ok(), unpacked.is_ok(), "{inspected:?} {unpacked:?}");
    let left: Vec<_> = folder.path().read_dir().expect("the folder is there").flatten().map(|entry| entry.path()).collect();
    let expected: &[_] = if unpacked.is_ok() { std::slice::from_ref(&place) } else { &[] };
    assert_eq!(left, expected);
    unpacked.is_ok()
}

fn stays_below(path: &Path) -> bool {
    path.components().all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir))
}
