//! Signatures: what is known, what has to be looked for, and the looking.
//!
//! A look is an inquiry ([`crate::inquiry`]). Passes wait a moment for it and then go on with what is known; whoever left is woken when there is
//! something new. What was found is written down before anybody hears of it; that nothing could be found out is remembered for a moment, so that
//! a registry that is away is not asked by every pass.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use skep_executor::registry_auth;
use skep_outbound::Outbound;
use skep_outbound::registry::{Login, Repository};
use skep_planner::policy::signature::{SignatureFact, SignatureFacts, Signed};
use skep_planner::reconcile::environment::SignaturesToCheck;
use skep_planner::{PullAs, PullCredential};
use skep_runtime::Clock;
use skep_schemas::kind::Signer;
use skep_schemas::{ImageRef, OrgName, ResourceKey};
use skep_store::Store;

use super::search::search;
use super::trust::TrustedRoot;
use crate::clock;
use crate::error::chain;
use crate::inquiry::{self, Afterwards, Bounds, Inquiries, Reply};

/// How long it is remembered that a registry did not tell.
const FAILURE_KEPT: Duration = Duration::from_secs(15);
/// Each is a kilobyte or two.
const BOUNDS: Bounds = Bounds { per_host: None, per_organization: 4, all: 10_000 };

/// Why nothing is known of identities.
const NO_ROOT: &str =
    "the servers have no trusted root to verify identities with (`skep serve --sigstore-trusted-root`)";

/// What a look comes to: what was found is in the store.
type Answer = Result<(), String>;

/// What is asked, for whom and as whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Question {
    org: OrgName,
    signed: Signed,
    signers: Vec<Signer>,
    credential: Option<PullCredential>,
}

impl inquiry::Question for Question {
    type Answer = Answer;

    fn org(&self) -> &OrgName {
        &self.org
    }

    fn host(&self) -> &str {
        self.signed.repository.split('/').next().unwrap_or_default()
    }

    fn afterwards(&self, answer: &Answer) -> Afterwards {
        let for_all = if answer.is_err() { FAILURE_KEPT } else { Duration::ZERO };
        Afterwards { wakes: answer.is_ok(), for_the_woken: Duration::ZERO, for_all }
    }
}

/// Knows signatures, and looks for those that it does not know.
#[derive(Clone)]
pub(crate) struct Signatures {
    store: Store,
    root: Option<Arc<TrustedRoot>>,
    clock: Arc<dyn Clock>,
    looks: Inquiries<Question>,
}

/// Finds signatures, and writes down what it found.
#[derive(Clone)]
struct Finder {
    outbound: Outbound,
    store: Store,
    root: Option<Arc<TrustedRoot>>,
    clock: Arc<dyn Clock>,
}

/// Who wants to know, and since when anew.
pub(crate) struct Asker<'a> {
    /// Its organisation.
    pub(crate) org: &'a OrgName,
    /// Who is woken.
    pub(crate) key: &'a ResourceKey,
    /// What was found absent before that time is looked for at once: somebody said so.
    pub(crate) retried_at: Option<Timestamp>,
}

impl Signatures {
    /// Signatures that are found by this client and kept in this store; those of identities by this trusted root, if there is one. Those who left
    /// without an answer are woken.
    pub(crate) fn new(
        outbound: Outbound,
        store: Store,
        root: Option<Arc<TrustedRoot>>,
        clock: Arc<dyn Clock>,
        wake: impl Fn(&ResourceKey) + Send + Sync + 'static,
    ) -> Self {
        let finder = Finder { outbound, store: store.clone(), root: root.clone(), clock: Arc::clone(&clock) };
        let find = move |question: Question| {
            let finder = finder.clone();
            async move { finder.find(&question).await }
        };
        Self { store, root, clock, looks: Inquiries::new(BOUNDS, find, wake) }
    }

