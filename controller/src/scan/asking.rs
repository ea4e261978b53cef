//! Scans: what is known, what has to be asked, and the asking.
//!
//! To ask is an inquiry ([`crate::inquiry`]), as with signatures: passes wait a moment and go on with what is known, and whoever left is woken when the
//! scanner has said something. That it did not answer is remembered for a while, and longer the longer it is silent.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use skep_outbound::Outbound;
use skep_outbound::webhook::{self, Message};
use skep_planner::policy::scan::{Asked, Scan, ScanFact, ScanFacts, ScanVerdict};
use skep_planner::reconcile::Mode;
use skep_planner::reconcile::secret::SecretFacts;
use skep_runtime::Clock;
use skep_schemas::{OrgName, ResourceKey, ResourceName, Uid};
use skep_store::Store;
use tokio::time::Instant;

use super::message;
use crate::clock;
use crate::error::chain;
use crate::inquiry::{self, Afterwards, Bounds, Inquiries, Reply};

/// How long a scanner that does not answer is left alone: at first, and at most.
const SILENCE_PAUSES: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(120));
/// Of how many questions it is remembered since when nobody answers; of more, all pauses are short again.
const SILENT_MAX: usize = 10_000;
/// Each is a kilobyte or so.
const BOUNDS: Bounds = Bounds { per_host: Some(2), per_organization: 4, all: 10_000 };

/// What asking comes to: what was said is in the store.
type Answer = Result<(), Silence>;

/// There is no verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Silence {
    why: String,
    /// For how long nobody asks again.
    pause: Duration,
}

/// What is asked, for whom, and with which version of which Secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Question {
    org: OrgName,
    scan: Scan,
    secret: Option<(Uid, u32)>,
}

impl inquiry::Question for Question {
    type Answer = Answer;

    fn org(&self) -> &OrgName {
        &self.org
    }

    fn host(&self) -> &str {
        self.scan.url.host()
    }

    fn afterwards(&self, answer: &Answer) -> Afterwards {
        let for_all = answer.as_ref().err().map(|silence| silence.pause).unwrap_or_default();
        Afterwards { wakes: answer.is_ok(), for_the_woken: Duration::ZERO, for_all }
    }
}

/// Knows what scanners said, and asks them.
#[derive(Clone)]
pub(crate) struct Scans {
    store: Store,
    clock: Arc<dyn Clock>,
    inquiries: Inquiries<Question>,
}

/// Who wants to know.
pub(crate) struct Asker<'a> {
    /// Its organisation.
    pub(crate) org: &'a OrgName,
    /// Who is woken.
    pub(crate) key: &'a ResourceKey,
    /// The current values of its organisation's Secrets.
    pub(crate) secrets: &'a BTreeMap<ResourceName, SecretFacts>,
    /// What was no yes before that time is asked at once: somebody said so.
    pub(crate) retried_at: Option<Timestamp>,
    /// Nobody is asked for a preview: its policies may not be applied, and whoever may look at plans must not send requests by that.
    pub(crate) mode: Mode,
}

impl Scans {
    /// Scanners that are asked by this client, and what they said in this store. Those who left without an answer are woken.
    pub(crate) fn new(
        outbound: Outbound,
        store: Store,
        clock: Arc<dyn Clock>,
        wake: impl Fn(&ResourceKey) + Send + Sync + 'static,
    ) -> Self {
        let sender = Arc::new(Sender {
            outbound,
            store: store.clone(),
            clock: Arc::clone(&clock),
            silences: Silences::default(),
        });
        let send = move |question: Question| {
            let sender = Arc::clone(&sender);
            async move { sender.send(&question).await }
        };
        Self { store, clock, inquiries: Inquiries::new(BOUNDS, send, wake) }
    }

    /// What is known now, after a moment of asking for what is not.
    pub(crate) async fn ask(&self, asker: &Asker<'_>, wanted: &[Asked]) -> ScanFacts {
        let mut facts = ScanFacts::default();
        let all = join_all(wanted.iter().map(|asked| self.one(asker, asked))).await;
        for (asked, (known, unanswered)) in wanted.iter().zip(all) {
            if let Some(fact) = known {
                facts.note(asked.scan.clone(), fact);
            }
            if let Some(why) = unanswered {
                facts.note_unanswered(asked.scan.clone(), why);
            }
        }
        facts
    }

    /// What is known of one scan, and why it is not known anew.
    async fn one(&self, asker: &Asker<'_>, asked: &Asked) -> (Option<ScanFact>, Option<String>) {
        let Asked { scan, secret, .. } = asked;
        let known = match self.known(asker.org, scan).await {
            Ok(known) => known,
            Err(why) => return (None, Some(why)),
        };
        if !is_due(known.as_ref(), asked, asker.retried_at, clock::wall(&*self.clock)) {
            return (known, None);
        }
        if asker.mode == Mode::Preview {
            return (
                known,
                Some("a scanner is asked about what is applied, and not for a preview".to_owned()),
            );
        }
        let secret = match secret.as_ref().map(|name| (name, asker.secrets.get(name))) {
            None => None,
            Some((_, Some(facts))) => Some((facts.secret, facts.version)),
            Some((name, None)) => {
                let why = format!("Secret/{name}, which signs the request, does not exist or has no value");
                return (known, Some(why));
            }
        };
        let question = Question { org: asker.org.clone(), scan: scan.clone(), secret };
        let host = scan.url.host();
        match self.inquiries.ask(question, asker.key).await {
            Reply::Answer(Ok(())) => match self.known(asker.org, scan).await {
                Ok(known) => (known, None),
                Err(why) => (known, Some(why)),
            },
            Reply::Answer(Err(silence)) => (known, Some(silence.why)),
            Reply::NotYet => (known, Some(format!("the scanner at {host} has not answered yet"))),
            Reply::TooMany => (known, Some("too many scanners are being asked".to_owned())),
        }
    }

