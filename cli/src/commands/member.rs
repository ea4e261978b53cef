//! `skep member` and `skep invite`: who is in an organisation, or on the platform, and who is asked in.

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use skep_api::wire::{
    AcceptInvitation, Accepted, InvitationList, InvitationRequest, InvitationView, LeaveRequest,
    MadeInvitation, MemberList, MemberView, RemovedMember, RevokedInvitation, RoleChange,
};
use skep_schemas::{Duration, EmailAddress, Role};

use super::{Outcome, Session};
use crate::client::escape;
use crate::output::table::{Cell, render};
use crate::output::{PlanFormat, print, stdout_style};

/// `skep member`
#[derive(Debug, Args)]
pub(crate) struct MemberArgs {
    #[command(subcommand)]
    command: MemberCommand,
    /// Of the platform with all organisations, instead of the organisation.
    #[arg(long, global = true)]
    platform: bool,
}

#[derive(Debug, Subcommand)]
enum MemberCommand {
    /// List the members.
    List {
        /// Output format.
        #[arg(long, short, value_enum, default_value_t)]
        output: PlanFormat,
    },
    /// Give a member another role; it counts from the next request on.
    Set {
        /// The member's address.
        email: EmailAddress,
        /// viewer, deployer, admin or owner.
        #[arg(long)]
        role: Role,
    },
    /// End a membership; it counts from the next request on.
    Remove {
        /// The member's address.
        email: EmailAddress,
    },
    /// End your own membership.
    Leave,
}

/// `skep invite`
#[derive(Debug, Args)]
#[command(
    after_help = "A code is worth a role once, for whoever is logged in with exactly the address that was invited."
)]
pub(crate) struct InviteArgs {
    #[command(subcommand)]
    command: InviteCommand,
    /// To the platform with all organisations, instead of the organisation.
    #[arg(long, global = true)]
    platform: bool,
}

#[derive(Debug, Subcommand)]
enum InviteCommand {
    /// Invite somebody; the code is printed once, to be sent to that address.
    Create {
        /// Whom.
        email: EmailAddress,
        /// What the person will be: viewer, deployer, admin or owner.
        #[arg(long)]
        role: Role,
        /// When it ends by itself, such as `72h`; without this after a week.
        #[arg(long, value_name = "SPAN")]
        expires_in: Option<Duration>,
    },
    /// List the invitations that are open.
    List {
        /// Output format.
        #[arg(long, short, value_enum, default_value_t)]
        output: PlanFormat,
    },
    /// Take an invitation back.
    Revoke {
        /// Its number, as `list` shows it.
        id: i64,
    },
    /// Become a member.
    Accept {
        /// What you were sent.
        code: String,
    },
}

/// Carries `skep member` out.
pub(super) async fn run(session: &Session, args: MemberArgs) -> Result<Outcome> {
    let path = beneath(session, args.platform, "members")?;
    match args.command {
        MemberCommand::List { output } => {
            let members: MemberList = session.client.get(&path).await?;
            print(&output.of(&members, || member_table(&members))?)?;
        }
        MemberCommand::Set { email, role } => {
            let path = format!("{path}/{}", escape(email.as_str()));
            let member: MemberView = session.client.put(&path, &RoleChange { role }).await?;
            print(&format!("{} is {}\n", member.email, member.role))?;
        }
        MemberCommand::Remove { email } => {
            let path = format!("{path}/{}", escape(email.as_str()));
            let removed: RemovedMember = session.client.delete(&path).await?;
            print(&format!("{} is no member any more\n", removed.email))?;
        }
        MemberCommand::Leave => {
            let org = session.org.clone().filter(|_| !args.platform);
            let left: RemovedMember =
                session.client.post("/v1/memberships/leave", &LeaveRequest { org }).await?;
            print(&format!("{} is no member any more\n", left.email))?;
        }
    }
    Ok(Outcome::Done)
}

/// Carries `skep invite` out.
pub(super) async fn invite(session: &Session, args: InviteArgs) -> Result<Outcome> {
    let path = || beneath(session, args.platform, "invitations");
    match args.command {
        InviteCommand::Create { email, role, expires_in } => {
            let request = InvitationRequest { email, role, expires_in };
            let made: MadeInvitation = session.client.post(&path()?, &request).await?;
            print(&format!("{}\n", made.code))?;
            eprintln!(
                "send this to {} and to nobody else: it cannot be shown again; it ends at {}",
                made.email, made.expires_at
            );
        }
        InviteCommand::List { output } => {
            let invitations: InvitationList = session.client.get(&path()?).await?;
            print(&output.of(&invitations, || invitation_table(&invitations))?)?;
        }
        InviteCommand::Revoke { id } => {
            let revoked: RevokedInvitation = session.client.delete(&format!("{}/{id}", path()?)).await?;
            print(&format!("the invitation to {} is worth nothing any more\n", revoked.email))?;
        }
        InviteCommand::Accept { code } => {
            let accepted: Accepted =
                session.client.post("/v1/invitations/accept", &AcceptInvitation { code }).await?;
            print(&format!("you are {}\n", super::token::told(&accepted.grant)))?;
        }
    }
    Ok(Outcome::Done)
}

/// The path of what belongs to the organisation, or to the platform.
fn beneath(session: &Session, platform: bool, what: &str) -> Result<String> {
    match (&session.org, platform) {
        (_, true) => Ok(format!("/v1/{what}")),
        (Some(org), false) => Ok(format!("/v1/orgs/{org}/{what}")),
        (None, false) => bail!("of which organisation?\nhelp: name it with --org, or say --platform"),
    }
}

fn member_table(members: &MemberList) -> String {
    let row = |member: &MemberView| -> Vec<Cell> {
        vec![
            member.email.as_str().into(),
            member.display_name.as_deref().unwrap_or("-").into(),
            member.role.as_str().into(),
            member.since.to_string().into(),
            member.given_by.as_str().into(),
        ]
    };
    let rows: Vec<_> = members.items.iter().map(row).collect();
    render(&["ADDRESS", "NAME", "ROLE", "SINCE", "GIVEN BY"], &rows, stdout_style())
}

fn invitation_table(invitations: &InvitationList) -> String {
    let row = |invitation: &InvitationView| -> Vec<Cell> {
        vec![
            invitation.id.to_string().into(),
            invitation.email.as_str().into(),
            invitation.role.as_str().into(),
            invitation.made_by.as_str().into(),
            invitation.created_at.to_string().into(),
            invitation.expires_at.to_string().into(),
        ]
    };
    let rows: Vec<_> = invitations.items.iter().map(row).collect();
    render(&["ID", "ADDRESS", "ROLE", "MADE BY", "MADE", "ENDS"], &rows, stdout_style())
}
