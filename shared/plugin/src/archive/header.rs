//! One entry's header, with the extensions before it read under limits.
//!
//! The tar reader would take a long-name extension of any length into memory; here it is read raw, so that we say how
//! long it may be.

use std::io::{self, Read};

use tar::{Entry, EntryType, Header, PaxExtensions};

/// Longest extension record in bytes: a path and a handful of attributes fit.
const EXTENSION_BYTES_MAX: u64 = 64 * 1024;

/// Names and sizes that extensions gave for the entry behind them.
#[derive(Debug, Default)]
pub(crate) struct Extensions {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

/// What to do with one raw entry.
pub(crate) enum Step {
    /// It was an extension of the next one.
    Extension,
    /// It is an entry of its own.
    Entry(Named),
}

/// An entry with its names.
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) link: Option<String>,
    pub(crate) kind: EntryType,
    pub(crate) executable: bool,
    pub(crate) size: u64,
    pub(crate) sparse: bool,
}

impl Extensions {
    /// Takes in an extension, or gives the entry that the extensions before it describe.
    pub(crate) fn step<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> io::Result<Step> {
        let kind = entry.header().entry_type();
        match kind {
            EntryType::GNULongName => self.name = Some(until_nul(read_extension(entry)?)),
            EntryType::GNULongLink => self.link = Some(until_nul(read_extension(entry)?)),
            EntryType::XHeader => self.read_pax(&read_extension(entry)?)?,
            EntryType::XGlobalHeader => drop(read_extension(entry)?),
            _ => return Ok(Step::Entry(std::mem::take(self).name(entry.header())?)),
        }
        Ok(Step::Extension)
    }

    fn read_pax(&mut self, record: &[u8]) -> io::Result<()> {
        for extension in PaxExtensions::new(record) {
            let extension = extension?;
            match extension.key_bytes() {
                b"path" => self.name = Some(extension.value_bytes().to_vec()),
                b"linkpath" => self.link = Some(extension.value_bytes().to_vec()),
                b"size" => self.size = extension.value().ok().and_then(|text| text.parse().ok()),
                key if key.starts_with(b"GNU.sparse.") => self.sparse = true,
                _ => {}
            }
        }
        Ok(())
    }

    fn name(self, header: &Header) -> io::Result<Named> {
        let size = header.entry_size()?;
        if self.size.is_some_and(|other| other != size) {
            return Err(damaged("an entry has two different sizes"));
        }
        let name = self.name.unwrap_or_else(|| header.path_bytes().into_owned());
        let link = self.link.or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
        let name = text(name)?;
        let kind = match header.entry_type() {
            // Archives older than ustar know folders by their name alone.
            EntryType::Regular if name.ends_with('/') => EntryType::Directory,
            other => other,
        };
        let executable = header.mode()? & 0o111 != 0;
        Ok(Named { name, link: link.map(text).transpose()?, kind, executable, size, sparse: self.sparse })
    }
}

fn read_extension<R: Read>(entry: &mut Entry<'_, R>) -> io::Result<Vec<u8>> {
    if entry.size() > EXTENSION_BYTES_MAX {
        return Err(damaged("an extension record is too long"));
    }
    let mut record = Vec::new();
    entry.take(EXTENSION_BYTES_MAX).read_to_end(&mut record)?;
    Ok(record)
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|&b| b == 0) {
        bytes.truncate(end);
    }
    bytes
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| damaged("a name is not UTF-8 text"))
}

pub(crate) fn damaged(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}
