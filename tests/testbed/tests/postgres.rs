//! The private PostgreSQL server.

use std::path::Path;

use anyhow::Result;
use skep_testbed::Postgres;

#[test]
fn each_test_has_a_database_of_its_own() -> Result<()> {
    let server = Postgres::shared()?;
    let one = server.create_database("one")?;
    let two = server.create_database("one")?;
    server.psql(&one, "CREATE TABLE only_here (x int)")?;
    assert!(server.psql(&two, "SELECT * FROM only_here").is_err(), "databases are apart");
    assert!(server.dump(&one)?.contains("CREATE TABLE public.only_here"));
    Ok(())
}

#[test]
fn committed_rows_survive_a_crash_of_the_server_and_the_url_stays() -> Result<()> {
    let mut server = Postgres::start()?;
    let url = server.create_database("crash")?;
    server.psql(&url, "CREATE TABLE t AS SELECT 42 AS answer")?;
    server.stop_immediate()?;
    assert!(server.psql(&url, "SELECT 1").is_err(), "a stopped server does not answer");
    server.restart()?;
    assert_eq!(server.psql(&url, "SELECT answer FROM t")?, "42");
    server.restart()?;
    assert_eq!(server.psql(&url, "SELECT answer FROM t")?, "42");
    Ok(())
}

#[test]
fn a_dropped_server_is_gone() -> Result<()> {
    let server = Postgres::start()?;
    let url = server.url();
    assert_eq!(server.psql(&url, "SELECT 1")?, "1");
    drop(server);
    let other = Postgres::start()?;
    assert!(other.psql(&url, "SELECT 1").is_err() || url == other.url(), "nobody answers at {url}");
    Ok(())
}

#[test]
fn the_shared_memory_of_a_server_is_its_machines_and_goes_with_it() -> Result<()> {
    let server = Postgres::start()?;
    let files = server.psql(&server.url(), "SELECT pg_ls_dir('/dev/shm')")?;
    assert!(files.lines().count() > 0, "a server has shared memory");
    for file in files.lines() {
        assert!(!Path::new("/dev/shm").join(file).exists(), "{file} would outlive a server that is killed");
    }
    let segments = "SELECT count(*) FROM regexp_split_to_table(pg_read_file('/proc/sysvipc/shm'), '\n') line WHERE line <> ''";
    assert_eq!(server.psql(&server.url(), segments)?, "2", "a heading, and the server's own");
    Ok(())
}
