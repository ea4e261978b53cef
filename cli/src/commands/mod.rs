//! The commands, one file each: what they are given, what they do, and how they end.

use std::path::PathBuf;

use anyhow::{Result, bail};
use skep_api::wire::{ListQuery, ResourceList, ResourceView};
use skep_schemas::OrgName;
use skep_schemas::manifest::SourcedManifest;

use crate::args::{Command, Global, Sources};
use crate::client::{Client, with_query};
use crate::config::ConfigFile;
use crate::{context, source};

pub(crate) mod adopt;
pub(crate) mod apply;
pub(crate) mod audit;
pub(crate) mod completion;
pub(crate) mod config;
pub(crate) mod confirm;
pub(crate) mod delete;
pub(crate) mod deployment;
pub(crate) mod describe;
pub(crate) mod dev;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod drift;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod features;
pub(crate) mod formation;
pub(crate) mod get;
pub(crate) mod holds;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod intervention;
pub(crate) mod login;
pub(crate) mod logs;
mod manifest_file;
pub(crate) mod master_key;
pub(crate) mod member;
pub(crate) mod migrate;
pub(crate) mod notifications;
pub(crate) mod orphans;
pub(crate) mod owner;
pub(crate) mod person;
pub(crate) mod plan;
pub(crate) mod quota;
pub(crate) mod regions;
pub(crate) mod release;
pub(crate) mod run;
pub(crate) mod schedules;
mod secret_rollout;
pub(crate) mod secrets;
pub(crate) mod serve;
pub(crate) mod token;
pub(crate) mod top;
mod variables;
pub(crate) mod version;
pub(crate) mod wait;

/// The most pages of one list: half a million resources.
const PAGES_MAX: usize = 1000;

/// How a command ended, if nothing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As wished: exit code 0.
    Done,
    /// The answer is no: different, failed, not reached in time. Exit code 1.
    Negative,
    /// What was run ended with this exit code.
    Passed(u8),
}

/// The server that a client command talks to, and the organisation of what names none.
pub(crate) struct Session {
    /// The server.
    pub(crate) client: Client,
    /// The organisation.
    pub(crate) org: Option<OrgName>,
}

/// A variable of the environment; one that is not text counts as absent.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl Session {
    fn open(global: Global) -> Result<Self> {
        let config = match crate::config::path(variable) {
            Some(path) => ConfigFile::load(&path).map_err(context::ContextError::from)?,
            None => ConfigFile::default(),
        };
        let context = context::resolve(global.into_flags(), variable, &config)?;
        Ok(Self { client: Client::new(&context)?, org: context.org })
    }

    /// Reads and checks manifests.
    pub(crate) fn read(&self, sources: &Sources) -> Result<Vec<SourcedManifest>> {
        self.read_files(&sources.files)
    }

    /// The same, where the sources are not the only way to say what to apply.
    pub(crate) fn read_files(&self, files: &[PathBuf]) -> Result<Vec<SourcedManifest>> {
        Ok(source::read(files, self.org.clone())?)
    }

    /// All pages of a list, and where a watch of it begins.
    pub(crate) async fn list(
        &self,
        path: &str,
        selector: Option<&str>,
    ) -> Result<(Vec<ResourceView>, String)> {
        let mut query = ListQuery { label_selector: selector.map(str::to_owned), ..ListQuery::default() };
        let mut all = Vec::new();
        let mut begin = None;
        for _ in 0..PAGES_MAX {
            let page: ResourceList = self.client.get(&with_query(path, &query)?).await?;
            all.extend(page.items);
            let begin = begin.get_or_insert(page.watch_from);
            match page.next {
                Some(next) => query.cursor = Some(next),
                None => return Ok((all, begin.clone())),
            }
        }
        bail!("the list has more than {PAGES_MAX} pages")
    }
}

