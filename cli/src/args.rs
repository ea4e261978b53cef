//! The command line.
//!
//! What belongs to one command alone is declared beside it in [`crate::commands`]; here is the list of commands and what they
//! share.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use secrecy::SecretString;
use skep_api::wire::BatchQuery;
use skep_schemas::{Kind, OrgName, ResourceName};

use crate::address::Address;
use crate::commands::{
    adopt, apply, audit, completion, config, confirm, delete, deployment, describe, dev, diff, doctor, drift,
    events, explain, export, features, formation, get, holds, import, init, intervention, login, logs,
    master_key, member, migrate, notifications, orphans, owner, person, plan, quota, regions, release, run,
    schedules, secrets, serve, token, top, version, wait,
};
use crate::context::Flags;

/// Skep turns a Docker Swarm into a platform: describe what you want, and it makes it so and keeps it so.
#[derive(Debug, Parser)]
#[command(
    name = "skep",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 done or the same, 1 different or not reached, 2 an error."
)]
pub(crate) struct Cli {
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How to reach the server, for every client command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct Global {
    /// Address of the server [env: SKEP_SERVER] [default: http://127.0.0.1:7700].
    #[arg(long, global = true, value_name = "URL")]
    server: Option<String>,
    /// Token; visible to other users of this machine, so the variable is better [env: SKEP_TOKEN].
    #[arg(long, global = true, value_name = "TOKEN", value_parser = secret)]
    token: Option<SecretString>,
    /// Organisation of what names none [env: SKEP_ORG].
    #[arg(long, short = 'n', global = true, value_name = "ORG")]
    org: Option<OrgName>,
    /// PEM file with the authorities of the server's certificate, in place of the system's [env: SKEP_CA].
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Context of the configuration file [env: SKEP_CONTEXT].
    #[arg(long, global = true, value_name = "NAME")]
    context: Option<String>,
    /// Send the token unencrypted to another machine.
    #[arg(long, global = true)]
    insecure: bool,
}

impl Global {
    /// As the context reads it.
    pub(crate) fn into_flags(self) -> Flags {
        let Self { server, token, org, ca, context, insecure } = self;
        Flags { server, token, org, ca, context, insecure }
    }
}

/// All commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the server's state as the manifests say.
    Apply(apply::ApplyArgs),
    /// Write the manifests that a new application begins with.
    Init(init::InitArgs),
    /// Make manifests of what others deploy with.
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Write environments in a form that others deploy.
    #[command(subcommand)]
    Export(export::ExportCommand),
    /// Show what an apply would change; exit code 1 if anything.
    Diff(diff::DiffArgs),
    /// Show what an apply would change.
    Plan(plan::PlanArgs),
    /// List resources, or show one.
    Get(get::GetArgs),
    /// Show everything about one resource.
    Describe(describe::DescribeArgs),
    /// Delete resources.
    Delete(delete::DeleteArgs),
    /// List what is not done before someone confirms it.
    Holds(holds::HoldsArgs),
    /// Make objects under a resource's names its own that Skep did not make.
    Adopt(adopt::AdoptArgs),
    /// Let go on what is on hold.
    Confirm(confirm::ConfirmArgs),
    /// List objects in the Swarm that Skep made and nothing refers to.
    Orphans(orphans::OrphansArgs),
    /// Wait until a resource is ready, gone, or in a condition.
    Wait(wait::WaitArgs),
    /// Show what happened.
    Events(events::EventsArgs),
    /// Show what a Notification told, and what was not taken; send that again, or a test.
    Notifications(notifications::NotificationsArgs),
    /// Show what somebody else changed in the Swarm, and what became of it.
    Drift(drift::DriftArgs),
    /// Change nothing of a resource, and of what is part of it, for a while.
    Pause(intervention::PauseArgs),
    /// End a pause.
    Resume(intervention::ResumeArgs),
    /// Show who owns a resource and where it is written, or give it to another.
    Owner(owner::OwnerArgs),
    /// Try again what was given up: a failed release, a field that somebody fights over.
    Retry(intervention::RetryArgs),
    /// Show the processes of an environment: how many instances there are to be, how many run, and who says so.
    Ps(formation::PsArgs),
    /// Show what the instances of an environment use: processor, memory and traffic.
    Top(top::TopArgs),
    /// Say how many instances of processes there are to be, where no manifest says it.
    Scale(formation::ScaleArgs),
    /// Replace the instances of an environment, or of one process, one after the other.
    Restart(formation::RestartArgs),
    /// Let an environment, or one process, have no instances until it is started.
    Stop(formation::StopArgs),
    /// Let what was stopped have its instances again.
    Start(formation::StartArgs),
    /// Stop all that an organisation runs, or let it go on.
    Suspend(formation::SuspendArgs),
    /// Show what the processes of an environment print.
    Logs(logs::LogsArgs),
    /// List what an environment ran: each change of it is a release.
    Releases(release::ReleasesArgs),
    /// List the attempts at releases: where each stands, and what of it took how long.
    Deployments(deployment::DeploymentsArgs),
    /// Show one release with everything that it runs, or what is different from another.
    Release(release::ReleaseArgs),
    /// Run a command once, in the image, config and secrets of the release that runs.
    Run(run::RunArgs),
    /// List the runs of an environment, or show or stop one.
    Runs(run::RunsArgs),
    /// List what an environment runs by a schedule: when next, how the last run went, and what was missed.
    Schedules(schedules::SchedulesArgs),
    /// Give an environment the image that another one of its app runs.
    Promote(release::PromoteArgs),
    /// Return an environment to a former release.
    Rollback(release::RollbackArgs),
    /// Cancel a release that is being rolled out.
    Cancel(release::CancelArgs),
    /// Show what an organisation has, and what its plan lets it have.
    Quota(quota::QuotaArgs),
    /// Say which features an organisation has, and who switched off the rest.
    Features(features::FeaturesArgs),
    /// List the regions in which environments can run, and whether they take work now.
    Regions(regions::RegionsArgs),
    /// See which values a secret had and where they are used, and give it another one while everything runs.
    Secrets(secrets::SecretsArgs),
    /// Make, list and revoke tokens.
    Token(token::TokenArgs),
    /// See and change who is a member of an organisation, or of the platform.
    Member(member::MemberArgs),
    /// Invite people, and accept invitations.
    Invite(member::InviteArgs),
    /// See, make and remove accounts, for whoever runs the platform.
    Person(person::PersonArgs),
    /// Log in with the identity provider, in a browser.
    Login(login::LoginArgs),
    /// End the session that `skep login` began.
    Logout(login::LogoutArgs),
    /// See and end your own sessions.
    Session(person::SessionArgs),
    /// See who did what, and check that it is still told as it was.
    Audit(audit::AuditArgs),
    /// Examine the installation: what is not as it has to be, why that matters, and what helps.
    Doctor(doctor::DoctorArgs),
    /// See which master key is in force, and put another in its place while everything runs.
    MasterKey(master_key::MasterKeyArgs),
    /// Show who you are to the server, and what that allows.
    Whoami(token::WhoAmIArgs),
    /// Explain a kind, a field or an error code.
    Explain(explain::ExplainArgs),
    /// Print the completion script of a shell.
    Completion(completion::CompletionArgs),
    /// Show the versions of this program and of the server.
    Version(version::VersionArgs),
    /// See and change the variables of an environment; show this program's configuration file, or choose its context.
    Config(config::ConfigArgs),
    /// Run API and controller in this process.
    Serve(Box<serve::ServeArgs>),
    /// Run everything on this machine, with a private Postgres and a key of its own.
    Dev(Box<dev::DevArgs>),
    /// Bring the database to this version's form, and end.
    Migrate(Box<migrate::MigrateArgs>),
}

