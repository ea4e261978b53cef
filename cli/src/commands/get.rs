//! `skep get`: lists and single resources, once or for as long as one looks.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use anyhow::{Result, bail};
use clap::Args;
use jiff::Timestamp;
use skep_api::wire::ResourceView;
use skep_schemas::selector::Selector;
use skep_schemas::{Kind, KindScope, ResourceKey, Scope};

use super::{Outcome, Session};
use crate::address::{Address, key_of, key_of_ref, resource_path};
use crate::args::OneResource;
use crate::output::resources::{Layout, line, table};
use crate::output::{Format, json, print, stdout_style, yaml};
use crate::watch::{Update, Watch, Watched};

/// `skep get`
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    what: OneResource,
    /// Only resources with these labels: `key=value`, `key!=value`, `key`, `!key`, separated by commas.
    #[arg(long, short = 'l', value_name = "SELECTOR", value_parser = selector, conflicts_with = "name")]
    selector: Option<String>,
    /// Output format.
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
    /// Go on showing changes.
    #[arg(long, short)]
    watch: bool,
    /// In all organisations.
    #[arg(long)]
    all_orgs: bool,
}

/// Checks a selector before it is sent.
fn selector(text: &str) -> Result<String, String> {
    let parsed: Selector = text.parse().map_err(|e: skep_schemas::ScalarError| format!("{e}; {}", e.help))?;
    Ok(parsed.to_string())
}

/// Carries it out.
pub(super) async fn run(session: &Session, args: GetArgs) -> Result<Outcome> {
    let address = args.what.address()?;
    let shape = Shape {
        kind: address.kind,
        format: args.output,
        with_org: args.all_orgs,
        one: address.name.is_some(),
    };
    if address.name.is_some() {
        if args.all_orgs {
            bail!(
                "a name in all organisations is no address\nhelp: name the organisation, or leave the name out"
            );
        }
        let key = address.key(session.org.as_ref())?;
        let view: ResourceView = session.client.get(&resource_path(&key)).await?;
        if !args.watch {
            print(&shape.page(&[view], Timestamp::now())?)?;
            note_holds(session);
            return Ok(Outcome::Done);
        }
        return follow(session, &shape, watched(session, &address, &args.selector, false)?, Some(key)).await;
    }
    let watched = watched(session, &address, &args.selector, args.all_orgs)?;
    if args.watch {
        return follow(session, &shape, watched, None).await;
    }
    let (views, _) = session.list(&watched.path(), watched.selector.as_deref()).await?;
    print(&shape.page(&views, Timestamp::now())?)?;
    note_holds(session);
    if views.is_empty() && matches!(args.output, Format::Table | Format::Wide) {
        eprintln!("there are no {}", address.kind.plural());
    }
    Ok(Outcome::Done)
}

/// What is shown may be as it is only because of a hold.
fn note_holds(session: &Session) {
    if let Some(holds) = session.client.on_hold() {
        eprintln!("ON HOLD: {holds}; see `skep holds`");
    }
}

fn watched(
    session: &Session,
    address: &Address,
    selector: &Option<String>,
    all_orgs: bool,
) -> Result<Watched> {
    let all_orgs = all_orgs && address.kind.scope() == KindScope::Org;
    let scope = if all_orgs { Scope::Platform } else { address.scope(session.org.as_ref())? };
    Ok(Watched { scope, kind: address.kind, all_orgs, selector: selector.clone() })
}

/// How the answer is shown.
struct Shape {
    kind: Kind,
    format: Format,
    with_org: bool,
    one: bool,
}

impl Shape {
    fn layout(&self, now: Timestamp) -> Layout {
        Layout { wide: self.format == Format::Wide, with_org: self.with_org, now, style: stdout_style() }
    }

    /// All resources at once.
    fn page(&self, views: &[ResourceView], now: Timestamp) -> Result<String> {
        let one = views.first().filter(|_| self.one);
        let list = || serde_json::json!({ "kind": "List", "items": views });
        match (self.format, one) {
            (Format::Json, Some(view)) => json(view),
            (Format::Json, None) => json(&list()),
            (Format::Yaml, Some(view)) => yaml(view),
            (Format::Yaml, None) => yaml(&list()),
            (Format::Name, _) => Ok(views.iter().map(name).collect()),
            (Format::Table | Format::Wide, _) if views.is_empty() => Ok(String::new()),
            (Format::Table | Format::Wide, _) => Ok(table(self.kind, views, &self.layout(now))),
        }
    }

    /// One change, as text that is added to what was shown before.
    fn change(&self, view: &ResourceView, now: Timestamp) -> Result<String> {
        Ok(match self.format {
            Format::Json => serde_json::to_string(view)? + "\n",
            Format::Yaml => format!("---\n{}", yaml(view)?),
            Format::Name => name(view),
            Format::Table | Format::Wide => line(self.kind, view, &self.layout(now)),
        })
    }
}

fn name(view: &ResourceView) -> String {
    key_of(view).map_or_else(String::new, |key| format!("{key}\n"))
}

/// Shows changes until interrupted. On a terminal a table is redrawn; everything else is appended.
async fn follow(
    session: &Session,
    shape: &Shape,
    watched: Watched,
    only: Option<ResourceKey>,
) -> Result<Outcome> {
    let (views, begin) = session.list(&watched.path(), watched.selector.as_deref()).await?;
    let table = matches!(shape.format, Format::Table | Format::Wide);
    let redraw = table && std::io::stdout().is_terminal();
    let wanted = |key: &ResourceKey| only.as_ref().is_none_or(|only| only == key);
    let keyed = |views: Vec<ResourceView>| -> BTreeMap<ResourceKey, ResourceView> {
        let keyed = views.into_iter().filter_map(|view| Some((key_of(&view)?, view)));
        keyed.filter(|(key, _)| wanted(key)).collect()
    };
    let mut known = keyed(views);
    let mut watch = Watch::new(session.client.clone(), watched, Some(begin));
    let all = |known: &BTreeMap<ResourceKey, ResourceView>| known.values().cloned().collect::<Vec<_>>();
    if !redraw && table {
        print(&shape.page(&all(&known), Timestamp::now())?)?;
    } else if !redraw {
        for view in known.values() {
            print(&shape.change(view, Timestamp::now())?)?;
        }
    }
    loop {
        if redraw {
            // Home, then each line, then whatever was below: no flicker, and nothing of the last picture stays.
            let page = shape.page(&all(&known), Timestamp::now())?.replace('\n', "\u{1b}[K\n");
            print(&format!("\u{1b}[H\u{1b}[?7l{page}\u{1b}[J\u{1b}[?7h"))?;
        }
        match watch.next().await? {
            Update::Snapshot(views) => {
                let fresh = keyed(views);
                for (key, view) in fresh.iter().filter(|_| !redraw) {
                    if known.get(key) != Some(view) {
                        print(&shape.change(view, Timestamp::now())?)?;
                    }
                }
                known = fresh;
            }
            Update::Changed(view) => {
                let Some(key) = key_of(&view).filter(|key| wanted(key)) else { continue };
                if !redraw {
                    print(&shape.change(&view, Timestamp::now())?)?;
                }
                known.insert(key, *view);
            }
            Update::Gone(reference, uid) => {
                let Some(key) = key_of_ref(&reference) else { continue };
                if known.get(&key).is_some_and(|view| view.metadata.uid == uid) {
                    known.remove(&key);
                    if !redraw {
                        eprintln!("{key} is gone");
                    }
                }
            }
            Update::Interrupted(why) => eprintln!("note: {}", why.lines().next().unwrap_or_default()),
        }
    }
}
