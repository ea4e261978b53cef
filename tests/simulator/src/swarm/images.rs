//! Images: what references mean, and how the containers behave that are made from them.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};
use skep_planner::swarm::Platform;
use skep_swarm::{ImageIdentity, ResolvedImage};

use super::Swarm;
use crate::program::Program;
use crate::refusal::Refusal;

/// What a registry, or the engine in its place, says of a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageAnswer {
    /// This is what it means.
    Found(ImageIdentity),
    /// This refusal.
    Refused(Refusal),
    /// Nothing, ever.
    Hangs,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Images {
    programs: BTreeMap<String, Program>,
    answers: BTreeMap<String, ImageAnswer>,
    /// What the asked engine has: what containers were made of.
    here: BTreeSet<String>,
}

impl Swarm {
    /// Says how containers of an image behave. The reference is looked for as it is, then without its digest. An image of which
    /// nothing was said is there, starts and runs.
    pub fn set_program(&mut self, reference: &str, program: Program) {
        self.images.programs.insert(reference.to_owned(), program);
    }

    /// Says what a reference resolves to. One of which nothing was said resolves to a digest of its registry that is made from the
    /// reference's own text.
    pub fn set_image(&mut self, reference: &str, answer: ImageAnswer) {
        self.images.answers.insert(reference.to_owned(), answer);
    }

    /// What a reference resolves to; `None` is no answer, ever.
    pub fn resolve_image(&self, reference: &str) -> Option<Result<ResolvedImage, Refusal>> {
        let identity = match self.images.answers.get(reference) {
            Some(ImageAnswer::Found(identity)) => identity.clone(),
            Some(ImageAnswer::Refused(refusal)) => return Some(Err(refusal.clone())),
            Some(ImageAnswer::Hangs) => return None,
            None => ImageIdentity::Registry { digest: digest_of(reference) },
        };
        let platform =
            Platform { architecture: "amd64".to_owned(), os: "linux".to_owned(), ..Platform::default() };
        Some(Ok(ResolvedImage {
            reference: reference.to_owned(),
            identity,
            platforms: vec![platform],
            start: None,
        }))
    }

    /// Notes that a container of the asked engine is made of this image, which it therefore has.
    pub(super) fn has_image(&mut self, reference: &str) {
        self.images.here.insert(reference.to_owned());
    }

    /// The images of the asked engine.
    pub fn images(&self) -> impl Iterator<Item = &str> {
        self.images.here.iter().map(String::as_str)
    }

    /// Takes an image from the asked engine. An image has one name here, as what a service asked for by digest has; the engine knows that
    /// without a tag.
    pub fn remove_image(&mut self, reference: &str) -> Result<(), Refusal> {
        let meant = |known: &str| known == reference || without_tag(known) == reference;
        if let Some(container) = self.containers.values().find(|container| meant(&container.image)) {
            let words = format!(
                "conflict: unable to remove repository reference {reference:?} (must force) - container {} is using its referenced image {reference}",
                container.id
            );
            return Err(Refusal::new(409, words));
        }
        let Some(known) = self.images.here.iter().find(|known| meant(known)).cloned() else {
            return Err(Refusal::new(404, format!("No such image: {reference}")));
        };
        self.images.here.remove(&known);
        Ok(())
    }

    pub(super) fn program(&self, reference: &str) -> Program {
        let programs = &self.images.programs;
        let tagged = reference.split_once('@').map_or(reference, |(tagged, _)| tagged);
        programs.get(reference).or_else(|| programs.get(tagged)).cloned().unwrap_or_default()
    }
}

/// A reference with a digest, without its tag.
fn without_tag(reference: &str) -> String {
    let Some((named, digest)) = reference.split_once('@') else { return reference.to_owned() };
    let path = named.rfind('/').map_or(0, |slash| slash + 1);
    let end = named[path..].find(':').map_or(named.len(), |colon| path + colon);
    format!("{}@{digest}", &named[..end])
}

/// A digest that is the same for the same text.
fn digest_of(reference: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(reference.as_bytes())))
}
