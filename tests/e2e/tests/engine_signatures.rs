//! Images that have to be signed, from a registry that is one, with signatures as cosign makes them; and images that a scanner has to pass.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use skep_e2e::cosign::{Person, Repository, Signer};
use skep_e2e::manifests::{Web, documents, resource};
use skep_e2e::scanner::Scanner;
use skep_e2e::{Installation, Options};
use skep_testbed::sigstore::{Signature, Sigstore};
use skep_testbed::{EngineVersion, Recipe, registry, wait, wait_until};

/// How long a status may take to say something new: a signature that was not there is looked for again after a quarter of a minute.
const SOON: Duration = Duration::from_secs(90);

/// Who releases, as GitHub says.
const ISSUER: &str = "https://token.actions.githubusercontent.com";
const WORKFLOW: &str = "https://github.com/acme/hello/.github/workflows/release.yml@refs/tags/v5";

fn policy(key: &str, enforcement: &str) -> String {
    policy_of(&json!({ "key": key }), enforcement)
}

fn policy_of(signer: &Value, enforcement: &str) -> String {
    let spec = json!({ "requireSignature": [signer], "enforcement": enforcement });
    documents(&[resource("acme", "ImagePolicy", "signed", spec)])
}

fn says(at: &Installation, words: &[&str]) -> Result<String> {
    wait_until(&format!("the environment to say {words:?}"), SOON, || {
        let status = at.cli.get("acme", "environment", "production")?["status"].to_string();
        wait::ready(words.iter().all(|word| status.contains(word)), &status)?;
        Ok(status)
    })
    .with_context(|| at.report())
}

fn only_what_is_signed_is_released(version: EngineVersion) -> Result<()> {
    // The server and the engine have to mean the same registry by one name, so it is named by the engine's address.
    let trusting = vec!["--insecure-registry=0.0.0.0/0".to_owned()];
    let mut at = Installation::start_with(Options { engine_arguments: trusting, ..Options::new(version) })?;
    let host = SocketAddr::new(at.engine.address(), registry::PORT);
    for tag in ["v2", "v3", "v4", "v5"] {
        at.engine.publish(&Recipe::web(tag)?, &format!("hello:{tag}"))?;
    }
    let (ours, theirs) = (Signer::generate()?, Signer::generate()?);
    let hello = Repository::new(host, "hello");
    let web = |tag: &str| Web { image: format!("{host}/hello:{tag}"), instances: 1, ..Web::new("acme") };
    let service = web("v1").service();
    let apply = |at: &Installation, text: &str| at.cli.apply(text, &[])?.ok();

    // A registry inside is not asked before whoever runs the platform allows it, neither by the engine nor by the server.
    apply(&at, &format!("{}{}", web("v1").manifests(), policy(&ours.public_key()?, "block")))?;
    says(&at, &["PolicyDenied", "is an address that is not of the Internet", "--outbound-allow"])?;
    let allow = format!("http://{host}");
    at.kill()?;
    at.restart_with(&[("SKEP_OUTBOUND_ALLOW", &allow)])?;

    // Not signed, then signed by somebody else, then with the signature of another digest. Who asks for another try does not wait for the next look.
    let retry =
        |at: &Installation| at.cli.run(&["retry", "environment", "production", "--org", "acme"])?.ok();
    says(&at, &["PolicyDenied", "ImagePolicy/signed does not allow image", "it has no signature"])?;
    let (v1, v2) = (hello.digest("v1")?, hello.digest("v2")?);
    hello.sign_simple(&theirs, &v1, &v1, |text| text)?;
    retry(&at)?;
    says(&at, &["PolicyDenied", "its signature is of another key, or was changed"])?;
    hello.sign_simple(&ours, &v2, &v1, |text| text)?;
    retry(&at)?;
    says(&at, &["PolicyDenied", &format!("the signature beside it is of {v2}")])?;
    ensure!(!at.services()?.contains(&service), "what nobody signed was started: {}", at.report());

    // Signed, at last. Nobody has to say so.
    hello.sign_simple(&ours, &v1, &v1, |text| text)?;
    says(&at, &["Converged"])?;
    let first = at.running_tasks(&service)?;

    // The newer form of signatures, for the next image; then text that was changed after it was signed, and what runs goes on.
    hello.sign_bundle(&ours, &v2)?;
    apply(&at, &web("v2").manifests())?;
    says(&at, &["Converged", &v2])?;
    let second = at.running_tasks(&service)?;
    ensure!(second.is_disjoint(&first), "v2 was not released");
    let v3 = hello.digest("v3")?;
    hello.sign_simple(&ours, &v3, &v3, |text| text.replace("\"optional\":null", "\"optional\":{}"))?;
    apply(&at, &web("v3").manifests())?;
    says(&at, &["PolicyDenied", &v3, "its signature is of another key, or was changed"])?;
    ensure!(at.running_tasks(&service)? == second, "what runs was touched");

    // A policy that becomes stricter while something runs: it is reported, and it is stopped, and it comes back.
    apply(&at, &web("v2").manifests())?;
    apply(&at, &policy(&theirs.public_key()?, "block"))?;
    says(&at, &["PolicyViolated", "its signature is of another key", "what runs goes on"])?;
    ensure!(at.running_tasks(&service)? == second, "what runs was touched");
    apply(&at, &policy(&theirs.public_key()?, "stop"))?;
    wait_until("what is not signed to be stopped", SOON, || {
        wait::ready(at.running_tasks(&service)?.is_empty(), "it runs")
    })
    .with_context(|| at.report())?;
    apply(&at, &policy(&ours.public_key()?, "stop"))?;
    says(&at, &["Converged"])?;

    // A registry that is away makes nothing unsigned: what is known holds, and what is not known waits.
    let away = format!("https://{host}");
    at.kill()?;
    at.restart_with(&[("SKEP_OUTBOUND_ALLOW", &away)])?;
    let running = at.running_tasks(&service)?;
    apply(&at, &web("v4").manifests())?;
    says(&at, &["DependencyNotReady", "the signature of image"])?;
    ensure!(at.running_tasks(&service)? == running, "what runs was touched");
    apply(&at, &web("v2").manifests())?;
    says(&at, &["Converged"])?;
    only_whom_the_policy_means_releases(&mut at, host)?;
    only_what_its_scanner_passes_is_released(&mut at, host)
}

