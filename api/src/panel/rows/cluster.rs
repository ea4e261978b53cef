//! Clusters, which are nodes of an organisation's own, and the members of organisations.

use crate::panel::row::rows;

rows! {
    Post "/api/paas/clusters" "postPaasClusters":
        Write of IsolationTier, "Create a cluster: nodes of an organisation's own."
        => "IsolationTier", "PUT /v1/isolationtiers/{name}";
    Get "/api/paas/clusters" "getPaasClusters":
        Read of IsolationTier, "The clusters of the organisation."
        => "IsolationTier", "GET /v1/isolationtiers";
    Get "/api/paas/clusters/{uid}" "getPaasClustersByUid":
        Read of IsolationTier, "One cluster."
        => "IsolationTier", "GET /v1/isolationtiers/{name}";
    Put "/api/paas/clusters/{uid}" "putPaasClustersByUid":
        Write of IsolationTier, "Change a cluster."
        => "IsolationTier", "PUT /v1/isolationtiers/{name}";
    Delete "/api/paas/clusters/{uid}" "deletePaasClustersByUid":
        Delete of IsolationTier, "End a cluster."
        => "IsolationTier", "DELETE /v1/isolationtiers/{name}";
    Post "/api/paas/clusters/{uid}/scale" "postPaasClustersByUidScale":
        Write of IsolationTier, "Change the number of nodes of a cluster."
        => "Node";
    Get "/api/paas/clusters/{uid}/nodes" "getPaasClustersByUidNodes":
        Read of IsolationTier, "The nodes of a cluster."
        => "Node";
    Get "/api/paas/clusters/{uid}/stats" "getPaasClustersByUidStats":
        Read of IsolationTier, "What a cluster uses."
        => "Node";
    Post "/api/paas/clusters/{uid}/upgrade" "postPaasClustersByUidUpgrade":
        Write of Organization, "Give an organisation another plan."
        => "Organization", "PUT /v1/organizations/{name}";
    Get "/api/organizations/{uid}/members" "getOrganizationsByUidMembers":
        ReadMembers of Organization, "The members of an organisation."
        => "Organization", "GET /v1/orgs/{org}/members";
    Post "/api/organizations/{uid}/members/invite" "postOrganizationsByUidMembersInvite":
        ManageMembers of Organization, "Invite somebody."
        => "Organization", "POST /v1/orgs/{org}/invitations";
    Put "/api/organizations/{uid}/members/{user}" "putOrganizationsByUidMembersByUser":
        ManageMembers of Organization, "Change the role of a member."
        => "Organization", "PUT /v1/orgs/{org}/members/{email}";
    Delete "/api/organizations/{uid}/members/{user}" "deleteOrganizationsByUidMembersByUser":
        ManageMembers of Organization, "Remove a member."
        => "Organization", "DELETE /v1/orgs/{org}/members/{email}";
    Post "/api/organizations/{uid}/members/invite/{invite}/accept" "postOrganizationsByUidMembersInviteByInviteAccept":
        BeSomebody of Organization, "Accept an invitation."
        => "Organization", "POST /v1/invitations/accept";
    Post "/api/organizations/{uid}/members/invite/{invite}/decline" "postOrganizationsByUidMembersInviteByInviteDecline":
        BeSomebody of Organization, "Decline an invitation."
        => "Organization";
}
