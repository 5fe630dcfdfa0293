//! Requests for files.

use std::path::{Component, Path};

use conductor_manager::app::files::{ByteRange, FileKey};
use conductor_model::TenantName;

/// A path: what is taken leads below its tenant's folder alone.
pub fn file_key(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let (area, path) = text.split_once('\n').unwrap_or(("blobs", text));
    let Ok(key) = FileKey::parse(area, &TenantName::default_tenant(), path) else { return false };
    let shown = key.to_string();
    assert_eq!(shown, format!("/resources/{area}/default_tenant/{path}"));
    let below = Path::new(&shown).strip_prefix(format!("/resources/{area}/default_tenant")).expect("it lies there");
    assert!(below.components().count() > 0 && below.components().all(|part| matches!(part, Component::Normal(_))));
    true
}

/// A Range header over a file of up to 65,535 bytes: what is taken lies inside.
pub fn range(bytes: &[u8]) -> bool {
    let Some((size, text)) = bytes.split_first_chunk::<2>() else { return false };
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let size = u64::from(u16::from_le_bytes(*size));
    let Ok(Some(range)) = ByteRange::parse(text, size) else { return false };
    assert!(range.first <= range.last && range.last < size, "{range:?} of {size}");
    true
}