    /// What is known now, after a moment of looking for what is not. `pull` says as whom a registry is asked, or why it is not.
    pub(crate) async fn look(
        &self,
        asker: &Asker<'_>,
        wanted: &SignaturesToCheck,
        pull: impl Fn(&ImageRef) -> Result<PullAs, String>,
    ) -> SignatureFacts {
        let mut facts = SignatureFacts::default();
        for (signed, reference) in &wanted.signed {
            let (known, unanswered) = self.one(asker, signed, &wanted.signers, pull(reference)).await;
            for (signer, fact) in known.into_iter().filter(|(signer, _)| wanted.signers.contains(signer)) {
                facts.note(signed.clone(), signer, fact);
            }
            if let Some(why) = unanswered {
                facts.note_unanswered(signed.clone(), why);
            }
        }
        facts
    }

    /// What is known of one digest, and why not all of it is.
    async fn one(
        &self,
        asker: &Asker<'_>,
        signed: &Signed,
        signers: &[Signer],
        pull: Result<PullAs, String>,
    ) -> (BTreeMap<Signer, SignatureFact>, Option<String>) {
        let known = match self.known(asker.org, signed).await {
            Ok(known) => known,
            Err(why) => return (BTreeMap::new(), Some(why)),
        };
        let now = clock::wall(&*self.clock);
        let (verifiable, others): (Vec<&Signer>, Vec<&Signer>) =
            signers.iter().partition(|signer| self.root.is_some() || matches!(signer, Signer::Key(_)));
        let unverifiable = (!others.is_empty()).then(|| NO_ROOT.to_owned());
        let is_due = |signer: &&Signer| is_due(known.get(*signer), asker.retried_at, now);
        let due: Vec<Signer> = verifiable.into_iter().filter(is_due).cloned().collect();
        if due.is_empty() {
            return (known, unverifiable);
        }
        let credential = match pull {
            Ok(PullAs::Nobody) => None,
            Ok(PullAs::Credential(credential)) => Some(*credential),
            Err(why) => return (known, Some(why)),
        };
        let question = Question { org: asker.org.clone(), signed: signed.clone(), signers: due, credential };
        match self.ask(question, asker.key).await {
            Err(why) => (known, Some(why)),
            Ok(()) => match self.known(asker.org, signed).await {
                Ok(known) => (known, unverifiable),
                Err(why) => (known, Some(why)),
            },
        }
    }

    async fn known(&self, org: &OrgName, signed: &Signed) -> Result<BTreeMap<Signer, SignatureFact>, String> {
        let known = self.store.signatures(org, signed, sha256(self.root.as_ref())).await;
        known.map(|known| known.into_iter().collect()).map_err(|error| chain(&error))
    }

    async fn ask(&self, question: Question, by: &ResourceKey) -> Answer {
        match self.looks.ask(question, by).await {
            Reply::Answer(answer) => answer,
            Reply::NotYet => Err("its registry has not answered yet".to_owned()),
            Reply::TooMany => Err("too many signatures are being looked for".to_owned()),
        }
    }
}

fn sha256(root: Option<&Arc<TrustedRoot>>) -> Option<&str> {
    root.map(|root| root.sha256())
}

/// Is it to be looked for? What was found never.
fn is_due(known: Option<&SignatureFact>, retried_at: Option<Timestamp>, now: Timestamp) -> bool {
    match known {
        None => true,
        Some(SignatureFact::Signed) => false,
        Some(fact @ SignatureFact::Unsigned { checked_at, .. }) => {
            fact.again_at().is_none_or(|again| again <= now)
                || retried_at.is_some_and(|retried| retried > *checked_at)
        }
    }
}

impl Finder {
    /// Asks the registry, with the password opened for this one look, and notes what was found.
    async fn find(&self, question: &Question) -> Answer {
        let Question { org, signed, signers, credential } = question;
        let login = match credential {
            None => None,
            Some(credential) => {
                let auth = registry_auth(&self.store, credential).await.map_err(|error| {
                    let name = &credential.name;
                    format!("the password of RegistryCredential/{name} cannot be opened: {}", chain(&error))
                })?;
                Some(Login { username: auth.username, password: auth.password })
            }
        };
        let mut repository = Repository::new(&self.outbound, &signed.repository, login);
        let found = search(&mut repository, &signed.digest, signers, self.root.as_deref()).await;
        let found = found.map_err(|error| chain(&error))?;
        let now = clock::wall(&*self.clock);
        let noted = self.store.note_signatures(org, signed, &found, sha256(self.root.as_ref()), now).await;
        noted.map_err(|error| chain(&error))
    }
}