/// The same engine, whose registry the server cannot reach, and where v2 runs. Signed by identities: of nobody while the server has no trusted root,
/// then by somebody else, then by whom the policy means.
fn only_whom_the_policy_means_releases(at: &mut Installation, host: SocketAddr) -> Result<()> {
    let hello = Repository::new(host, "hello");
    let web = |tag: &str| Web { image: format!("{host}/hello:{tag}"), instances: 1, ..Web::new("acme") };
    let apply = |at: &Installation, text: &str| at.cli.apply(text, &[])?.ok();
    let allow = format!("http://{host}");
    let sigstore = Sigstore::new()?;
    let person = |subject: &'static str| Person {
        sigstore: &sigstore,
        by: Signature { issuer: ISSUER, subject, after: 60 },
    };
    let v5 = hello.digest("v5")?;
    hello.sign_bundle(
        &person("https://github.com/evil/hello/.github/workflows/release.yml@refs/tags/v5"),
        &v5,
    )?;
    let released = json!({"issuer": ISSUER, "subjectPattern": "https://github.com/acme/*@refs/tags/*"});
    apply(at, &policy_of(&json!({ "identity": released }), "block"))?;
    apply(at, &web("v5").manifests())?;
    says(at, &["DependencyNotReady", "no trusted root", "--sigstore-trusted-root"])?;
    let directory = tempfile::tempdir()?;
    let root = directory.path().join("trusted_root.json");
    std::fs::write(&root, sigstore.trusted_root().to_string())?;
    let root = root.to_str().context("a path of text")?;
    at.kill()?;
    at.restart_with(&[("SKEP_OUTBOUND_ALLOW", &allow), ("SKEP_SIGSTORE_TRUSTED_ROOT", root)])?;
    says(at, &["PolicyDenied", "it is signed by https://github.com/evil/hello"])?;
    hello.sign_simple(&person(WORKFLOW), &v5, &v5, |text| text)?;
    says(at, &["Converged", &v5])?;
    Ok(())
}

