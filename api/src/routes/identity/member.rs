//! Members of an organisation, or of the platform: seen, given other roles, removed, leaving. How somebody becomes one: [`super::invitation`].

use skep_schemas::Scope;
use skep_store::MemberInfo;

use crate::answer::Document;
use crate::call::{Call, Json, JsonBody, NoQuery};
use crate::error::ApiError;
use crate::wire::{LeaveRequest, MemberList, MemberView, RemovedMember, RoleChange};

impl JsonBody for RoleChange {
    const IS: &'static str = "a role";
    const EXAMPLE: &'static str = r#"{"role": "deployer"}"#;
}

impl JsonBody for LeaveRequest {
    const IS: &'static str = "where to leave";
    const EXAMPLE: &'static str = r#"{"org": "acme"}"#;
}

pub(super) async fn list(call: Call<NoQuery>) -> Result<Document<MemberList>, ApiError> {
    let members = call.store.members(&call.address.scope()).await?;
    Ok(Document(MemberList { items: members.into_iter().map(view).collect() }))
}

pub(super) async fn put(call: Call<NoQuery, Json<RoleChange>>) -> Result<Document<MemberView>, ApiError> {
    let Json(RoleChange { role }) = call.body;
    if !call.principal.may_give(role) {
        return Err(ApiError::invalid(
            format!("the role {role} allows more than yours"),
            "give a role that yours includes; GET /v1/whoami tells it",
        ));
    }
    let (reach, email) = (call.address.scope(), call.address.email()?);
    call.store.set_role(&reach, email, role, call.principal.role()?, &call.actor).await?;
    let members = call.store.members(&reach).await?;
    let changed = members.into_iter().find(|member| member.email == *email);
    changed.map(|member| Document(view(member))).ok_or_else(|| {
        let problem = format!("{email} is not a member any more");
        ApiError::NoneSuch { problem, help: "see who is with `skep member list`" }
    })
}

pub(super) async fn remove(call: Call<NoQuery>) -> Result<Document<RemovedMember>, ApiError> {
    let email = call.address.email()?.clone();
    let most = call.principal.role()?;
    call.store.remove_member(&call.address.scope(), &email, most, &call.actor).await?;
    Ok(Document(RemovedMember { email }))
}

/// Who is asked to stay has a say in that: nobody's permission is needed to leave.
pub(super) async fn leave(
    call: Call<NoQuery, Json<LeaveRequest>>,
) -> Result<Document<RemovedMember>, ApiError> {
    let Json(LeaveRequest { org }) = &call.body;
    let own = call.principal.own()?;
    let reach = org.clone().map_or(Scope::Platform, Scope::Org);
    if !call.principal.grants.iter().any(|grant| grant.reach == reach) {
        let problem = org.as_ref().map_or_else(
            || "you are no member of the platform".to_owned(),
            |org| format!("you are no member of {org}"),
        );
        return Err(ApiError::NoneSuch { problem, help: "see where you are one with `skep whoami`" });
    }
    call.app.leave(own, &reach, &call.actor).await?;
    Ok(Document(RemovedMember { email: own.person.email.clone() }))
}

fn view(member: MemberInfo) -> MemberView {
    let MemberInfo { email, display_name, role, given_by, since } = member;
    MemberView { email, display_name, role, given_by, since }
}
