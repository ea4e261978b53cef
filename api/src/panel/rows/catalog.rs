//! What apps can be made of and where they can run.

use crate::panel::resource;
use crate::panel::row::rows;

rows! {
    Get "/api/paas/plans" "getPaasPlans":
        Read of Plan, "The plans that there are."
        => "Plan", "GET /v1/plans"
        => resource::list, "resources_are_listed_and_read_by_uid";
    Get "/api/paas/plans/{uid}" "getPaasPlansByUid":
        Read of Plan, "One plan."
        => "Plan", "GET /v1/plans/{name}"
        => resource::get, "resources_are_listed_and_read_by_uid";
    Get "/api/paas/locations" "getPaasLocations":
        Read of Plan, "The regions that there are."
        => "Node";
    Get "/api/paas/stacks" "getPaasStacks":
        Read of Plan, "The stacks that apps are built with."
        => "Stack";
    Get "/api/paas/buildpacks" "getPaasBuildpacks":
        Read of Plan, "The buildpacks that there are."
        => "Buildpack";
    Get "/api/paas/templates" "getPaasTemplates":
        Read of Plan, "The templates that an app can begin with."
        => "Template";
}
