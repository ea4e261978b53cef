//! `skep owner`: who owns a resource, where it is written, and giving it to another.

use anyhow::{Result, ensure};
use clap::Args;
use skep_api::wire::{OwnerRequest, OwnerView};
use skep_schemas::{Owner, ResourceKey, ResourceName, SourceRef};

use super::{Outcome, Session};
use crate::address::resource_path;
use crate::args::OneResource;
use crate::output::print;
use crate::output::text::harmless;

/// `skep owner`
#[derive(Debug, Args)]
pub(crate) struct OwnerArgs {
    #[command(flatten)]
    what: OneResource,
    /// Give it to the API, or to this source: a GitSource of the resource's organisation; for what is the platform's, a PlatformSource.
    #[arg(long, value_name = "api|SOURCE", value_parser = wanted)]
    set: Option<Wanted>,
    /// The source is a PlatformSource, and the resource an organisation's.
    #[arg(long, requires = "set")]
    of_platform: bool,
}

/// Whose it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Api,
    Source(ResourceName),
}

fn wanted(text: &str) -> Result<Wanted, String> {
    if text == "api" {
        return Ok(Wanted::Api);
    }
    text.parse().map(Wanted::Source).map_err(|error: skep_schemas::ScalarError| {
        format!("{error}; write `api`, or the name of a Git source")
    })
}

/// Carries it out.
pub(super) async fn run(session: &Session, args: OwnerArgs) -> Result<Outcome> {
    let key = args.what.address()?.key(session.org.as_ref())?;
    let path = format!("{}/owner", resource_path(&key));
    let view: OwnerView = match args.set {
        None => session.client.get(&path).await?,
        Some(set) => {
            let managed_by = owner(&key, set, args.of_platform)?;
            session.client.put(&path, &OwnerRequest { managed_by }).await?
        }
    };
    print(&told(&key, &view))?;
    Ok(Outcome::Done)
}

fn owner(key: &ResourceKey, wanted: Wanted, of_platform: bool) -> Result<Owner> {
    match wanted {
        Wanted::Api => {
            ensure!(!of_platform, "the API is no source: leave --of-platform out");
            Ok(Owner::Api)
        }
        Wanted::Source(name) => {
            let org = key.org().filter(|_| !of_platform).cloned();
            Ok(Owner::Git { source: SourceRef { org, name } })
        }
    }
}

/// Whose it is, and where that is written.
fn told(key: &ResourceKey, view: &OwnerView) -> String {
    let place = match (&view.managed_by, &view.written) {
        (Owner::Api, _) => String::new(),
        (Owner::Git { .. }, Some(place)) => format!(", written in {}", harmless(&place.to_string())),
        (Owner::Git { .. }, None) => ", which has not written it yet".to_owned(),
    };
    format!("{key} is maintained by {}{place}\n", view.managed_by)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use skep_schemas::{Kind, Scope};

    use super::*;

    fn app() -> ResourceKey {
        ResourceKey::new(Scope::Org("acme".parse().unwrap()), Kind::App, "shop".parse().unwrap()).unwrap()
    }

    #[test]
    fn a_source_is_one_of_the_same_place_unless_it_is_said_to_be_the_platforms() {
        let set = |key: &ResourceKey, of_platform| {
            owner(key, wanted("infra").unwrap(), of_platform).map(|owner| owner.to_string())
        };
        assert_eq!(set(&app(), false).unwrap(), "GitSource acme/infra");
        assert_eq!(set(&app(), true).unwrap(), "PlatformSource infra");
        let organization = ResourceKey::organization(&"acme".parse().unwrap());
        assert_eq!(set(&organization, false).unwrap(), "PlatformSource infra");
        assert_eq!(owner(&app(), wanted("api").unwrap(), false).unwrap(), Owner::Api);
        assert!(owner(&app(), wanted("api").unwrap(), true).is_err());
        assert!(wanted("acme/infra").unwrap_err().contains("the name of a Git source"));
    }

    #[test]
    fn whose_it_is_is_told_with_where_it_is_written() {
        let told = |view| told(&app(), &serde_json::from_value(view).unwrap());
        assert_eq!(told(json!({"managedBy": {"by": "api"}})), "acme/App/shop is maintained by the API\n");
        let managed_by = json!({"by": "git", "source": {"org": "acme", "name": "web"}});
        assert_eq!(
            told(json!({"managedBy": managed_by})),
            "acme/App/shop is maintained by GitSource acme/web, which has not written it yet\n"
        );
        let written = json!({"commit": "0a".repeat(20), "path": "deploy/shop.yaml", "line": 12});
        assert_eq!(
            told(json!({"managedBy": managed_by, "written": written})),
            "acme/App/shop is maintained by GitSource acme/web, written in deploy/shop.yaml:12 at commit 0a0a0a0a0a0a\n"
        );
    }
}
