//! Environments: their releases, processes, runs, output and variables.

use crate::panel::row::rows;
use crate::panel::{config, formation, metrics, release, resource, run};

rows! {
    Patch "/api/paas/environments/{uid}" "patchPaasEnvironmentsByUid":
        Write of Environment, "Change an environment."
        => "Environment", "PUT /v1/orgs/{org}/environments/{name}"
        => config::merge_patch, "an_environment_is_changed_by_a_merge_patch";
    Delete "/api/paas/environments/{uid}" "deletePaasEnvironmentsByUid":
        Delete of Environment, "Delete an environment."
        => "Environment", "DELETE /v1/orgs/{org}/environments/{name}"
        => resource::delete, "resources_are_deleted_by_uid";
    Post "/api/paas/environments/{uid}/deploy" "postPaasEnvironmentsByUidDeploy":
        Write of Environment, "Deploy an environment."
        => "Environment", "PUT /v1/orgs/{org}/environments/{name}"
        => config::deploy, "an_environment_is_given_another_image";
    Get "/api/paas/environments/{uid}/deployments" "getPaasEnvironmentsByUidDeployments":
        Read of Environment, "The deployments of an environment, newest first."
        => "Environment", "GET /v1/orgs/{org}/environments/{name}/releases"
        => release::list, "releases_are_told_and_an_environment_is_returned_to_one_of_them";
    Post "/api/paas/environments/{uid}/rollback/{version}" "postPaasEnvironmentsByUidRollbackByVersion":
        Write of Environment, "Return an environment to the release of a deployment."
        => "Environment", "POST /v1/orgs/{org}/environments/{name}/rollback"
        => release::roll_back, "releases_are_told_and_an_environment_is_returned_to_one_of_them";
    Get "/api/paas/environments/{uid}/releases" "getPaasEnvironmentsByUidReleases":
        Read of Environment, "The releases of an environment, newest first."
        => "Environment", "GET /v1/orgs/{org}/environments/{name}/releases"
        => release::list, "releases_are_told_and_an_environment_is_returned_to_one_of_them";
    Post "/api/paas/environments/{uid}/releases/{version}/rollback" "postPaasEnvironmentsByUidReleasesByVersionRollback":
        Write of Environment, "Return an environment to a former release."
        => "Environment", "POST /v1/orgs/{org}/environments/{name}/rollback"
        => release::roll_back, "releases_are_told_and_an_environment_is_returned_to_one_of_them";
    Get "/api/paas/environments/{uid}/processes" "getPaasEnvironmentsByUidProcesses":
        Read of Environment, "The processes of an environment."
        => "Environment", "GET /v1/orgs/{org}/environments/{name}/processes"
        => formation::processes, "processes_are_shown_scaled_and_restarted_by_uid";
    Post "/api/paas/environments/{uid}/processes" "postPaasEnvironmentsByUidProcesses":
        Write of Environment, "Add a process to an environment."
        => "Environment", "PUT /v1/orgs/{org}/environments/{name}";
    Patch "/api/paas/processes/{uid}" "patchPaasProcessesByUid":
        Write of Environment, "Change or scale a process."
        => "Environment", "PUT /v1/orgs/{org}/environments/{name}";
    Delete "/api/paas/processes/{uid}" "deletePaasProcessesByUid":
        Write of Environment, "Remove a process."
        => "Environment", "PUT /v1/orgs/{org}/environments/{name}";
    Post "/api/paas/environments/{uid}/runs" "postPaasEnvironmentsByUidRuns":
        Write of Environment, "Run a command once."
        => "Environment", "POST /v1/orgs/{org}/environments/{name}/runs"
        => run::ask, "a_command_is_run_once";
    Get "/api/paas/runs/{uid}/logs" "getPaasRunsByUidLogs":
        ReadLogs of Environment, "What a run printed."
        => "Run";
    Get "/api/paas/environments/{uid}/logs" "getPaasEnvironmentsByUidLogs":
        ReadLogs of Environment, "What an environment prints."
        => "Environment", "GET /v1/orgs/{org}/environments/{name}/logs"
        => release::logs, "what_an_environment_prints_is_told";
    Get "/api/paas/environments/{uid}/metrics" "getPaasEnvironmentsByUidMetrics":
        Read of Environment, "What an environment uses."
        => "Environment", "GET /v1/orgs/{org}/environments/{name}/metrics"
        => metrics::get, "what_an_environment_uses_is_told_by_its_name_and_by_uid";
    Get "/api/paas/environments/{uid}/config" "getPaasEnvironmentsByUidConfig":
        Read of Environment, "The variables of an environment."
        => "Environment", "GET /v1/orgs/{org}/environments/{name}"
        => config::get, "variables_are_set_and_removed_over_what_was_read";
    Patch "/api/paas/environments/{uid}/config" "patchPaasEnvironmentsByUidConfig":
        Write of Environment, "Set and remove variables of an environment."
        => "Environment", "PUT /v1/orgs/{org}/environments/{name}"
        => config::patch, "variables_are_set_and_removed_over_what_was_read";
}
