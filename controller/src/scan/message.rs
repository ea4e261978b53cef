//! What a scanner is sent, and what its answer means.

use serde::{Deserialize, Serialize};
use skep_outbound::Answer;
use skep_planner::policy::scan::{Scan, ScanVerdict, reason};
use skep_schemas::OrgName;

/// What a scanner is asked. Receivers leave out what they do not know, so fields may be added.
#[derive(Serialize)]
struct Request<'a> {
    /// The repository, in full.
    image: &'a str,
    digest: &'a str,
    /// The two together, as tools take them.
    reference: String,
    organization: &'a str,
}

/// What it says. Fields that are not known here are left out.
#[derive(Deserialize)]
struct Said {
    verdict: Word,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Pass,
    Fail,
    Pending,
}

/// The body of the request.
pub(super) fn body(org: &OrgName, scan: &Scan) -> Result<String, serde_json::Error> {
    let Scan { repository, digest, .. } = scan;
    let reference = format!("{repository}@{digest}");
    serde_json::to_string(&Request {
        image: repository,
        digest: digest.as_str(),
        reference,
        organization: org.as_str(),
    })
}

/// What the answer means; `Err` if it is no verdict.
pub(super) fn verdict(host: &str, answer: &Answer) -> Result<(ScanVerdict, Option<String>), String> {
    if !answer.status.is_success() {
        return Err(format!("the scanner at {host} answers with status {}", answer.status.as_u16()));
    }
    // Lists could be read as what they are not.
    let object = Some(&*answer.body).filter(|body| body.trim_ascii_start().starts_with(b"{"));
    // What it wrote in place of a verdict is not shown: it may be anything.
    let said: Option<Said> = object.and_then(|body| serde_json::from_slice(body).ok());
    let said = said.ok_or_else(|| {
        format!("the scanner at {host} answers with something else than {{\"verdict\": \"pass\", \"fail\" or \"pending\"}}")
    })?;
    let verdict = match said.verdict {
        Word::Pass => ScanVerdict::Pass,
        Word::Fail => ScanVerdict::Fail,
        Word::Pending => ScanVerdict::Pending,
    };
    Ok((verdict, said.reason.as_deref().and_then(reason)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, body: &str) -> Result<(ScanVerdict, Option<String>), String> {
        let answer = Answer {
            status: status.try_into().unwrap(),
            headers: Default::default(),
            body: body.to_owned().into(),
        };
        verdict("scanner.acme.test", &answer)
    }

    #[test]
    fn only_one_of_three_words_is_a_verdict() {
        assert_eq!(told(200, r#"{"verdict": "pass"}"#), Ok((ScanVerdict::Pass, None)));
        assert_eq!(
            told(202, r#"{"verdict": "pending", "reason": "layer 2\nof 9", "eta": 7}"#),
            Ok((ScanVerdict::Pending, Some("layer 2 of 9".to_owned())))
        );
        assert_eq!(
            told(200, r#"{"verdict": "fail", "reason": "CVE-2026-1"}"#),
            Ok((ScanVerdict::Fail, Some("CVE-2026-1".to_owned())))
        );
        for body in [
            "",
            "pass",
            "{}",
            r#"{"verdict": "PASS"}"#,
            r#"{"verdict": true}"#,
            r#"["pass"]"#,
            r#"{"verdict": "pass"} {"verdict": "fail"}"#,
            r#"{"verdict": "fail", "verdict": "pass"}"#,
        ] {
            let why = told(200, body).unwrap_err();
            assert!(why.contains("something else"), "{why}");
        }
        for status in [302, 401, 404, 500, 503] {
            let why = told(status, r#"{"verdict": "pass"}"#).unwrap_err();
            assert!(why.ends_with(&status.to_string()), "{why}");
        }
    }

    #[test]
    fn a_scanner_is_told_which_image_it_is_and_who_asks() {
        let digest: skep_schemas::ImageDigest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
        let url = "https://scanner.acme.test/".parse().unwrap();
        let scan = Scan { url, repository: "ghcr.io/acme/shop".to_owned(), digest: digest.clone() };
        let body = body(&"acme".parse().unwrap(), &scan).unwrap();
        let expected = serde_json::json!({
            "image": "ghcr.io/acme/shop", "digest": digest.as_str(),
            "reference": format!("ghcr.io/acme/shop@{digest}"), "organization": "acme",
        });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&body).unwrap(), expected);
    }
}
