//! Images: what references mean, and how the containers behave that are made from them.

use std::collections::BTreeMap;

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

    pub(super) fn program(&self, reference: &str) -> Program {
        let programs = &self.images.programs;
        let tagged = reference.split_once('@').map_or(reference, |(tagged, _)| tagged);
        programs.get(reference).or_else(|| programs.get(tagged)).cloned().unwrap_or_default()
    }
}

/// A digest that is the same for the same text.
fn digest_of(reference: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(reference.as_bytes())))
}
