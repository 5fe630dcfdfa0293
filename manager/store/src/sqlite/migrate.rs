//! The schema's versions. Forward only: a step that has been applied anywhere is never changed.

use rusqlite::{Connection, TransactionBehavior};

use super::OpenError;

/// Marks the file as one of ours ("Cond"), so that no other program's database is written to by mistake.
const APPLICATION_ID: i32 = 0x436f_6e64;

/// One step from a version of the schema to the next.
struct Migration {
    number: i64,
    sql: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, sql: include_str!("../../migrations/0001_start.sql") },
    Migration { number: 2, sql: include_str!("../../migrations/0002_limited_starts.sql") },
    Migration { number: 3, sql: include_str!("../../migrations/0003_feed_in_groups.sql") },
    Migration { number: 4, sql: include_str!("../../migrations/0004_documents.sql") },
    Migration { number: 5, sql: include_str!("../../migrations/0005_search.sql") },
    Migration { number: 6, sql: include_str!("../../migrations/0006_schedules.sql") },
    Migration { number: 7, sql: include_str!("../../migrations/0007_failed_tasks.sql") },
    Migration { number: 8, sql: include_str!("../../migrations/0008_open_tasks.sql") },
    Migration { number: 9, sql: include_str!("../../migrations/0009_revisions.sql") },
];

/// Brings the database up to this program's version, all steps or none.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    let failed = |source| OpenError::Migrate { source };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    let owner: i32 = transaction.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(failed)?;
    if tables > 0 && owner != APPLICATION_ID {
        return Err(OpenError::Foreign);
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
    transaction
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS migration (number INTEGER PRIMARY KEY NOT NULL, checksum TEXT NOT NULL) STRICT",
        )
        .map_err(failed)?;
    let applied = applied(&transaction).map_err(failed)?;
    let known = MIGRATIONS.last().map_or(0, |migration| migration.number);
    if let Some((found, _)) = applied.iter().find(|(number, _)| *number > known) {
        return Err(OpenError::Newer { found: *found, known });
    }
    for migration in MIGRATIONS {
        let checksum = checksum(migration.sql);
        match applied.iter().find(|(number, _)| *number == migration.number) {
            Some((_, stored)) if *stored == checksum => {}
            Some(_) => return Err(OpenError::Changed { number: migration.number }),
            None => {
                transaction.execute_batch(migration.sql).map_err(failed)?;
                transaction
                    .execute("INSERT INTO migration (number, checksum) VALUES (?1, ?2)", (migration.number, checksum))
                    .map_err(failed)?;
            }
        }
    }
    transaction.commit().map_err(failed)
}

fn applied(connection: &Connection) -> Result<Vec<(i64, String)>, rusqlite::Error> {
    let mut statement = connection.prepare("SELECT number, checksum FROM migration ORDER BY number")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// FNV-1a over the text: it guards against accidents, not against anybody.
fn checksum(sql: &str) -> String {
    let hash =
        sql.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}
