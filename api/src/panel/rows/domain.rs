//! Domains.

use crate::panel::row::rows;
use crate::panel::{create, domain, resource};

rows! {
    Post "/api/paas/environments/{uid}/domains" "postPaasEnvironmentsByUidDomains":
        Write of Domain, "Give an environment a domain."
        => "Domain", "PUT /v1/orgs/{org}/domains/{name}"
        => create::domain, "domains_of_an_environment_are_created_and_listed";
    Get "/api/paas/environments/{uid}/domains" "getPaasEnvironmentsByUidDomains":
        Read of Domain, "The domains of an environment."
        => "Domain", "GET /v1/orgs/{org}/domains"
        => domain::list, "domains_of_an_environment_are_created_and_listed";
    Post "/api/paas/domains" "postPaasDomains":
        Write of Domain, "Create a domain."
        => "Domain", "PUT /v1/orgs/{org}/domains/{name}";
    Get "/api/paas/domains" "getPaasDomains":
        Read of Domain, "The domains of the organisation."
        => "Domain", "GET /v1/orgs/{org}/domains"
        => resource::list, "resources_are_listed_and_read_by_uid";
    Get "/api/paas/domains/{uid}" "getPaasDomainsByUid":
        Read of Domain, "One domain."
        => "Domain", "GET /v1/orgs/{org}/domains/{name}"
        => resource::get, "resources_are_listed_and_read_by_uid";
    Put "/api/paas/domains/{uid}" "putPaasDomainsByUid":
        Write of Domain, "Change a domain."
        => "Domain", "PUT /v1/orgs/{org}/domains/{name}"
        => resource::put, "resources_are_changed_by_uid_with_their_manifests";
    Delete "/api/paas/domains/{uid}" "deletePaasDomainsByUid":
        Delete of Domain, "Delete a domain."
        => "Domain", "DELETE /v1/orgs/{org}/domains/{name}"
        => resource::delete, "resources_are_deleted_by_uid";
    Post "/api/paas/domains/{uid}/verify" "postPaasDomainsByUidVerify":
        Write of Domain, "Show that a domain is one's own."
        => "Domain";
    Post "/api/paas/domains/{uid}/ssl" "postPaasDomainsByUidSsl":
        Write of Domain, "Ask for a certificate of a domain."
        => "Domain";
}
