//! Containers: environments whose app names an image.

use crate::panel::row::rows;
use crate::panel::{config, create, domain, formation, metrics, release, resource};

rows! {
    Post "/api/caas/containers" "postCaasContainers":
        Write of Environment, "Create a container."
        => "Environment", "PUT /v1/orgs/{org}/environments/{name}";
    Get "/api/caas/containers" "getCaasContainers":
        Read of Environment, "The containers of the organisation."
        => "Environment", "GET /v1/orgs/{org}/environments"
        => resource::list, "resources_are_listed_and_read_by_uid";
    Get "/api/caas/containers/{uid}" "getCaasContainersByUid":
        Read of Environment, "One container."
        => "Environment", "GET /v1/orgs/{org}/environments/{name}"
        => resource::get, "resources_are_listed_and_read_by_uid";
    Delete "/api/caas/containers/{uid}" "deleteCaasContainersByUid":
        Delete of Environment, "Delete a container."
        => "Environment", "DELETE /v1/orgs/{org}/environments/{name}"
        => resource::delete, "resources_are_deleted_by_uid";
    Post "/api/caas/containers/{uid}/deploy" "postCaasContainersByUidDeploy":
        Write of Environment, "Give a container another image."
        => "Environment", "PUT /v1/orgs/{org}/environments/{name}"
        => config::deploy, "an_environment_is_given_another_image";
    Post "/api/caas/containers/{uid}/scale" "postCaasContainersByUidScale":
        Write of Environment, "Change the number of instances of a container."
        => "Environment", "POST /v1/orgs/{org}/environments/{name}/scale"
        => formation::scale, "processes_are_shown_scaled_and_restarted_by_uid";
    Post "/api/caas/containers/{uid}/restart" "postCaasContainersByUidRestart":
        Intervene of Environment, "Restart a container."
        => "Environment", "POST /v1/orgs/{org}/environments/{name}/restart"
        => formation::restart, "processes_are_shown_scaled_and_restarted_by_uid";
    Get "/api/caas/containers/{uid}/logs" "getCaasContainersByUidLogs":
        ReadLogs of Environment, "What a container prints."
        => "Environment", "GET /v1/orgs/{org}/environments/{name}/logs"
        => release::logs, "what_an_environment_prints_is_told";
    Get "/api/caas/containers/{uid}/metrics" "getCaasContainersByUidMetrics":
        Read of Environment, "What a container uses."
        => "Environment", "GET /v1/orgs/{org}/environments/{name}/metrics"
        => metrics::get, "what_an_environment_uses_is_told_by_its_name_and_by_uid";
    Post "/api/caas/containers/{uid}/exec" "postCaasContainersByUidExec":
        Write of Environment, "Run a command in a container."
        => "Environment";
    Get "/api/caas/containers/{uid}/console" "getCaasContainersByUidConsole":
        Write of Environment, "A terminal in a container."
        => "Environment";
    Post "/api/caas/containers/{uid}/domains" "postCaasContainersByUidDomains":
        Write of Domain, "Give a container a domain."
        => "Domain", "PUT /v1/orgs/{org}/domains/{name}"
        => create::domain, "domains_of_an_environment_are_created_and_listed";
    Get "/api/caas/containers/{uid}/domains" "getCaasContainersByUidDomains":
        Read of Domain, "The domains of a container."
        => "Domain", "GET /v1/orgs/{org}/domains"
        => domain::list, "domains_of_an_environment_are_created_and_listed";
    Delete "/api/caas/containers/{uid}/domains" "deleteCaasContainersByUidDomains":
        Delete of Domain, "Take a container's domains away."
        => "Domain", "DELETE /v1/orgs/{org}/domains/{name}";
    Post "/api/caas/domains" "postCaasDomains":
        Write of Domain, "Create a domain."
        => "Domain", "PUT /v1/orgs/{org}/domains/{name}";
    Get "/api/caas/domains" "getCaasDomains":
        Read of Domain, "The domains of the organisation."
        => "Domain", "GET /v1/orgs/{org}/domains"
        => resource::list, "resources_are_listed_and_read_by_uid";
    Get "/api/caas/domains/{uid}" "getCaasDomainsByUid":
        Read of Domain, "One domain."
        => "Domain", "GET /v1/orgs/{org}/domains/{name}"
        => resource::get, "resources_are_listed_and_read_by_uid";
    Delete "/api/caas/domains/{uid}" "deleteCaasDomainsByUid":
        Delete of Domain, "Delete a domain."
        => "Domain", "DELETE /v1/orgs/{org}/domains/{name}"
        => resource::delete, "resources_are_deleted_by_uid";
}
