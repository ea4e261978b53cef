//! What an engine means by a refusal.
//!
//! Its status codes alone do not say: a stale version is 500, a used secret is 400, a missing network is 500 or 404, a
//! place already taken is 403 or 409. The words do, and have been the same from 20.10 to 29. Where the words are not
//! known the code decides, and an unknown failure (5xx) of a mutation leaves its effect unknown.

use crate::error::{Call, Effect, SwarmError};
use crate::verb::Verb;

/// The most of an engine's words that is kept in an error; they can quote a whole spec.
const MESSAGE_LIMIT: usize = 2048;

/// The words of an engine that has no part in a Swarm's management. It did not pass anything on.
const NOT_A_MANAGER: [&str; 2] = ["node is not a swarm manager", "not part of a swarm"];

/// Sorts a refusal of an engine: `status` is not a success. A simulated engine's refusals go the same way, so that they mean the
/// same.
pub fn classify(call: Call, status: u16, message: &str) -> SwarmError {
    let message = shortened(message);
    let says = |words: &str| message.contains(words);
    match status {
        _ if says("update out of sequence") => SwarmError::Conflict { call },
        // The engine redirects when a name changes the path it stands in.
        300..=399 => SwarmError::Invalid { call, message: "this is no name or id".to_owned() },
        401 => SwarmError::Unauthorized { call, message },
        403 | 404 | 500 if call.verb == Verb::ResolveImage && registry_denies(&message) => {
            SwarmError::Unauthorized { call, message }
        }
        404 => SwarmError::NotFound { call, message },
        400 | 403 | 409 | 500 if in_use(&message) => SwarmError::InUse { call, message },
        403 | 409 if says("already exists") => SwarmError::NameTaken { call, message },
        409 => SwarmError::NameTaken { call, message },
        400 if says("secret not found") || says("config not found") => SwarmError::NotFound { call, message },
        500 if missing_network(&message) || says("is not connected to") => {
            SwarmError::NotFound { call, message }
        }
        500 if says("raft message is too large") => SwarmError::Invalid { call, message },
        400 | 403 | 405 | 406 | 413 | 422 | 501 => SwarmError::Invalid { call, message },
        500 | 503 if NOT_A_MANAGER.iter().any(|words| says(words)) => {
            SwarmError::NoManager { call, passed_on: false, message }
        }
        500 | 503 if says("does not have a leader") => {
            SwarmError::NoManager { call, passed_on: true, message }
        }
        status => {
            let effect = if status >= 500 { Effect::Unknown } else { Effect::None };
            SwarmError::Other { call, status, message, effect }
        }
    }
}

/// `network web not found`, said with 500 when a service refers to it.
fn missing_network(message: &str) -> bool {
    message.starts_with("network ") && message.ends_with(" not found")
}

fn in_use(message: &str) -> bool {
    [
        "is in use by",
        "already in use",
        "has active endpoints",
        "is using its referenced image",
        "image is being used by",
    ]
    .iter()
    .any(|words| message.contains(words))
}

/// The last are the engine's own words, when a registry asks for a password and none was given.
fn registry_denies(message: &str) -> bool {
    ["unauthorized", "authentication required", "denied", "no basic auth credentials"]
        .iter()
        .any(|words| message.contains(words))
}

