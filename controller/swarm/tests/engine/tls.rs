//! Mutual TLS: who is let in, and whom we believe.

use skep_swarm::{
    CertificateFiles, ClientOptions, EngineAddress, EngineClient, PlainTcp, SwarmApi, SwarmError,
};
use skep_testbed::tls::Credentials;
use skep_testbed::{Engine, EngineOptions, EngineVersion};

use crate::setup::on_each_engine;

on_each_engine!(mutual_tls_accepts_our_certificate_and_believes_only_the_given_authority);

async fn client(host: &str, certificates: CertificateFiles) -> Result<EngineClient, SwarmError> {
    let address = EngineAddress::parse(host, Some(certificates), PlainTcp::Refused)?;
    EngineClient::new(address, ClientOptions::default()).await
}

async fn mutual_tls_accepts_our_certificate_and_believes_only_the_given_authority(version: EngineVersion) {
    let options = EngineOptions { tls: true, ..EngineOptions::default() };
    let engine = Engine::start(version, options).expect("an engine");
    let (host, credentials) = engine.tls().expect("the engine speaks TLS");
    let ours = CertificateFiles::in_directory(&credentials.dir);
    let foreign = Credentials::create(&engine.dir().join("foreign"), engine.address()).expect("certificates");
    let foreign = CertificateFiles::in_directory(&foreign.dir);

    let accepted = client(&host, ours.clone()).await.expect("a client");
    for _ in 0..3 {
        assert!(accepted.info().await.expect("let in").is_manager);
    }

    let disbelieving = CertificateFiles { authority: foreign.authority.clone(), ..ours.clone() };
    let error = client(&host, disbelieving).await.expect("a client").ping().await;
    let error = error.expect_err("an engine of another authority is not believed");
    assert!(matches!(error, SwarmError::Unavailable { sent: false, .. }), "{error:?}");

    let stranger = CertificateFiles { authority: ours.authority.clone(), ..foreign.clone() };
    let error = client(&host, stranger).await.expect("a client").ping().await;
    let error = error.expect_err("the engine does not let strangers in");
    assert!(matches!(error, SwarmError::Unavailable { .. }), "{error:?}");

    let missing = CertificateFiles { certificate: "/nonexistent/cert.pem".into(), ..ours.clone() };
    let error = client(&host, missing).await.expect_err("a client without a certificate is none");
    assert!(matches!(error, SwarmError::Certificates { .. }), "{error:?}");
    let mismatched = CertificateFiles { key: foreign.key, ..ours };
    let error = client(&host, mismatched).await.expect_err("a key of another certificate");
    assert!(matches!(error, SwarmError::Certificates { .. }), "{error:?}");
}
