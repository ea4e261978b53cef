//! Every kind Skep knows, as types.
//!
//! This crate is the vocabulary of the whole product: the envelope that wraps all kinds ([`resource`]), the kinds
//! themselves ([`kind`]), the scalar newtypes their fields are made of ([`scalar`]), and the conditions a status speaks in
//! ([`condition`]). Around them: the strict reader of manifests ([`manifest`]) with its [`diagnostic`]s and their [`codes`],
//! the generated JSON Schemas ([`schema`]), the documentation of fields and codes ([`explain`]), and the form in which
//! stored resources are shown ([`resource_view`]), the manifests that an application of a [`template`] begins with, what people say of how
//! much runs ([`formation`]), who owns what ([`owner`]), and the [`role`]s of those who ask. Everything else (store, planner, API, CLI) moves these types around and never
//! re-parses a string that was checked here.
//!
//! Guarantees: a value of any type in this crate is valid by construction; a spec written by [`serde`] reads back equal;
//! nothing here knows a clock, a socket or a runtime.

pub mod codes;
pub mod condition;
pub mod diagnostic;
pub mod explain;
pub mod feature;
pub mod formation;
pub mod kind;
pub mod manifest;
pub mod owner;
pub mod reference;
pub mod resource;
pub mod resource_view;
pub mod role;
pub mod scalar;
pub mod schema;
pub mod selector;
pub mod template;

pub use codes::Code;
pub use condition::{Condition, ConditionKind, ConditionStatus, Reason};
pub use diagnostic::{Diagnostic, Diagnostics};
pub use feature::{Feature, Features};
pub use formation::{FormationOverride, Restarted, ScaleOwner, Scaled, Stopped};
pub use kind::{AnySpec, Kind, KindScope, KindSpec};
pub use manifest::{Batch, ReadOptions, SourcedManifest};
pub use owner::{Owner, Provenance, SourceRef};
pub use reference::{DomainField, EnvironmentField, ProcessField, Reference, ValueTemplate};
pub use resource::{
    Annotations, Changed, Finalizer, Generation, Labels, Manifest, ManifestMeta, Meta, Pause, Resource,
    ResourceKey, Revision, Rollback, Scope, Uid,
};
pub use resource_view::{MetaView, ResourceView};
pub use role::Role;
pub use scalar::{
    Bytes, CommitId, Cpu, CronExpression, Duration, EmailAddress, EnvName, FieldPointer, FileName, HookUrl,
    Host, ImageDigest, ImagePattern, ImageRef, KeyAlgorithm, MountPath, OidcIssuer, OrgName, Port,
    ProcessName, PublicKey, Region, Registry, RepositoryPath, ResourceName, ScalarError, Subject,
    SubjectPattern, TimeZoneName,
};

/// The only API version so far. A manifest must name it, so that a later version can change meaning without guessing.
pub const API_VERSION: &str = "skep.dev/v1";

/// The prefix of every label and annotation that Skep itself writes. Tenants may not use it.
pub const RESERVED_PREFIX: &str = "skep.dev/";