fn shortened(message: &str) -> String {
    let message = message.trim();
    if message.len() <= MESSAGE_LIMIT {
        return message.to_owned();
    }
    let end = (0..=MESSAGE_LIMIT).rev().find(|&at| message.is_char_boundary(at)).unwrap_or(0);
    format!("{}…", &message[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(verb: Verb, status: u16, message: &str) -> SwarmError {
        classify(Call::on(verb, "web"), status, message)
    }

    macro_rules! assert_sorted {
        ($verb:ident, $status:literal, $message:literal => $pattern:pat, $effect:ident) => {{
            let error = sorted(Verb::$verb, $status, $message);
            assert!(matches!(error, $pattern), "{error:?}");
            assert_eq!(error.effect(), Effect::$effect, "{error:?}");
        }};
    }

    #[test]
    fn refusals_of_real_engines_are_sorted_by_meaning() {
        use SwarmError::*;
        assert_sorted!(UpdateService, 500, "rpc error: code = Unknown desc = update out of sequence" => Conflict { .. }, None);
        assert_sorted!(CreateService, 409, "rpc error: code = AlreadyExists desc = name conflicts with an existing object: service web already exists" => NameTaken { .. }, None);
        assert_sorted!(CreateNetwork, 409, "network with name acme already exists" => NameTaken { .. }, None);
        assert_sorted!(ConnectNetwork, 403, "endpoint with name web.1.x already exists in network acme" => NameTaken { .. }, None);
        assert_sorted!(RemoveSecret, 400, "rpc error: code = InvalidArgument desc = secret 'a' is in use by the following service: web" => InUse { .. }, None);
        assert_sorted!(RemoveNetwork, 400, "rpc error: code = FailedPrecondition desc = network x is in use by service y" => InUse { .. }, None);
        assert_sorted!(RemoveImage, 409, "conflict: unable to remove repository reference \"web:1\" (must force) - container 5bc1 is using its referenced image 3c8f" => InUse { .. }, None);
        assert_sorted!(RemoveImage, 409, "conflict: unable to delete 3c8f (must be forced) - image is being used by stopped container 5bc1" => InUse { .. }, None);
        assert_sorted!(RemoveImage, 404, "No such image: web:1" => NotFound { .. }, None);
        assert_sorted!(RemoveService, 404, "service web not found" => NotFound { .. }, None);
        assert_sorted!(CreateService, 500, "network web not found" => NotFound { .. }, None);
        assert_sorted!(CreateService, 400, "rpc error: code = InvalidArgument desc = secret not found: a" => NotFound { .. }, None);
        assert_sorted!(DisconnectNetwork, 500, "container x is not connected to the network y" => NotFound { .. }, None);
        assert_sorted!(UpdateService, 501, "rpc error: code = Unimplemented desc = service mode change is not allowed" => Invalid { .. }, None);
        assert_sorted!(UpdateService, 500, "rpc error: code = Unknown desc = raft: raft message is too large and can't be sent" => Invalid { .. }, None);
        assert_sorted!(CreateService, 503, "This node is not a swarm manager. Use \"docker swarm init\"" => NoManager { .. }, None);
        assert_sorted!(ResolveImage, 401, "unauthorized: authentication required" => Unauthorized { .. }, None);
        assert_sorted!(ResolveImage, 500, "Head \"http://127.0.0.1:5001/v2/idle/manifests/1\": no basic auth credentials" => Unauthorized { .. }, None);
        assert_sorted!(ResolveImage, 403, "denied: requested access to the resource is denied" => Unauthorized { .. }, None);
    }

    #[test]
    fn a_failure_of_the_managers_leaves_the_effect_of_a_mutation_unknown_and_reading_has_none() {
        use SwarmError::*;
        assert_sorted!(CreateService, 500, "rpc error: code = DeadlineExceeded desc = context deadline exceeded" => Other { .. }, Unknown);
        assert_sorted!(CreateService, 502, "bad gateway" => Other { .. }, Unknown);
        assert_sorted!(RemoveService, 503, "rpc error: code = Unavailable desc = connection closed" => Other { .. }, Unknown);
        assert_sorted!(CreateService, 503, "The swarm does not have a leader." => NoManager { .. }, Unknown);
        assert_sorted!(ListServices, 500, "rpc error: code = DeadlineExceeded" => Other { .. }, None);
        assert_sorted!(CreateService, 429, "slow down" => Other { .. }, None);
    }

    #[test]
    fn long_words_are_cut_at_a_character() {
        let error = sorted(Verb::CreateService, 400, &"ü".repeat(MESSAGE_LIMIT));
        let SwarmError::Invalid { message, .. } = error else { panic!("{error:?}") };
        assert!(message.len() <= MESSAGE_LIMIT + '…'.len_utf8() && message.ends_with('…'));
    }
}