/// The same engine, where v5 runs, without the policy about signatures.
fn only_what_its_scanner_passes_is_released(at: &mut Installation, host: SocketAddr) -> Result<()> {
    let key: Vec<u8> = (0..32).collect();
    let scanner = Scanner::start(&key)?;
    let hello = Repository::new(host, "hello");
    let (v3, v4) = (hello.digest("v3")?, hello.digest("v4")?);
    let web = |tag: &str| Web { image: format!("{host}/hello:{tag}"), instances: 1, ..Web::new("acme") };
    let service = web("v5").service();
    let apply = |at: &Installation, text: &str| at.cli.apply(text, &[])?.ok();
    let scan = |name: &str, enforcement: &str| {
        let hook = json!({ "url": format!("{}/{name}", scanner.url()), "secret": "scanner" });
        let spec = json!({ "scan": hook, "enforcement": enforcement });
        documents(&[resource("acme", "ImagePolicy", name, spec)])
    };
    let secret = format!("whsec_{}", STANDARD.encode(&key));
    let secret = documents(&[resource("acme", "Secret", "scanner", json!({ "value": secret }))]);

    at.kill()?;
    let allow = format!("http://{host},{}", scanner.url());
    at.restart_with(&[("SKEP_OUTBOUND_ALLOW", &allow)])?;
    at.cli.run(&["delete", "acme/imagepolicy/signed"])?.ok()?;
    apply(at, &secret)?;
    apply(at, &scan("known", "block"))?;

    // A preview asks nobody, and says so.
    let preview = at.cli.diff(&web("v3").manifests())?;
    ensure!(preview.out.contains("and not for a preview"), "{preview:?}");
    ensure!(!scanner.heard()?.iter().any(|heard| heard.contains(&v3)), "a preview asked the scanner");
    let running = at.running_tasks(&service)?;

    // A scanner that does not answer holds the release up, and so does one that is not done; then it says yes, and nobody has to say so.
    apply(at, &web("v3").manifests())?;
    says(at, &["DependencyNotReady", "the scan of image", &v3, "answers with status 503"])?;
    scanner.says("/known", &v3, json!({ "verdict": "pending", "reason": "layer 2 of 9" }));
    says(at, &["DependencyNotReady", "the scanner is not done: “layer 2 of 9”"])?;
    ensure!(at.running_tasks(&service)? == running, "what runs was touched");
    scanner.says("/known", &v3, json!({ "verdict": "pass" }));
    says(at, &["Converged", &v3])?;
    let running = at.running_tasks(&service)?;

    // It says no, in its own words; somebody makes an exception there, and asks here for another try.
    scanner.says("/known", &v4, json!({ "verdict": "fail", "reason": "CVE-2026-0001 in\nbusybox" }));
    apply(at, &web("v4").manifests())?;
    says(at, &["PolicyDenied", "ImagePolicy/known does not allow", "says no: “CVE-2026-0001 in busybox”"])?;
    ensure!(at.running_tasks(&service)? == running, "what runs was touched");
    scanner.says("/known", &v4, json!({ "verdict": "pass", "by": "an exception" }));
    at.cli.run(&["retry", "environment", "production", "--org", "acme"])?.ok()?;
    says(at, &["Converged", &v4])?;
    let running = at.running_tasks(&service)?;

    // Another policy, whose scanner says no to what runs: it is reported, and it is stopped.
    scanner.says("/strict", &v4, json!({ "verdict": "fail", "reason": "too old" }));
    apply(at, &scan("strict", "block"))?;
    says(at, &["PolicyViolated", "“too old”", "what runs goes on"])?;
    ensure!(at.running_tasks(&service)? == running, "what runs was touched");
    apply(at, &scan("strict", "stop"))?;
    wait_until("what its scanner refuses to be stopped", SOON, || {
        wait::ready(at.running_tasks(&service)?.is_empty(), "it runs")
    })
    .with_context(|| at.report())?;

    // Every request was signed, and said which image it is about and who asks.
    let heard = scanner.heard()?;
    let asked = |path: &str, digest: &str| heard.contains(&format!("{path} {host}/hello {digest} acme"));
    ensure!(asked("/known", &v3) && asked("/known", &v4) && asked("/strict", &v4), "{heard:?}");
    // The key is nowhere to be read.
    let shown: Value = at.cli.get("acme", "imagepolicy", "known")?;
    ensure!(!shown.to_string().contains("whsec_"), "{shown}");
    Ok(())
}

#[test]
fn only_what_is_signed_and_what_its_scanner_passes_is_released_on_26_1() -> Result<()> {
    only_what_is_signed_is_released(EngineVersion::V26_1)
}
