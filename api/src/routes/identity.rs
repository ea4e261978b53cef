//! People: who they are, where they are members, and how they come in.

mod invitation;
mod member;
mod people;
mod session;

use crate::access::{Access, Permission};
use crate::route::Route;
use crate::route::Verb::{Delete, Get, Post, Put};

/// The routes.
pub(super) fn table() -> Vec<Route> {
    const READ_MEMBERS: Access = Access::Needs(Permission::ReadMembers);
    const MEMBERS: Access = Access::Needs(Permission::ManageMembers);
    const PEOPLE: Access = Access::Needs(Permission::ManagePeople);
    const OWN: Access = Access::Needs(Permission::BeSomebody);
    vec![
        Route::new(
            Get,
            "/v1/orgs/{org}/members",
            READ_MEMBERS,
            "listOrgMembers",
            "The members of an organisation.",
            member::list,
        ),
        Route::new(
            Put,
            "/v1/orgs/{org}/members/{email}",
            MEMBERS,
            "putOrgMember",
            "Give a member of an organisation another role.",
            member::put,
        ),
        Route::new(
            Delete,
            "/v1/orgs/{org}/members/{email}",
            MEMBERS,
            "removeOrgMember",
            "End a membership of an organisation.",
            member::remove,
        ),
        Route::new(
            Get,
            "/v1/orgs/{org}/invitations",
            MEMBERS,
            "listOrgInvitations",
            "The open invitations to an organisation.",
            invitation::list,
        ),
        Route::new(
            Post,
            "/v1/orgs/{org}/invitations",
            MEMBERS,
            "createOrgInvitation",
            "Invite somebody to an organisation.",
            invitation::create,
        )
        .told_once(),
        Route::new(
            Delete,
            "/v1/orgs/{org}/invitations/{id}",
            MEMBERS,
            "revokeOrgInvitation",
            "Take an invitation to an organisation back.",
            invitation::revoke,
        ),
        Route::new(
            Get,
            "/v1/members",
            READ_MEMBERS,
            "listMembers",
            "The members of the platform.",
            member::list,
        ),
        Route::new(
            Put,
            "/v1/members/{email}",
            MEMBERS,
            "putMember",
            "Give a member of the platform another role.",
            member::put,
        ),
        Route::new(
            Delete,
            "/v1/members/{email}",
            MEMBERS,
            "removeMember",
            "End a membership of the platform.",
            member::remove,
        ),
        Route::new(
            Get,
            "/v1/invitations",
            MEMBERS,
            "listInvitations",
            "The open invitations to the platform.",
            invitation::list,
        ),
        Route::new(
            Post,
            "/v1/invitations",
            MEMBERS,
            "createInvitation",
            "Invite somebody to the platform.",
            invitation::create,
        )
        .told_once(),
        Route::new(
            Delete,
            "/v1/invitations/{id}",
            MEMBERS,
            "revokeInvitation",
            "Take an invitation to the platform back.",
            invitation::revoke,
        ),
        Route::new(
            Post,
            "/v1/invitations/accept",
            OWN,
            "acceptInvitation",
            "Become a member by an invitation to one's own address.",
            invitation::accept,
        ),
        Route::new(
            Post,
            "/v1/memberships/leave",
            OWN,
            "leave",
            "End one's own membership of an organisation, or of the platform.",
            member::leave,
        ),
        Route::new(Get, "/v1/people", PEOPLE, "listPeople", "Everybody who has an account.", people::list),
        Route::new(
            Post,
            "/v1/people",
            PEOPLE,
            "createPerson",
            "Make an account for an address.",
            people::create,
        ),
        Route::new(
            Delete,
            "/v1/people/{email}",
            PEOPLE,
            "removePerson",
            "Remove an account with its sessions and memberships.",
            people::remove,
        ),
        Route::new(
            Post,
            "/v1/people/{email}/sessions",
            PEOPLE,
            "createSession",
            "Make a session for a person.",
            people::start_session,
        )
        .told_once(),
        Route::new(Get, "/v1/login", Access::Open, "getLogin", "Where people log in.", session::provider),
        Route::new(
            Get,
            "/v1/login/web",
            Access::Open,
            "getWebLogin",
            "Where people log in on the pages.",
            session::web_provider,
        ),
        Route::new(
            Post,
            "/v1/login/web",
            Access::Open,
            "webLogin",
            "Exchange the code of a login on a page for a session.",
            session::web_log_in,
        )
        .told_once(),
        Route::new(
            Post,
            "/v1/sessions",
            OWN,
            "logIn",
            "Exchange the ID token of a login for a session.",
            session::log_in,
        )
        .told_once(),
        Route::new(Get, "/v1/sessions", OWN, "listSessions", "One's own sessions.", session::list),
        Route::new(
            Delete,
            "/v1/sessions/{id}",
            OWN,
            "endSession",
            "End one of one's own sessions.",
            session::end,
        ),
        Route::new(Delete, "/v1/session", OWN, "logOut", "End the session that asks.", session::log_out),
    ]
}