/// Where manifests are read from.
#[derive(Debug, Args)]
pub(crate) struct Sources {
    /// File or directory with manifests, or `-` for standard input; may be given several times.
    #[arg(long = "filename", short = 'f', value_name = "FILE|DIR|-", required = true)]
    pub(crate) files: Vec<PathBuf>,
}

/// What is done about what a Git source owns.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct TakeOver {
    /// What a Git source owns becomes the API's; without this it is left alone, and the manifests are refused.
    #[arg(long)]
    pub(crate) take_over: bool,
}

impl TakeOver {
    /// As a batch says it.
    pub(crate) fn query(self) -> BatchQuery {
        BatchQuery { take_over: self.take_over, ..BatchQuery::default() }
    }
}

/// One resource.
#[derive(Debug, Args)]
pub(crate) struct OneResource {
    /// Kind, or KIND/NAME, or ORG/KIND/NAME.
    #[arg(value_name = "KIND")]
    address: Address,
    /// Name.
    #[arg(value_name = "NAME")]
    name: Option<ResourceName>,
}

impl OneResource {
    /// What is named.
    pub(crate) fn address(self) -> Result<Address, crate::address::AddressError> {
        self.address.with_name(self.name)
    }
}

/// What an environment is named by, where nothing else can be meant.
pub(crate) fn environment(text: &str) -> Result<Address, String> {
    if let Ok(name) = text.parse::<ResourceName>() {
        return Ok(Address { org: None, kind: Kind::Environment, name: Some(name) });
    }
    let address: Address = text.parse()?;
    if address.kind != Kind::Environment {
        return Err(format!("`{text}` is no environment"));
    }
    Ok(address)
}

/// A span of time such as `90s` or `15m`.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    let span: skep_schemas::Duration =
        text.parse().map_err(|e: skep_schemas::ScalarError| format!("{e}; {}", e.help))?;
    Ok(span.to_std())
}

/// A text that is not to be shown.
pub(crate) fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(SecretString::from(text.to_owned()))
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
