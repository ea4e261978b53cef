//! The private server against the installed Postgres, crashes included. These start real servers in temporary directories.

use super::*;

/// Runs SQL as the server's owner and returns the answer.
fn psql(server: &PrivatePostgres, sql: &str) -> String {
    let mut psql = Command::new("psql");
    psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "--quiet", "--set", "ON_ERROR_STOP=1"]);
    let output = psql.arg("--dbname").arg(server.url()).arg("--command").arg(sql).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn kill(pid: u32) {
    rustix::process::kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
}

/// A short path: the socket's has to fit into 108 bytes.
fn data_dir() -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix("skd").tempdir_in("/tmp").unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

#[test]
fn a_server_starts_on_a_private_socket_keeps_its_data_and_stops() {
    let dir = data_dir();
    let server = PrivatePostgres::start(dir.path()).unwrap();
    assert_eq!(psql(&server, "SHOW listen_addresses"), "");
    assert_eq!(psql(&server, "CREATE TABLE kept AS SELECT 42 AS n; SELECT n FROM kept"), "42");
    let run = fs::metadata(dir.path().join("postgres/run")).unwrap();
    assert_eq!(run.permissions().mode() & 0o777, 0o700);
    let pid = server.child.id();
    server.stop().unwrap();
    assert!(!Path::new(&format!("/proc/{pid}")).exists());

    let again = PrivatePostgres::start(dir.path()).unwrap();
    assert_eq!(psql(&again, "SELECT n FROM kept"), "42");
    again.stop().unwrap();
}

#[test]
fn a_server_that_a_killed_run_left_is_replaced_and_one_that_was_killed_recovers() {
    let dir = data_dir();
    let mut first = PrivatePostgres::start(dir.path()).unwrap();
    psql(&first, "CREATE TABLE kept AS SELECT 42 AS n");
    let left_over = first.child.id();
    assert!(serves(left_over, &dir.path().join("postgres/data")));

    // The first is still running, as after kill -9 of the process that started it.
    let second = PrivatePostgres::start(dir.path()).unwrap();
    assert!(first.ended_within(STOP).unwrap(), "the server that was left over was stopped");
    assert_ne!(second.child.id(), left_over);
    kill(second.child.id());
    drop(second);

    let third = PrivatePostgres::start(dir.path()).unwrap();
    assert_eq!(psql(&third, "SELECT n FROM kept"), "42");
    third.stop().unwrap();
}

#[test]
fn another_process_whose_id_is_in_an_old_file_is_left_alone() {
    let dir = data_dir();
    PrivatePostgres::start(dir.path()).unwrap().stop().unwrap();
    let data = dir.path().join("postgres/data");
    let mut other = Command::new("sleep").arg("300").current_dir(&data).spawn().unwrap();
    fs::write(data.join("postmaster.pid"), format!("{}\n{}\n", other.id(), data.display())).unwrap();
    let server = PrivatePostgres::start(dir.path()).unwrap();
    assert!(other.try_wait().unwrap().is_none(), "the other process lives");
    server.stop().unwrap();
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn an_initialisation_that_was_cut_short_starts_anew() {
    let dir = data_dir();
    fs::create_dir_all(dir.path().join("postgres/data.part/base")).unwrap();
    PrivatePostgres::start(dir.path()).unwrap().stop().unwrap();
    assert!(!dir.path().join("postgres/data.part").exists());
}

#[test]
fn a_path_that_no_socket_can_have_is_refused_before_anything_is_made() {
    let dir = data_dir();
    let deep = dir.path().join("x".repeat(100));
    let error = PrivatePostgres::start(&deep).unwrap_err().to_string();
    assert!(error.contains("too long for a socket"), "{error}");
    assert!(!deep.exists());
}

#[test]
fn a_server_is_ready_only_when_its_file_says_so() {
    let file = |state: &str| format!("17\n/data\n1700000000\n5432\n/run\n\n  5432001 98304\n{state}\n");
    assert_eq!(PidFile::parse(&file("ready   ")), Some(PidFile { pid: 17, ready: true }));
    assert_eq!(PidFile::parse(&file("starting")), Some(PidFile { pid: 17, ready: false }));
    assert_eq!(PidFile::parse("17\n/data\n"), Some(PidFile { pid: 17, ready: false }));
    assert_eq!(PidFile::parse(""), None);
}
