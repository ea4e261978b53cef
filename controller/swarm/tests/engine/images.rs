//! What image references mean.

use skep_swarm::{Effect, ImageIdentity, SwarmApi, SwarmError};
use skep_testbed::{EngineVersion, Recipe};

use crate::setup::{IMAGE, engine, on_each_engine};

on_each_engine!(a_reference_is_resolved_by_its_registry_or_by_the_engine);

async fn a_reference_is_resolved_by_its_registry_or_by_the_engine(version: EngineVersion) {
    let (engine, client) = engine(version).await;
    let published = engine.publish(&Recipe::web("one").expect("a recipe"), "web:one").expect("published");
    let resolved = client.resolve_image(&published.reference, None).await.expect("resolved");
    assert_eq!(resolved.identity, ImageIdentity::Registry { digest: published.digest.clone() });
    assert_eq!(resolved.pinned_reference(), format!("{}@{}", published.reference, published.digest));
    assert_eq!(
        (resolved.platforms[0].os.as_str(), resolved.platforms[0].architecture.as_str()),
        ("linux", "amd64")
    );

    let pinned = client.resolve_image(&resolved.pinned_reference(), None).await.expect("resolved");
    assert_eq!(pinned.identity, resolved.identity);

    let local = client.resolve_image(IMAGE, None).await.expect("the engine has it");
    let ImageIdentity::EngineOnly { image_id } = &local.identity else { panic!("{local:?}") };
    assert!(image_id.starts_with("sha256:"));
    assert_eq!(local.pinned_reference(), IMAGE);

    let error =
        client.resolve_image("127.0.0.1:5000/missing:v1", None).await.expect_err("the registry says no");
    assert!(matches!(error, SwarmError::NotFound { .. }), "{error:?}");
    let error = client.resolve_image("127.0.0.1:5999/missing:v1", None).await.expect_err("nobody has it");
    assert!(matches!(error, SwarmError::Other { .. }), "{error:?}");
    assert!(
        error.to_string().contains("connection refused"),
        "the registry's failure is what is told: {error}"
    );
    assert_eq!(error.effect(), Effect::None);
}
