use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// A server that answers as Loki's API is described, with these streams. What it was asked for and as whom it tells.
pub(in crate::logs) async fn loki(
    status: &'static str,
    answer: String,
) -> (LokiUrl, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://skep:canary@{}/under", listener.local_addr().unwrap()).parse().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut part = [0; 4096];
                let read = stream.read(&mut part).await.unwrap();
                assert!(read > 0, "it hung up");
                head.extend_from_slice(&part[..read]);
            }
            heard.lock().unwrap().push(String::from_utf8(head).unwrap());
            let length = answer.len();
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
            );
            stream.write_all(format!("{head}{answer}").as_bytes()).await.unwrap();
        }
    });
    (url, asked)
}

pub(in crate::logs) fn streams(streams: &serde_json::Value) -> String {
    serde_json::json!({
        "status": "success",
        "data": {"resultType": "streams", "result": streams, "stats": {"summary": {}}},
    })
    .to_string()
}

struct Names {
    org: OrgName,
    environment: ResourceName,
    process: ProcessName,
}

fn names() -> Names {
    let parsed = |text: &str| text.parse().unwrap();
    Names { org: "acme".parse().unwrap(), environment: parsed("production"), process: "web".parse().unwrap() }
}

fn printed(names: &Names, made: Timestamp) -> Printed<'_> {
    Printed { org: &names.org, environment: &names.environment, process: &names.process, made }
}

fn parameters(request: &str) -> BTreeMap<String, String> {
    let path = request.split(' ').nth(1).unwrap();
    let (path, query) = path.split_once('?').unwrap();
    assert_eq!(path, "/under/loki/api/v1/query_range");
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

#[tokio::test]
async fn the_newest_lines_are_asked_for_as_the_organisation_and_never_from_before_the_environment() {
    let answer = streams(&serde_json::json!([
        {"stream": {"swarm_service": "acme_production_web", "container_name": "acme_production_web.2.abcdefghijklmnop",
                    "source": "stderr"},
         "values": [["1767323045000000006", "second\r"], ["1767323045000000005", "first"]]},
        {"stream": {"container_name": "acme_production_web.node1.qrstuvwxyz123456"},
         "values": [["1767323045000000007", "third", {"structured": "metadata"}]]},
    ]));
    let (url, asked) = loki("200 OK", answer).await;
    let names = names();
    let made = Timestamp::now().checked_sub(SignedDuration::from_hours(1)).unwrap();
    let found = Loki::new(url).unwrap().newest(&printed(&names, made), None, 9_999).await;
    let (lines, more) = found.unwrap();
    let told: Vec<_> = lines
        .iter()
        .map(|line| (line.text.as_str(), line.slot, line.instance.as_str(), line.stream == LogStream::Stderr))
        .collect();
    assert_eq!(
        told,
        [
            ("first", Some(2), "abcdefghijkl", true),
            ("second", Some(2), "abcdefghijkl", true),
            ("third", None, "qrstuvwxyz12", false)
        ]
    );
    assert!(!more && lines[0].at.subsec_nanosecond() == 5);
    let request = asked.lock().unwrap()[0].clone();
    let parameters = parameters(&request);
    assert_eq!(parameters["query"], r#"{swarm_service="acme_production_web"}"#);
    assert_eq!((parameters["limit"].as_str(), parameters["direction"].as_str()), ("5000", "backward"));
    assert_eq!(parameters["start"], made.as_nanosecond().to_string(), "a week ago there was another one");
    assert!(parameters["end"].parse::<i128>().unwrap() > made.as_nanosecond());
    let header = |name: &str| request.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    assert_eq!(header("x-scope-orgid"), Some("acme"));
    assert_eq!(header("authorization"), Some("Basic c2tlcDpjYW5hcnk="));
}

#[tokio::test]
async fn a_loki_that_refuses_or_answers_something_else_is_an_error_and_never_no_lines() {
    let names = names();
    let matrix = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
    for (status, answer) in [
        ("401 Unauthorized", "no org id".to_owned()),
        ("200 OK", "<html>".to_owned()),
        ("200 OK", matrix.to_owned()),
        ("200 OK", streams(&serde_json::json!([{"stream": {}, "values": [["soon", "x"]]}]))),
        ("302 Found", String::new()),
    ] {
        let (url, _) = loki(status, answer.clone()).await;
        let told = Loki::new(url).unwrap().newest(&printed(&names, Timestamp::MIN), None, 10).await;
        assert!(told.is_err(), "{status} {answer}");
    }
}

#[test]
fn no_value_ends_the_string_it_stands_in() {
    for hostile in [
        r#"x"} or {job=~".+"#,
        r#"x\"} | line_format "{{.}}"#,
        "x\n} {",
        "x`}",
        "\u{0}\u{202e}é\u{1f980}",
        r"\",
        "",
    ] {
        let written = selector(&[("swarm_service", hostile)]);
        let inside = written.strip_prefix(r#"{swarm_service=""#).unwrap().strip_suffix(r#""}"#).unwrap();
        assert!(inside.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '), "{inside}");
        // Read back as Go reads it, it is what it was, and no quote in it stands without a backslash of its own.
        let mut read = String::new();
        let mut rest = inside.chars();
        while let Some(c) = rest.next() {
            assert_ne!(c, '"', "{inside}");
            if c != '\\' {
                read.push(c);
                continue;
            }
            match rest.next() {
                Some('U') => {
                    let digits: String = rest.by_ref().take(8).collect();
                    read.push(char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap());
                }
                Some(escaped @ ('"' | '\\')) => read.push(escaped),
                other => panic!("{other:?} in {inside}"),
            }
        }
        assert_eq!(read, hostile);
    }
}

#[test]
fn an_address_is_read_strictly_and_its_password_is_not_shown() {
    let url: LokiUrl = "https://skep:canary@loki.example.com/loki-tenants/".parse().unwrap();
    assert_eq!(format!("{url:?}"), r#"LokiUrl("https://loki.example.com/loki-tenants")"#);
    assert!("http://loki:3100".parse::<LokiUrl>().is_ok());
    for wrong in ["loki:3100", "ftp://loki", "http://", "http://a b", "http://loki?x=1", "https://u@"] {
        assert!(wrong.parse::<LokiUrl>().is_err(), "{wrong}");
    }
}
