//! Members of an organisation, or of the platform: seen, given other roles, removed. How somebody becomes one: [`super::invitation`].

use skep_store::MemberInfo;

use crate::answer::Document;
use crate::call::{Call, Json, JsonBody, NoQuery};
use crate::error::ApiError;
use crate::wire::{MemberList, MemberView, RemovedMember, RoleChange};

impl JsonBody for RoleChange {
    const IS: &'static str = "a role";
    const EXAMPLE: &'static str = r#"{"role": "deployer"}"#;
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

fn view(member: MemberInfo) -> MemberView {
    let MemberInfo { email, display_name, role, given_by, since } = member;
    MemberView { email, display_name, role, given_by, since }
}
