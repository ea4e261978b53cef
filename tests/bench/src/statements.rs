//! Statements that a database server carried out, by `pg_stat_statements`.

use anyhow::{Context, Result};
use skep_testbed::Postgres;

/// What a server needs for it.
pub(crate) const SETTINGS: [&str; 4] = [
    "shared_preload_libraries=pg_stat_statements",
    "pg_stat_statements.track_utility=on",
    "pg_stat_statements.track_planning=on",
    "pg_stat_statements.max=5000",
];

/// Makes it count in a database.
pub(crate) fn install(postgres: &Postgres, database: &str) -> Result<()> {
    postgres.psql(database, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements").map(drop)
}

/// How many statements were carried out in a database so far, begins and commits included.
pub(crate) fn count(postgres: &Postgres, database: &str) -> Result<u64> {
    let sql = "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
               WHERE d.datname = current_database()";
    postgres.psql(database, sql)?.trim().parse().context("a sum is a number")
}

/// Starts counting anew.
pub(crate) fn reset(postgres: &Postgres, database: &str) -> Result<()> {
    postgres.psql(database, "SELECT pg_stat_statements_reset()").map(drop)
}

/// Tells people who ask for it which statements took the most time: calls, milliseconds for planning and for carrying out, text.
pub(crate) fn tell(postgres: &Postgres, database: &str) -> Result<()> {
    if std::env::var_os("SKEP_BENCH_STATEMENTS").is_none() {
        return Ok(());
    }
    let most = postgres.psql(
        database,
        "SELECT calls, round(total_plan_time::numeric, 1), round(total_exec_time::numeric, 1),
             left(regexp_replace(query, '\\s+', ' ', 'g'), 110)
         FROM pg_stat_statements ORDER BY total_plan_time + total_exec_time DESC LIMIT 40",
    )?;
    eprintln!("{most}");
    Ok(())
}
