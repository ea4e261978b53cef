//! Apps and deployments, as the list of tasks calls them.

use crate::panel::row::rows;
use crate::panel::{formation, metrics, release, resource};

rows! {
    Post "/api/paas/applications" "postPaasApplications":
        Write of App, "Create an app."
        => "App", "PUT /v1/orgs/{org}/apps/{name}";
    Get "/api/paas/applications" "getPaasApplications":
        Read of App, "The apps of the organisation."
        => "App", "GET /v1/orgs/{org}/apps"
        => resource::list, "resources_are_listed_and_read_by_uid";
    Get "/api/paas/applications/{uid}" "getPaasApplicationsByUid":
        Read of App, "One app."
        => "App", "GET /v1/orgs/{org}/apps/{name}"
        => resource::get, "resources_are_listed_and_read_by_uid";
    Put "/api/paas/applications/{uid}" "putPaasApplicationsByUid":
        Write of App, "Change an app."
        => "App", "PUT /v1/orgs/{org}/apps/{name}"
        => resource::put, "resources_are_changed_by_uid_with_their_manifests";
    Delete "/api/paas/applications/{uid}" "deletePaasApplicationsByUid":
        Delete of App, "Delete an app."
        => "App", "DELETE /v1/orgs/{org}/apps/{name}"
        => resource::delete, "resources_are_deleted_by_uid";
    Post "/api/paas/applications/{uid}/deploy" "postPaasApplicationsByUidDeploy":
        Write of Environment, "Deploy an app."
        => "Environment", "PUT /v1/orgs/{org}/environments/{name}";
    Post "/api/paas/applications/{uid}/scale" "postPaasApplicationsByUidScale":
        Write of Environment, "Change the number of instances of an app."
        => "Environment", "POST /v1/orgs/{org}/environments/{name}/scale"
        => formation::scale_app, "an_app_is_scaled_and_restarted_where_it_runs";
    Get "/api/paas/applications/{uid}/logs" "getPaasApplicationsByUidLogs":
        ReadLogs of Environment, "What an app prints."
        => "Environment", "GET /v1/orgs/{org}/environments/{name}/logs";
    Get "/api/paas/applications/{uid}/metrics" "getPaasApplicationsByUidMetrics":
        Read of Environment, "What an app uses."
        => "Environment", "GET /v1/orgs/{org}/environments/{name}/metrics"
        => metrics::of_app, "what_an_environment_uses_is_told_by_its_name_and_by_uid";
    Post "/api/paas/applications/{uid}/restart" "postPaasApplicationsByUidRestart":
        Intervene of Environment, "Restart an app."
        => "Environment", "POST /v1/orgs/{org}/environments/{name}/restart"
        => formation::restart_app, "an_app_is_scaled_and_restarted_where_it_runs";
    Get "/api/paas/applications/{uid}/deployments" "getPaasApplicationsByUidDeployments":
        Read of Environment, "The deployments of an app."
        => "Environment", "GET /v1/orgs/{org}/environments/{name}/releases"
        => release::of_app, "deployments_are_told_and_an_environment_is_returned_to_one_of_them";
    Get "/api/paas/applications/{uid}/domains" "getPaasApplicationsByUidDomains":
        Read of Domain, "The domains of an app."
        => "Domain", "GET /v1/orgs/{org}/domains";
    Get "/api/paas/deployments/{uid}" "getPaasDeploymentsByUid":
        Read of Environment, "One deployment."
        => "Environment", "GET /v1/orgs/{org}/environments/{name}/releases/{id}"
        => release::deployment, "deployments_are_told_and_an_environment_is_returned_to_one_of_them";
    Post "/api/paas/deployments/{uid}/rollback" "postPaasDeploymentsByUidRollback":
        Write of Environment, "Return to the release of a deployment."
        => "Environment", "POST /v1/orgs/{org}/environments/{name}/rollback"
        => release::roll_back_to_deployment, "deployments_are_told_and_an_environment_is_returned_to_one_of_them";
    Get "/api/paas/deployments/{uid}/logs" "getPaasDeploymentsByUidLogs":
        ReadLogs of Environment, "The last lines of what a deployment failed by."
        => "Environment", "GET /v1/orgs/{org}/environments/{name}/releases/{id}/output"
        => release::output, "what_a_release_failed_by_is_read_by_those_who_may_read_logs_and_by_nobody_else";
}