/// Carries a command out.
pub(crate) async fn run(global: Global, command: Command) -> Result<Outcome> {
    match command {
        Command::Apply(args) => apply::run(&Session::open(global)?, args).await,
        Command::Init(args) => init::run(&Session::open(global)?, args).await,
        Command::Export(command) => export::run(&Session::open(global)?, command).await,
        Command::Import(command) => import::run(&Session::open(global)?, command),
        Command::Diff(args) => diff::run(&Session::open(global)?, args).await,
        Command::Plan(args) => plan::run(&Session::open(global)?, args).await,
        Command::Get(args) => get::run(&Session::open(global)?, args).await,
        Command::Describe(args) => describe::run(&Session::open(global)?, args).await,
        Command::Delete(args) => delete::run(&Session::open(global)?, args).await,
        Command::Holds(args) => holds::run(&Session::open(global)?, &args).await,
        Command::Adopt(args) => adopt::run(&Session::open(global)?, args).await,
        Command::Releases(args) => release::list(&Session::open(global)?, args).await,
        Command::Run(args) => run::run(&Session::open(global)?, args).await,
        Command::Runs(args) => run::list(&Session::open(global)?, args).await,
        Command::Schedules(args) => schedules::run(&Session::open(global)?, args).await,
        Command::Release(args) => release::show(&Session::open(global)?, args).await,
        Command::Promote(args) => release::promote(&Session::open(global)?, args).await,
        Command::Rollback(args) => release::roll_back(&Session::open(global)?, args).await,
        Command::Deployments(args) => deployment::list(&Session::open(global)?, args).await,
        Command::Cancel(args) => release::cancel(&Session::open(global)?, args).await,
        Command::Quota(args) => quota::run(&Session::open(global)?, &args).await,
        Command::Features(args) => features::run(&Session::open(global)?, &args).await,
        Command::Regions(args) => regions::run(&Session::open(global)?, &args).await,
        Command::Secrets(args) => secrets::run(&Session::open(global)?, args).await,
        Command::Token(args) => token::run(&Session::open(global)?, args).await,
        Command::Member(args) => member::run(&Session::open(global)?, args).await,
        Command::Invite(args) => member::invite(&Session::open(global)?, args).await,
        Command::Person(args) => person::run(&Session::open(global)?, args).await,
        Command::Login(args) => login::run(global, args).await,
        Command::Logout(args) => login::log_out(global, &args).await,
        Command::Session(args) => person::sessions(&Session::open(global)?, args).await,
        Command::Audit(args) => audit::run(&Session::open(global)?, args).await,
        Command::Doctor(args) => doctor::run(&Session::open(global)?, args).await,
        Command::MasterKey(args) => master_key::run(&Session::open(global)?, args).await,
        Command::Whoami(args) => token::whoami(&Session::open(global)?, &args).await,
        Command::Confirm(args) => confirm::run(&Session::open(global)?, &args).await,
        Command::Orphans(args) => orphans::run(&Session::open(global)?, &args).await,
        Command::Wait(args) => wait::run(&Session::open(global)?, args).await,
        Command::Notifications(args) => notifications::run(&Session::open(global)?, args).await,
        Command::Events(args) => events::run(&Session::open(global)?, args).await,
        Command::Logs(args) => logs::run(&Session::open(global)?, args).await,
        Command::Drift(args) => drift::run(&Session::open(global)?, args).await,
        Command::Pause(args) => intervention::pause(&Session::open(global)?, args).await,
        Command::Resume(args) => intervention::resume(&Session::open(global)?, args).await,
        Command::Owner(args) => owner::run(&Session::open(global)?, args).await,
        Command::Retry(args) => intervention::retry(&Session::open(global)?, args).await,
        Command::Ps(args) => formation::ps(&Session::open(global)?, args).await,
        Command::Top(args) => top::run(&Session::open(global)?, args).await,
        Command::Scale(args) => formation::scale(&Session::open(global)?, args).await,
        Command::Restart(args) => formation::restart(&Session::open(global)?, args).await,
        Command::Stop(args) => formation::stop(&Session::open(global)?, args).await,
        Command::Start(args) => formation::start(&Session::open(global)?, args).await,
        Command::Suspend(args) => formation::suspend(&Session::open(global)?, args).await,
        Command::Version(args) => version::run(global, &args).await,
        Command::Explain(args) => explain::run(&args),
        Command::Completion(args) => completion::run(&args),
        Command::Config(args) => config::run(global, args).await,
        Command::Serve(args) => serve::run(*args).await,
        Command::Dev(args) => dev::run(*args).await,
        Command::Migrate(args) => migrate::run(*args).await,
    }
}
