//! Images that releases left behind.

use std::time::Duration;

use skep_planner::{NewRelease, Plan, ResolvedImage, Verdict};
use skep_schemas::Resource;
use skep_store::{Deletion, Fence, LeftImage, Precondition, Retention};

use crate::convergence::{judging, releasing};
use crate::support::{Bed, actor, environment, finalize, org};

const ONE: char = '1';
const TWO: char = '2';
const KEEP_ONE: Retention = Retention { releases: 1, releases_max: 1, ..Retention::USUAL };

fn digest(of: char) -> String {
    format!("sha256:{}", of.to_string().repeat(64))
}

/// A release of an image that a registry knows by this digest.
async fn release(bed: &Bed, fence: &Fence, env: &Resource, version: u32, reference: &str, of: char) {
    let plan = releasing(env, version, &[]);
    let mut release: NewRelease = plan.release.clone().unwrap();
    release.content.image.reference = reference.parse().unwrap();
    release.content.image.resolved = ResolvedImage::Registry { digest: digest(of).parse().unwrap() };
    bed.store.begin_plan(fence, &Plan { release: Some(release), ..plan }).await.unwrap();
    bed.store.begin_plan(fence, &judging(env, version, Verdict::Succeeded)).await.unwrap();
}

async fn env(bed: &Bed, of: &str) -> Resource {
    bed.apply(&[org(of), environment(of, "production", &[])]).await.unwrap().remove(1).resource
}

async fn left(bed: &Bed) -> Vec<String> {
    let left = bed.store.left_images(Duration::ZERO, 10).await.unwrap();
    left.iter().map(|image| image.reference.to_string()).collect()
}

#[tokio::test]
async fn an_image_is_left_when_its_last_release_goes_and_no_longer_when_another_names_it() {
    let bed = Bed::new("left_image").await;
    let fence = bed.fence().await;
    let (acme, globex) = (env(&bed, "acme").await, env(&bed, "globex").await);
    for version in 1..=2 {
        release(&bed, &fence, &acme, version, "registry.example:5000/shop:v1", ONE).await;
    }
    bed.store.sweep(&KEEP_ONE).await.unwrap();
    assert_eq!(left(&bed).await, Vec::<String>::new(), "the second release has the same image");

    release(&bed, &fence, &acme, 3, "registry.example:5000/shop:v2", TWO).await;
    bed.store.sweep(&KEEP_ONE).await.unwrap();
    let gone = format!("registry.example:5000/shop@{}", digest(ONE));
    assert_eq!(left(&bed).await, [gone], "what the engine knows it by has no tag");
    assert_eq!(bed.store.left_images(Duration::from_secs(3600), 10).await.unwrap(), [], "it is not long ago");
    let image = bed.store.left_images(Duration::ZERO, 10).await.unwrap().remove(0);
    assert!(bed.store.is_left(&image).await.unwrap());

    // The same content, from another repository, for another organisation.
    release(&bed, &fence, &globex, 1, "mirror.example/shop:stable", ONE).await;
    assert_eq!(left(&bed).await, Vec::<String>::new());
    assert!(!bed.store.is_left(&image).await.unwrap());
}

#[tokio::test]
async fn an_environment_that_ends_leaves_its_images_and_what_no_registry_knows_is_nobodys() {
    let bed = Bed::new("left_image_end").await;
    let fence = bed.fence().await;
    let acme = env(&bed, "acme").await;
    release(&bed, &fence, &acme, 1, "shop:v1", ONE).await;
    bed.store.begin_plan(&fence, &releasing(&acme, 2, &[])).await.unwrap();
    let deleted = bed.store.delete(&acme.meta.key, Precondition::None, &actor()).await.unwrap();
    assert!(matches!(deleted, Deletion::Marked(_)));
    assert_eq!(left(&bed).await, Vec::<String>::new(), "its releases are there until it is gone");
    finalize(&bed, &fence, acme.meta.uid).await;
    assert_eq!(left(&bed).await, [format!("shop@{}", digest(ONE))], "the second had no registry's digest");

    bed.sql("UPDATE left_image SET left_at = now() - interval '31 days'");
    assert_eq!(bed.store.sweep(&Retention::USUAL).await.unwrap().left_images, 1);
    assert_eq!(bed.store.left_images(Duration::ZERO, 10).await.unwrap(), Vec::<LeftImage>::new());
}
