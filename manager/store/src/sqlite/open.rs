//! Opening the database file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use thiserror::Error;

use super::flusher::Flush;
use super::migrate;
use super::search::{add_functions, watch};

/// How long a statement waits for another process that holds the database, such as a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Page cache of the writer in KiB: the inner nodes of all indices, and the pages of running workflows.
const WRITER_CACHE_KIB: i64 = 16 * 1024;
/// Page cache of a reader in KiB; the rest is the kernel's page cache.
const READER_CACHE_KIB: i64 = 2 * 1024;
/// Pages of WAL after which it is copied into the database. More means fewer writes of hot pages, a longer WAL to read
/// at the next start, and a longer pause of the writer at each copy.
const CHECKPOINT_PAGES: i64 = 12_000;
/// What is left of the WAL file after a copy, in bytes.
const WAL_BYTES_KEPT: i64 = 64 * 1024 * 1024;
/// Prepared statements kept per connection; there are fewer than this.
const STATEMENTS_KEPT: usize = 128;

/// Why a database could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The file cannot be opened or made.
    #[error("cannot open the database {}", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// The schema could not be brought up to date; it is as it was.
    #[error("cannot bring the database's schema up to date")]
    Migrate {
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// The file belongs to something else.
    #[error("the file is a database of another program; give the manager a file of its own")]
    Foreign,
    /// A newer program has written the database.
    #[error("the database has schema version {found}, this program knows versions up to {known}; run the newer program")]
    Newer {
        /// The database's version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The database was made by a program whose schema differs under the same number.
    #[error("step {number} of the database's schema is not the one that this program has; it was made by another build")]
    Changed {
        /// Which step.
        number: i64,
    },
    /// The log that commits go to cannot be opened.
    #[error("cannot open the database's log {}", path.display())]
    Log {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The writer's thread could not be started.
    #[error("cannot start the database's thread")]
    Thread {
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The one connection that writes, with the schema brought up to date, and what puts its commits on the disk.
pub(super) fn writer(path: &Path) -> Result<(Connection, Flush), OpenError> {
    let failed = |source| OpenError::Open { path: path.to_owned(), source };
    let mut connection = Connection::open(path).map_err(failed)?;
    let mode = configure(&connection, WRITER_CACHE_KIB).map_err(failed)?;
    migrate::migrate(&mut connection)?;
    if mode != "wal" {
        return Ok((connection, Box::new(|| Ok(()))));
    }
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let log = PathBuf::from(log);
    // The file stays the same as long as this connection is open.
    let file = File::open(&log).map_err(|source| OpenError::Log { path: log, source })?;
    Ok((connection, Box::new(move || file.sync_data())))
}

/// A connection that only reads.
pub(super) fn reader(path: &Path) -> Result<Connection, rusqlite::Error> {
    let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    add_functions(&connection)?;
    watch(&mut connection)?;
    Ok(connection)
}

/// Answers the journal's mode: `wal`, or on a file system that cannot do that another, slower one, which is as safe.
fn configure(connection: &Connection, cache_kib: i64) -> Result<String, rusqlite::Error> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let mode = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
    // An answered request survives the loss of power. In the mode `wal` SQLite flushes what checkpoints and a beginning log
    // need, and the flusher every commit before it is answered (https://www.sqlite.org/pragma.html#pragma_synchronous).
    connection.pragma_update(None, "synchronous", if mode == "wal" { "NORMAL" } else { "FULL" })?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT_PAGES, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", WAL_BYTES_KEPT, |_| Ok(()))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(mode)
}