    async fn known(&self, org: &OrgName, scan: &Scan) -> Result<Option<ScanFact>, String> {
        self.store.scan(org, scan).await.map_err(|error| chain(&error))
    }
}

/// Is it to be asked?
fn is_due(known: Option<&ScanFact>, asked: &Asked, retried_at: Option<Timestamp>, now: Timestamp) -> bool {
    let Some(fact) = known else { return true };
    let insisted = || retried_at.is_some_and(|retried| retried > fact.checked_at);
    fact.again_at(asked.max_age) <= now || (fact.verdict != ScanVerdict::Pass && insisted())
}

/// Asks scanners, and writes down what they say.
struct Sender {
    outbound: Outbound,
    store: Store,
    clock: Arc<dyn Clock>,
    silences: Silences,
}

impl Sender {
    async fn send(&self, question: &Question) -> Answer {
        let said = self.try_send(question).await;
        let pause = self.silences.note(question, said.is_err());
        said.map_err(|why| Silence { why, pause })
    }

    async fn try_send(&self, question: &Question) -> Result<(), String> {
        let Question { org, scan, secret } = question;
        let secret = match secret {
            None => None,
            Some((uid, version)) => {
                let value = self.store.open_secret(*uid, *version).await;
                let unopened =
                    |error| format!("the Secret that signs the request cannot be opened: {}", chain(&error));
                // Secrets come out of programs and editors with a line end that is none of theirs.
                let value = value.map_err(unopened)?;
                Some(SecretString::from(value.expose_secret().trim_end_matches(['\r', '\n'])))
            }
        };
        let body = message::body(org, scan).map_err(|error| chain(&error))?;
        let sent_at = clock::wall(&*self.clock).as_second();
        let url = scan.url.as_str();
        let id = webhook::id_of(url, sent_at, &body);
        let message = Message { id: &id, url, sent_at, body: &body, secret: secret.as_ref() };
        let answer = self.outbound.deliver(&message).await.map_err(|error| chain(&error))?;
        let (verdict, reason) = message::verdict(scan.url.host(), &answer)?;
        let now = clock::wall(&*self.clock);
        let noted = self.store.note_scan(org, scan, verdict, reason.as_deref(), now).await;
        noted.map_err(|error| chain(&error))
    }
}

/// Since when questions have no answer.
#[derive(Default)]
struct Silences {
    since: Mutex<HashMap<(OrgName, Scan), Instant>>,
}

impl Silences {
    /// Notes whether there was an answer, and says how long nobody asks again if not: half as long as it has been silent.
    fn note(&self, question: &Question, silent: bool) -> Duration {
        let mut known = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let of = (question.org.clone(), question.scan.clone());
        let (least, most) = SILENCE_PAUSES;
        if !silent {
            known.remove(&of);
            return least;
        }
        if known.len() >= SILENT_MAX {
            known.clear();
        }
        let since = known.entry(of).or_insert_with(Instant::now);
        (since.elapsed() / 2).clamp(least, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(digit: char) -> Scan {
        Scan {
            url: "https://scanner.acme.test/skep".parse().unwrap(),
            repository: "ghcr.io/acme/shop".to_owned(),
            digest: format!("sha256:{}", digit.to_string().repeat(64)).parse().unwrap(),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_scanner_is_asked_when_it_is_time_and_at_once_about_what_was_no_yes_if_somebody_says_so() {
        let asked = Asked { scan: scan('a'), secret: None, max_age: jiff::SignedDuration::from_hours(1) };
        let due = |verdict, retried: Option<i64>, now| {
            let fact = ScanFact { verdict, reason: None, since: at(100), checked_at: at(100) };
            is_due(Some(&fact), &asked, retried.map(at), at(now))
        };
        assert!(is_due(None, &asked, None, at(0)));
        for (verdict, again) in
            [(ScanVerdict::Pending, 105), (ScanVerdict::Fail, 160), (ScanVerdict::Pass, 3700)]
        {
            assert_eq!(
                [due(verdict, None, again - 1), due(verdict, None, again)],
                [false, true],
                "{verdict:?}"
            );
            assert!(!due(verdict, Some(99), again - 1), "{verdict:?}");
            assert_eq!(due(verdict, Some(101), again - 1), verdict != ScanVerdict::Pass, "{verdict:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_silent_is_left_alone_for_longer_and_longer_until_there_is_an_answer() {
        let silences = Silences::default();
        let question = |digit| Question { org: "acme".parse().unwrap(), scan: scan(digit), secret: None };
        let after = async |seconds, digit| {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            silences.note(&question(digit), true).as_secs()
        };
        let pauses = [after(0, 'a').await, after(20, 'a').await, after(40, 'a').await, after(600, 'a').await];
        assert_eq!(pauses, [15, 15, 30, 120]);
        assert_eq!(after(0, 'b').await, 15, "another image's");
        silences.note(&question('a'), false);
        assert_eq!(after(0, 'a').await, 15);
    }
}
