//! What a binary says to `--version`.

use std::fmt;

/// Name, version and linkage of a binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildInfo {
    /// The binary's name.
    pub name: &'static str,
    /// Its version: the caller's `CARGO_PKG_VERSION`.
    pub version: &'static str,
}

impl BuildInfo {
    /// The C library it was built against.
    #[must_use]
    pub const fn libc() -> &'static str {
        if cfg!(target_env = "musl") {
            "musl"
        } else if cfg!(target_env = "gnu") {
            "glibc"
        } else {
            "unknown"
        }
    }

    /// Whether that library is inside the binary.
    #[must_use]
    pub const fn linkage() -> &'static str {
        if cfg!(target_feature = "crt-static") { "static" } else { "dynamic" }
    }
}

impl fmt::Display for BuildInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
        write!(f, "{} {}", self.name, self.version)?;
        // Set where packages are made.
        if let Some(revision) = option_env!("CONDUCTOR_REVISION") {
            write!(f, "-{revision}")?;
        }
        write!(f, " ({arch}-{os}, {} {})", Self::libc(), Self::linkage())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_version_and_libc_are_said() {
        let text = BuildInfo { name: "conductor-agent", version: "1.2.3" }.to_string();
        assert!(text.starts_with("conductor-agent 1.2.3 ("), "{text}");
        assert!(text.contains(BuildInfo::libc()), "{text}");
    }
}
