//! Plugins: their manifest (`plugin.yaml`) and the safe reading of their archives.
//!
//! A plugin is a directory with a [`Manifest`]. It travels as one archive, `.tar.gz` or `.tar.zst`, and is known by the
//! SHA-256 of that archive. Archives come from outside: nothing here trusts a path, a size, a link or a mode in them.
//!
//! - [`check_dir`] says everything that is wrong with a plugin's directory.
//! - [`inspect`] reads a whole archive and writes nothing.
//! - [`unpack`] makes a directory of it, or leaves nothing behind.
//! - [`pack_dir`] makes the archive of a directory.
//!
//! **Invariant:** no file is written outside the destination, whatever the archive says.

mod archive;
mod check;
mod digest;
mod manifest;
mod media;
mod pack;
mod path;
mod unpack;

pub use archive::{ArchiveError, Inspected, inspect};
pub use check::check_dir;
pub use digest::digest_of;
pub use manifest::{MANIFEST_FILE, Manifest, ManifestError, Mode, Operation};
pub use media::{MediaType, UnknownMediaType};
pub use pack::{PackError, pack_dir};
pub use path::{PATH_BYTES_MAX, PATH_DEPTH_MAX};
pub use unpack::{unpack, unpack_verified};
