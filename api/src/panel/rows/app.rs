//! Apps, and what is asked of an app as a whole.

use crate::panel::row::rows;
use crate::panel::{create, formation, release, resource};

rows! {
    Get "/api/paas/apps" "getPaasApps":
        Read of App, "The apps of the organisation."
        => "App", "GET /v1/orgs/{org}/apps"
        => resource::list, "resources_are_listed_and_read_by_uid";
    Post "/api/paas/apps" "postPaasApps":
        Write of App, "Create an app."
        => "App", "PUT /v1/orgs/{org}/apps/{name}";
    Get "/api/paas/apps/{uid}" "getPaasAppsByUid":
        Read of App, "One app."
        => "App", "GET /v1/orgs/{org}/apps/{name}"
        => resource::get, "resources_are_listed_and_read_by_uid";
    Delete "/api/paas/apps/{uid}" "deletePaasAppsByUid":
        Delete of App, "Delete an app."
        => "App", "DELETE /v1/orgs/{org}/apps/{name}"
        => resource::delete, "resources_are_deleted_by_uid";
    Post "/api/paas/apps/{uid}/environments" "postPaasAppsByUidEnvironments":
        Write of Environment, "Create an environment of an app."
        => "Environment", "PUT /v1/orgs/{org}/environments/{name}"
        => create::environment, "an_environment_of_an_app_is_created_of_what_the_panel_sends";
    Post "/api/paas/apps/{uid}/deploy" "postPaasAppsByUidDeploy":
        Write of Environment, "Deploy an app."
        => "Environment", "PUT /v1/orgs/{org}/environments/{name}";
    Get "/api/paas/apps/{uid}/deployments" "getPaasAppsByUidDeployments":
        Read of Environment, "The deployments of an app."
        => "Environment", "GET /v1/orgs/{org}/environments/{name}/releases"
        => release::of_app, "deployments_are_told_and_an_environment_is_returned_to_one_of_them";
    Post "/api/paas/apps/{uid}/rollback" "postPaasAppsByUidRollback":
        Write of Environment, "Return an app to the release before."
        => "Environment", "POST /v1/orgs/{org}/environments/{name}/rollback";
    Post "/api/paas/apps/{uid}/rollback/{version}" "postPaasAppsByUidRollbackByVersion":
        Write of Environment, "Return an app to the release of a deployment."
        => "Environment", "POST /v1/orgs/{org}/environments/{name}/rollback";
    Get "/api/paas/apps/{uid}/logs" "getPaasAppsByUidLogs":
        ReadLogs of Environment, "What an app prints."
        => "Environment", "GET /v1/orgs/{org}/environments/{name}/logs";
    Post "/api/paas/apps/{uid}/scale" "postPaasAppsByUidScale":
        Write of Environment, "Change the number of instances of an app."
        => "Environment", "POST /v1/orgs/{org}/environments/{name}/scale"
        => formation::scale_app, "an_app_is_scaled_and_restarted_where_it_runs";
    Post "/api/paas/apps/{uid}/restart" "postPaasAppsByUidRestart":
        Intervene of Environment, "Restart an app."
        => "Environment", "POST /v1/orgs/{org}/environments/{name}/restart"
        => formation::restart_app, "an_app_is_scaled_and_restarted_where_it_runs";
    Put "/api/paas/apps/{uid}/env" "putPaasAppsByUidEnv":
        Write of Environment, "Set the variables of an app."
        => "Environment", "PUT /v1/orgs/{org}/environments/{name}";
}
