//! What scanners said: a no stands until there is a yes, and everything else is as it was said last.

use skep_planner::policy::scan::{Scan, ScanFact, ScanVerdict};

use crate::support::{Bed, org_name};

#[tokio::test]
async fn a_no_of_a_scanner_stands_until_there_is_a_yes_and_what_it_says_is_known_since_it_said_so_first() {
    let bed = Bed::new("scans").await;
    let acme = org_name("acme");
    let digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
    let url = "https://scanner.acme.test/skep".parse().unwrap();
    let scan = Scan { url, repository: "ghcr.io/acme/shop".to_owned(), digest };
    let at = |second: i64| jiff::Timestamp::from_second(second).unwrap();
    let note = async |verdict, reason: Option<&str>, second| {
        bed.store.note_scan(&acme, &scan, verdict, reason, at(second)).await.unwrap();
        bed.store.scan(&acme, &scan).await.unwrap().unwrap()
    };
    let fact = |verdict, reason: Option<&str>, since, checked| ScanFact {
        verdict,
        reason: reason.map(str::to_owned),
        since: at(since),
        checked_at: at(checked),
    };
    let (pass, fail, pending) = (ScanVerdict::Pass, ScanVerdict::Fail, ScanVerdict::Pending);
    assert_eq!(bed.store.scan(&acme, &scan).await.unwrap(), None);
    assert_eq!(note(pending, None, 100).await, fact(pending, None, 100, 100));
    assert_eq!(note(pending, Some("layer 2"), 110).await, fact(pending, Some("layer 2"), 100, 110));
    assert_eq!(note(pass, None, 120).await, fact(pass, None, 120, 120));
    assert_eq!(note(fail, Some("a hole"), 130).await, fact(fail, Some("a hole"), 130, 130));
    assert_eq!(note(fail, Some("two holes"), 140).await, fact(fail, Some("two holes"), 130, 140));
    assert_eq!(note(pending, Some("again"), 150).await, fact(fail, Some("two holes"), 130, 150));
    assert_eq!(note(pass, None, 160).await, fact(pass, None, 160, 160));
    assert_eq!(note(pending, None, 170).await, fact(pending, None, 170, 170));
    assert_eq!(bed.store.scan(&org_name("globex"), &scan).await.unwrap(), None);
    let elsewhere = Scan { url: "https://other.acme.test/".parse().unwrap(), ..scan.clone() };
    assert_eq!(bed.store.scan(&acme, &elsewhere).await.unwrap(), None);
}
